"""Numbers of a report in words that are never more exact than what they stand for."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import numpy as np
import pandas as pd
import pytest

from capspace.fit import TargetLaw, TwoView, load_reference
from capspace.fit.law.equivalent import EquivalentScale
from capspace.fit.prediction import Prediction
from capspace.fit.reference import Reference
from capspace.fit.report._foot import _reference_line
from capspace.fit.report.words import equivalent_flops, flops, outside, size


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    law = TargetLaw("bbh", method=TwoView(n_refits=4)).fit(load_reference())
    prediction: Prediction = law.predict(pd.DataFrame({"MMLU": 0.6}, index=["mine"]))[0]
    return prediction


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (0.0, ""),
        (float("nan"), ""),
        (0.02, "by less than 0.1 sd"),
        (0.06, "by 0.1 sd"),
        (1.84, "by 1.8 sd"),
    ],
)
def test_how_far_outside_is_never_zero(prediction: Prediction, distance: float, words: str) -> None:
    support = replace(prediction.support, distance=distance)
    assert outside(replace(prediction, support=support)) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (12, "12"),
        (999, "999"),
        (1500, "1.5 K"),
        (999_600, "1 M"),
        (7.24e9, "7.24 B"),
        (9.996e11, "1 T"),
        (15e12, "15 T"),
        (nan, "–"),
    ],
)
def test_a_size_has_three_digits_and_a_unit(value: float, words: str) -> None:
    assert size(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(3.14e22, "3.1 × 10²²"), (0.0, "0"), (inf, "∞"), (nan, "–")]
)
def test_flops_have_two_digits_and_a_power(value: float, words: str) -> None:
    assert flops(value) == words


@pytest.mark.parametrize(
    ("lower", "upper", "words"),
    [
        (1e22, 1e24, "90% interval 1.0 × 10²² to 1.0 × 10²⁴"),
        (0.0, 1e24, "90% interval 0 to 1.0 × 10²⁴"),
        (1e22, inf, "90% interval 1.0 × 10²² to ∞"),
        (0.0, inf, "90% interval: not bounded by the family's few models"),
        (nan, nan, "no 90% interval: the family has too few models"),
    ],
)
def test_an_interval_of_compute_names_its_open_ends(lower: float, upper: float, words: str) -> None:
    scale, low, high = (np.array([value]) for value in (1e23, lower, upper))
    equivalent = EquivalentScale("Llama-2", scale, low, high, 0.9, np.array([True]), ("",))
    assert equivalent_flops(equivalent) == ("1.0 × 10²³ FLOPs", words)


def test_a_reference_without_a_licence_states_none() -> None:
    packaged = load_reference()
    own = Reference(packaged.table, packaged.benchmarks, packaged.targets)
    assert _reference_line(own).endswith("families.")
    assert f"Licence: {packaged.licence}." in _reference_line(packaged)

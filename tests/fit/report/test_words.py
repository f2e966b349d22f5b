"""Numbers of a report in words that are never more exact than what they stand for."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from capspace.fit import TargetLaw, TwoView, load_reference
from capspace.fit.prediction import Prediction
from capspace.fit.report.words import outside


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

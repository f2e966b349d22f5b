"""The tripwire rings for planted faults, and for clean models no oftener than it says."""

import json

import numpy as np
import pandas as pd
import pytest

from capspace.fit import FitError, ScoreTable, TooFewModelsError, check_scores, load_reference
from capspace.fit.decide import check_together
from capspace.fit.decide._alarms import alarms_of_arrays
from capspace.fit.decide._fitted_siblings import LeftOut, fit_siblings
from capspace.fit.decide._reference_siblings import fit_reference_siblings, label_of, sibling_model
from capspace.fit.decide._siblings import SiblingModel
from capspace.fit.decide._stored_siblings import as_json
from capspace.fit.decide._tail import Tail

NAMES = ["A", "B", "C", "D", "E", "F"]
GENERATED = {name: name in "EF" for name in NAMES}
CLEAN = {
    "MMLU": 0.64, "ARC-C": 0.6, "HellaSwag": 0.83, "Winogrande": 0.79, "GSM8K": 0.39,
    "HumanEval": 0.29,
}  # fmt: skip


def planted(n: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Return scores (n, 6) of models of n/4 families, with two factors and noise."""
    rng = np.random.default_rng(seed)
    family = rng.normal(size=(n // 4, 2)).repeat(4, axis=0)
    factor = 0.8 * family + 0.6 * rng.normal(size=(n, 2))
    loadings = np.array([[1.0, 0.8, 0.9, 0.7, 1.1, 1.2], [0.2, -0.1, 0.1, 0.0, 0.6, 0.7]])
    z = factor @ loadings + 0.2 * rng.normal(size=(n, 6))
    return 1 / (1 + np.exp(-z)), [f"family {i // 4}" for i in range(n)]


@pytest.fixture(scope="module")
def siblings() -> tuple[SiblingModel, LeftOut]:
    scores, families = planted(160, 0)
    return fit_siblings(scores, NAMES, families, generated=GENERATED, label="planted")


def alarms(model: SiblingModel, scores: np.ndarray, stderr: np.ndarray | None = None) -> list:
    names = [str(i) for i in range(len(scores))]
    every = alarms_of_arrays(model, names, scores, stderr, np.zeros(6))
    return [[alarm for alarm in every if alarm.model == name] for name in names]


def row(**changes: float) -> ScoreTable:
    return ScoreTable.from_wide(pd.DataFrame({**CLEAN, **changes}, index=["mine"]))


def test_new_clean_models_ring_at_the_stated_rate(siblings: tuple[SiblingModel, LeftOut]) -> None:
    rung = [bool(rings) for rings in alarms(siblings[0], planted(400, 1)[0])]
    assert 0.02 < np.mean(rung) < 0.09  # 0.05, five standard errors of 400 and of the calibration


@pytest.mark.parametrize("column", [0, 3, 4])
def test_a_planted_fault_is_found_where_it_is(
    siblings: tuple[SiblingModel, LeftOut], column: int
) -> None:
    scores = planted(60, 2)[0]
    middling = scores[np.abs(scores[:, column] - 0.5) < 0.2]
    middling[:, column] -= 0.28
    first = [rings[0].benchmarks for rings in alarms(siblings[0], middling) if rings]
    assert len(first) > 0.8 * len(middling)
    assert np.mean([names == (NAMES[column],) for names in first]) > 0.9


def test_generated_scores_that_fall_together_are_named_together(
    siblings: tuple[SiblingModel, LeftOut],
) -> None:
    scores = planted(80, 3)[0]
    high = scores[(scores[:, 4:] > 0.6).all(axis=1)]
    high[:, 4:] *= 0.26
    rings = [alarm for each in alarms(siblings[0], high) for alarm in each]
    together = [alarm for alarm in rings if alarm.pattern == "generated low"]
    assert len(together) > 0.6 * len(high)
    assert {alarm.benchmarks for alarm in together} == {("E", "F")}
    assert "chat template" in together[0].causes[0]


@pytest.mark.slow
def test_noise_of_few_items_does_not_ring(siblings: tuple[SiblingModel, LeftOut]) -> None:
    truth = planted(200, 4)[0]
    rng = np.random.default_rng(5)
    noisy = rng.binomial(20, truth) / 20
    share = (noisy * 20 + 1) / 22
    errors = np.sqrt(share * (1 - share) / 20)
    without = np.mean([bool(rings) for rings in alarms(siblings[0], noisy)])
    with_errors = np.mean([bool(rings) for rings in alarms(siblings[0], noisy, errors)])
    assert without > 0.2
    assert with_errors < 0.09


def test_the_tail_counts_the_value_itself() -> None:
    tail = Tail.of(np.array([1.0, 2.0, 3.0, np.nan]))
    assert tail.share_beyond([0.5, 1.0, 2.5, 3.0, 3.1, np.nan]).tolist() == [
        1.0, 1.0, 0.5, 0.5, 0.25, 1.0,
    ]  # fmt: skip
    assert tail.threshold(0.5) == pytest.approx(2.0)
    assert tail.threshold(0.1) == np.inf


def test_a_clean_model_of_today_gives_no_alarm() -> None:
    assert check_scores(row(), load_reference()) == ()


@pytest.mark.parametrize(
    ("benchmark", "score", "pattern", "cause"),
    [
        ("MMLU", 0.0064, "scale", "percent"),
        ("MMLU", 0.25, "at chance", "labels"),
        ("GSM8K", 0.0, "text low", "cut off"),
        ("HellaSwag", 0.95, "choice high", "contamination"),
    ],
)
def test_a_fault_in_a_table_is_named(
    benchmark: str, score: float, pattern: str, cause: str
) -> None:
    rings = check_scores(row(**{benchmark: score}), load_reference())
    assert [alarm.benchmarks for alarm in rings] == [(benchmark,)]
    assert rings[0].pattern == pattern
    assert cause in rings[0].causes[0]
    assert rings[0].line.startswith(f"mine: {benchmark} is {score:.3f}, but its other scores")
    assert json.dumps(rings[0].to_dict(), allow_nan=False)


def test_two_scores_say_nothing_about_each_other() -> None:
    table = row().select(benchmarks=["MMLU", "GSM8K"])
    assert check_scores(table, load_reference()) == ()


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(FitError, match="alarm_rate is 5; it must lie between 0 and 1"):
        check_scores(row(), load_reference(), alarm_rate=5)


def test_too_few_models_are_no_witness() -> None:
    scores, families = planted(16, 6)
    with pytest.raises(TooFewModelsError, match="16 models have at least 3 scores"):
        fit_siblings(scores, NAMES, families, generated=GENERATED)
    with pytest.raises(TooFewModelsError, match="the table: all models are of one family"):
        fit_siblings(planted(40, 6)[0], NAMES, ["one"] * 40, generated=GENERATED)
    nothing = Tail.of(np.array([np.nan]))
    assert nothing.share_beyond([0.0, 9.0, np.nan]).tolist() == [1, 1, 1]
    assert nothing.threshold(0.05) == np.inf


def test_scores_that_are_no_fractions_are_left_to_others(
    siblings: tuple[SiblingModel, LeftOut],
) -> None:
    scores = 100 * planted(40, 8)[0]
    assert alarms(siblings[0], scores[:2]) == [[], []]
    table = ScoreTable.from_wide(pd.DataFrame(scores, [f"m{i}" for i in range(40)], NAMES))
    assert check_together(table, {}) == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["study-2024", "epoch-2026"])
def test_what_is_stored_is_what_a_fit_gives(name: str) -> None:
    """Write it again with scripts/tripwire_table.py --store after a table has changed."""
    reference = load_reference(name)
    stored = sibling_model(reference)
    assert stored is not None
    fitted = json.loads(as_json(fit_reference_siblings(reference)[0]))
    read = json.loads(as_json(stored))
    numbers = {"posterior", "units", "cells", "models"}
    assert {k: v for k, v in read.items() if k not in numbers} == {
        k: v for k, v in fitted.items() if k not in numbers
    }
    for part in ("units", "cells", "models"):
        for field, values in fitted[part].items():
            np.testing.assert_allclose(read[part][field], values, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["openllm-v2", "frontier-2026"])
def test_what_is_stored_is_of_todays_tables(name: str) -> None:
    reference = load_reference(name)
    stored = sibling_model(reference)
    assert stored is not None
    assert stored.label == label_of(reference)


@pytest.mark.slow
def test_models_of_a_table_witness_for_each_other() -> None:
    scores, _ = planted(40, 7)
    scores[5] = 0.5
    scores[5, 2] = 0.05
    table = ScoreTable.from_wide(pd.DataFrame(scores, [f"m{i}" for i in range(40)], NAMES))
    rings = check_together(table, dict.fromkeys("ABCD", 0.25))
    assert ("m5", ("C",)) in [(alarm.model, alarm.benchmarks) for alarm in rings]
    assert len({alarm.model for alarm in rings}) <= 5
    assert check_together(table.select(models=[f"m{i}" for i in range(10)]), {}) == ()

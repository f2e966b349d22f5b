"""Expected widths come from the law that predicts, and are what measuring turns out to give."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pandas as pd
import pytest

from capspace.fit import (
    BlendedPredictor,
    FittedPredictor,
    Reference,
    RefusedTargetError,
    ScoreTable,
    TargetLaw,
    UnknownNameError,
    load_reference,
    predict_targets,
    z_to_score,
)
from capspace.fit.decide._fitted_outlook import fitted_outlook
from capspace.fit.decide._outlook import Measurements, expected_widths
from capspace.fit.decide._stored_outlook import StoredOutlook, stored_outlook
from capspace.fit.reference import Target
from capspace.fit.reference._sampling_noise import noise_beyond

DAY = date(2025, 6, 30)
CHEAP = ("A", "B", "C", "D")


def modern(**scores: float) -> ScoreTable:
    row = {"GPQA-diamond": 0.62, "MMLU-Pro": 0.75, **scores}
    facts = pd.DataFrame({"release_date": "2025-06", "mode": "thinking"}, index=["mine"])
    return ScoreTable.from_wide(pd.DataFrame(row, index=["mine"]), models=facts)


def test_the_outlook_now_is_what_stored_laws_predict() -> None:
    reference = load_reference("frontier-2026")
    table = modern()
    names = ["hle/no-tools", "scicode/vendor"]
    outlook = stored_outlook(table, "mine", reference, [reference.target(n) for n in names])
    now = outlook.now()
    predicted = predict_targets(table, reference, targets=names)
    assert now.mean == pytest.approx([p.mean for p in predicted])
    assert now.lower == pytest.approx([p.lower for p in predicted])
    assert now.upper == pytest.approx([p.upper for p in predicted])


@pytest.mark.slow
def test_the_outlook_now_is_what_fitted_laws_predict() -> None:
    reference = load_reference()
    row = pd.DataFrame({"MMLU": 0.62, "GSM8K": 0.4}, index=["mine"])
    outlook = fitted_outlook(
        ScoreTable.from_wide(row), "mine", reference, [reference.target("bbh")]
    )
    (predicted,) = TargetLaw("bbh").fit(reference).predict(row)
    now = outlook.now()
    assert (now.mean[0], now.lower[0], now.upper[0]) == pytest.approx(
        (predicted.mean, predicted.lower, predicted.upper)
    )


def planted(n: int, seed: int) -> pd.DataFrame:
    """Return scores of a two-factor model; C tells of the target what A and B do not."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n, 2))
    loadings = np.array([[1, 0], [1, 0], [0.2, 1], [0.9, 0], [0.5, 0.8]])
    z = factors @ loadings.T + 0.25 * rng.normal(size=(n, 5))
    return pd.DataFrame(z_to_score(z), [f"m{seed}-{i}" for i in range(n)], [*CHEAP, "T"])


@pytest.fixture(scope="module")
def laws() -> FittedPredictor:
    scores = planted(120, 1)
    facts = pd.DataFrame(
        {"release_date": "2025-01-01", "provider": [f"p{i % 4}" for i in range(120)]},
        index=scores.index,
    )
    predictor = BlendedPredictor(kind="single-protocol", n_components=2, n_sweeps=40)
    return predictor.fit(scores, facts, cheap=CHEAP, targets=["T"], anchors=[]).fitted_


def outlook_of(laws: FittedPredictor, row: pd.Series, known: tuple[str, ...]) -> StoredOutlook:
    cells = np.array([row[b] if b in known else np.nan for b in CHEAP])
    items = np.full(4, 1000.0)
    target = Target(name="T", label="T", description="", population="all")
    measured = Measurements(CHEAP, cells, np.where(np.isnan(cells), np.nan, items), items)
    nothing = np.zeros(4)
    return StoredOutlook(
        "new", (target,), measured, 0.9, (), laws, (0,), np.array([[2025.0, -1.0]]), nothing,
        nothing,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("measured", [("C",), ("D",), ("C", "D")])
def test_expected_widths_are_those_that_measuring_gives(
    laws: FittedPredictor, measured: tuple[str, ...]
) -> None:
    expected, actual = [], []
    for _, row in planted(60, 2).iterrows():
        outlook = outlook_of(laws, row, ("A", "B"))
        sets = [{CHEAP.index(b): 1000.0 for b in measured}]
        expected.append(expected_widths(outlook, sets)[0, 0])
        actual.append(outlook_of(laws, row, ("A", "B", *measured)).now().width[0])
    assert np.mean(expected) == pytest.approx(np.mean(actual), rel=0.05)


def test_what_tells_more_of_the_target_narrows_more(laws: FittedPredictor) -> None:
    row = planted(1, 3).iloc[0]
    outlook = outlook_of(laws, row, ("A", "B"))
    after_c, after_d = expected_widths(outlook, [{2: 1000.0}, {3: 1000.0}])[:, 0]
    assert after_c < 0.9 * outlook.now().width[0]
    assert after_c < after_d


def test_few_items_narrow_less_than_all(laws: FittedPredictor) -> None:
    outlook = outlook_of(laws, planted(1, 3).iloc[0], ("A", "B"))
    few, some, all_of_them = expected_widths(outlook, [{2: 20.0}, {2: 200.0}, {2: 1000.0}])[:, 0]
    assert all_of_them < some < few


def test_a_score_on_few_items_widens_the_interval_and_may_be_measured_further() -> None:
    reference = load_reference("frontier-2026")
    full, few = modern(), modern()
    rows = few.scores.assign(n_items=[30.0, 12032.0])
    few = ScoreTable(rows, few.models)
    target = [reference.target("hle/no-tools")]
    wide = stored_outlook(few, "mine", reference, target)
    narrow = stored_outlook(full, "mine", reference, target)
    assert wide.now().width[0] > narrow.now().width[0]
    assert "GPQA-diamond" in [wide.measured.benchmarks[j] for j in wide.measured.open()]
    assert "MMLU-Pro" not in [wide.measured.benchmarks[j] for j in wide.measured.open()]


def test_expected_widths_do_not_depend_on_the_order_of_the_table() -> None:
    reference = load_reference("frontier-2026")
    target = [reference.target("hle/no-tools")]
    table = modern()
    other = ScoreTable(table.scores.iloc[::-1].reset_index(drop=True), table.models)
    widths = [
        expected_widths(stored_outlook(t, "mine", reference, target), [{5: 5000.0}, {8: 30.0}])
        for t in (table, other)
    ]
    assert np.array_equal(widths[0], widths[1])


def test_a_refused_target_says_why_unless_forced() -> None:
    reference = load_reference("frontier-2026")
    target = [reference.target("swe-bench-pro/vendor")]
    with pytest.raises(RefusedTargetError, match="refused by its back-test"):
        stored_outlook(modern(), "mine", reference, target)
    forced = stored_outlook(modern(), "mine", reference, target, force=True)
    assert np.isfinite(forced.now().mean[0])


def test_a_refused_target_of_a_study_says_why() -> None:
    reference = load_reference()
    table = ScoreTable.from_wide(pd.DataFrame({"MMLU": 0.62}, index=["mine"]))
    with pytest.raises(RefusedTargetError, match="agentboard: refused by its back-test"):
        fitted_outlook(table, "mine", reference, [reference.target("agentboard")])


def near_nothing(reference: Reference, target: str) -> Reference:
    """Return a reference whose scores of a target are too near 0 to calibrate an interval."""
    scores = reference.table.scores
    own = scores["benchmark"] == target
    return dataclasses.replace(
        reference,
        table=dataclasses.replace(
            reference.table,
            scores=scores.assign(score=scores["score"].where(~own, scores["score"] * 1e-3)),
        ),
    )


def test_a_target_whose_intervals_cannot_be_calibrated_is_refused() -> None:
    reference = near_nothing(load_reference(), "bbh")
    table = ScoreTable.from_wide(pd.DataFrame({"MMLU": 0.62, "GSM8K": 0.4}, index=["mine"]))
    outlook = fitted_outlook(table, "mine", reference, [reference.target("bbh")], force=True)
    with pytest.raises(RefusedTargetError, match=r"^bbh: .*models to fit on score clearly"):
        outlook.now()


@pytest.mark.slow
def test_what_is_no_part_of_the_laws_space_narrows_nothing() -> None:
    reference = load_reference()
    table = ScoreTable.from_wide(pd.DataFrame({"MMLU": 0.62, "HellaSwag": 0.8}, index=["mine"]))
    outlook = fitted_outlook(table, "mine", reference, [reference.target("gsm8k")])
    position = outlook.measured.benchmarks.index("GSM8K")
    assert "GSM8K" not in outlook.laws[0].feature_names_in_
    without = outlook.after([{}, {}])
    for items in (100.0, 1319.0):
        after = outlook.after([{}, {position: items}])
        for part in ("mean", "lower", "upper"):
            assert np.array_equal(getattr(after, part), getattr(without, part))
    inside = outlook.after([{}, {outlook.measured.benchmarks.index("ARC-C"): 100.0}])
    assert not np.array_equal(inside.mean, without.mean)


def test_a_gate_that_scores_open_is_a_note() -> None:
    reference = load_reference("frontier-2026")
    table = modern().select(benchmarks=["MMLU-Pro"])
    outlook = stored_outlook(table, "mine", reference, [reference.target("hle/no-tools")])
    assert any("no number is given yet" in note for note in outlook.notes)


def test_a_model_without_any_score_is_refused() -> None:
    reference = load_reference()
    table = modern().select(benchmarks=["GPQA-diamond"])
    with pytest.raises(UnknownNameError, match="measure one of them first"):
        fitted_outlook(table, "mine", reference, [reference.target("bbh")])


def test_sampling_noise_is_that_of_a_sample_without_replacement() -> None:
    rng = np.random.default_rng(0)
    items = (np.arange(1000) < 300).astype(float)
    means = [rng.permutation(items)[:100].mean() for _ in range(4000)]
    assert noise_beyond(0.3, 100, 1000) == pytest.approx(np.std(means), rel=0.05)
    assert noise_beyond([0.3, 0.3], [1000, np.nan], [1000, 1000]).tolist() == [0, 0]


def test_an_outlook_leaves_the_model_out_of_its_own_laws() -> None:
    reference = load_reference("frontier-2026")
    known = reference.table.select(benchmarks=list(reference.benchmarks))
    name = str(known.scores["model"].iloc[0])
    outlook = stored_outlook(
        known, name, reference, [reference.target("hle/no-tools")], force=True, today=DAY
    )
    assert name not in outlook.laws.models
    assert dataclasses.is_dataclass(outlook)

"""Verdicts save runs, and state how often such verdicts were right."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capspace.fit import (
    Cost,
    FitError,
    Question,
    ScoreTable,
    Verdict,
    draw_cost_and_width,
    judge_run,
    load_reference,
    next_evaluations,
    reference_names,
)
from capspace.fit.decide._judge import _probability, _require_number
from capspace.fit.decide._next import _targets
from capspace.fit.decide._options import make_outlook, options_of
from capspace.fit.decide._path import criterion
from capspace.fit.decide._track_record import skips_and_rights, track_record
from capspace.fit.errors import RefusedTargetError, TableError
from capspace.fit.prediction._attainable import attainable_score, upward_quantile
from capspace.fit.reference.left_out import LeftOut, left_out_of, read_left_out, write_left_out

TABLE = ScoreTable.from_wide(
    pd.DataFrame({"MMLU": 0.62, "HellaSwag": 0.81, "GSM8K": 0.4}, index=["mine"])
)
PRICES = {"HumanEval": Cost(1, "device-hours"), "ARC-C": Cost(1, "device-hours")}


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    return judge_run(
        TABLE,
        load_reference(),
        target="bbh",
        cost=Cost(120, "device-hours"),
        question=Question(threshold=0.5),
        prices=PRICES,
    )


def planted(n: int, seed: int = 0) -> LeftOut:
    """Return predictions with normal errors, of which 90% lie inside, on four targets."""
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(0.3, 0.7, n)
    half = rng.uniform(0.02, 0.15, n)
    score = predicted + half / 1.645 * rng.normal(size=n)
    target = np.array([f"t{i % 4}" for i in range(n)])
    return LeftOut(target, predicted, predicted - half, predicted + half, score)


def test_measuring_first_saves_what_its_chance_is_worth(verdict: Verdict) -> None:
    assert verdict.decision == "measure first"
    step, chance = verdict.steps[verdict.n_steps - 1], verdict.chances[verdict.n_steps - 1]
    assert step.total is not None
    assert verdict.saving == pytest.approx(120 * chance - step.total.amount)
    assert f"{step.measurement.benchmark} for {step.total} would answer" in verdict.reason


def test_a_verdict_stands_beside_its_track_record(verdict: Verdict) -> None:
    assert verdict.record is not None
    assert (verdict.record.n, verdict.record.right) == (75, verdict.record.skipped)
    assert verdict.mean < verdict.attainable < 1
    assert verdict.probability == pytest.approx(0.09, abs=0.03)
    assert verdict.to_dict()["record"]["n"] == 75


def test_a_question_is_one_of_two() -> None:
    with pytest.raises(FitError, match="one of the two"):
        Question()
    with pytest.raises(FitError, match="threshold is 2"):
        Question(threshold=2)


@pytest.mark.slow
def test_the_wider_of_two_tolerances_saves_the_run() -> None:
    settings = {"target": "bbh", "cost": Cost(9, "usd")}
    strict, wide = (
        judge_run(TABLE, load_reference(), question=Question(tolerance=t), **settings)
        for t in (0.01, 0.2)
    )
    assert (strict.decision, wide.decision) == ("run", "skip")
    assert (strict.saving, wide.saving) == (0, 9)


def test_planted_verdicts_are_right_as_often_as_intervals_are() -> None:
    left_out = planted(8000)
    skipped, right = skips_and_rights(left_out, threshold=None, tolerance=0.1)
    assert skipped.mean() == pytest.approx((left_out.upper - left_out.predicted <= 0.1).mean())
    assert right[skipped].mean() > 0.9
    skipped, right = skips_and_rights(left_out, threshold=0.5, tolerance=None)
    # Beyond either end of an interval lie 5%; further away there are fewer.
    assert 0.95 < right[skipped].mean() < 1


def test_a_track_record_counts_the_target_and_all() -> None:
    left_out = planted(400)
    record = track_record(left_out, "t1", threshold=None, tolerance=0.1)
    own = left_out.of("t1")
    assert (record.n, record.n_all) == (100, 400)
    assert record.skipped == int(((own.upper - own.lower) / 2 <= 0.1).sum())
    assert record.skipped <= record.skipped_all
    nothing = track_record(left_out, "t9", threshold=0.5, tolerance=None)
    assert "no model was left out" in str(nothing)


def test_a_tenth_of_models_exceed_what_is_attainable() -> None:
    known, new = planted(2000), planted(4000, seed=1)
    reach = np.array(
        [
            attainable_score(known, mean=m, upper=u)
            for m, u in zip(new.predicted, new.upper, strict=True)
        ]
    )
    assert (new.score > reach).mean() == pytest.approx(0.1, abs=0.02)
    assert np.isnan(attainable_score(planted(20), mean=0.5, upper=0.6))


def test_quantiles_leave_room_for_a_new_model() -> None:
    assert upward_quantile(np.arange(1.0, 10.0), 0.1) == 9
    assert upward_quantile(np.arange(1.0, 100.0), 0.1) == 90


@pytest.mark.parametrize("name", reference_names())
def test_packaged_references_state_predictions_of_models_left_out(name: str) -> None:
    reference = load_reference(name)
    left_out = left_out_of(reference)
    assert left_out is not None
    refused = {n for n, e in reference.evaluations.items() if e.status == "refused"}
    assert set(left_out.names) <= set(reference.targets) - refused
    inside = (left_out.lower <= left_out.score) & (left_out.score <= left_out.upper)
    assert 0.85 < inside.mean() < 0.98


def test_predictions_of_models_left_out_are_written_and_read(tmp_path: Path) -> None:
    assert read_left_out(tmp_path) is None
    left_out = planted(12)
    write_left_out([left_out.of(name) for name in left_out.names], tmp_path)
    again = read_left_out(tmp_path)
    assert again is not None
    assert again.of("t2").score == pytest.approx(left_out.of("t2").score, abs=1e-4)
    (tmp_path / "left-out.csv").write_text("target,predicted\nbbh,0.5\n")
    with pytest.raises(TableError, match="no column 'lower'"):
        read_left_out(tmp_path)
    (tmp_path / "left-out.csv").write_text("target,predicted,lower,upper,score\nbbh,x,0,1,0.5\n")
    with pytest.raises(TableError, match=r"left-out\.csv"):
        read_left_out(tmp_path)


def test_several_targets_count_in_units_of_their_own_widths() -> None:
    assert criterion(np.array([0.1, 0.2]), np.array([0.1, 0.4])) == pytest.approx(
        np.sqrt((1 + 0.25) / 2)
    )
    assert criterion(np.array([0.05]), np.array([0.1])) == pytest.approx(0.5)


@pytest.mark.slow
def test_benchmarks_after_the_first_add_to_it() -> None:
    result = next_evaluations(TABLE, load_reference(), prices=PRICES, targets=["bbh", "gsm8k"])
    assert [s.measurement.cost for s in result.single[:2]] == [Cost(1, "device-hours")] * 2
    assert result.single[-1].measurement.cost is None
    totals = [s.total.amount for s in result.path if s.total is not None]
    assert totals == list(range(1, len(totals) + 1))
    frame = result.to_frame()
    assert frame.loc[0, "place"] == 1
    assert {"bbh", "gsm8k", "saved"} <= set(frame.columns)
    assert draw_cost_and_width(result).axes[0].get_xlabel() == "Cost of measuring, GPU-hours"


@pytest.mark.slow
def test_a_verdict_is_drawn_with_what_is_wanted() -> None:
    settings = {"target": "bbh", "cost": Cost(9, "device-hours"), "prices": PRICES}
    result = judge_run(TABLE, load_reference(), question=Question(tolerance=0.05), **settings)
    texts = {text.get_text() for text in draw_cost_and_width(result).axes[0].texts}
    assert "wanted" in texts
    done = judge_run(TABLE, load_reference(), question=Question(tolerance=0.2), **settings)
    with pytest.raises(ValueError, match="no benchmark"):
        draw_cost_and_width(done)


MODERN = {"target": "hle/no-tools", "cost": Cost(250, "usd"), "question": Question(threshold=0.3)}


def dated(scores: dict[str, float], release_date: str = "2025-06") -> ScoreTable:
    facts = pd.DataFrame({"release_date": release_date, "mode": "thinking"}, index=["mine"])
    return ScoreTable.from_wide(pd.DataFrame(scores, index=["mine"]), models=facts)


def test_a_prediction_that_gives_no_number_has_no_verdict() -> None:
    reference = load_reference("frontier-2026")
    few = dated({"GPQA-diamond": 0.3})
    with pytest.raises(RefusedTargetError, match="no number is given: fewer than 2"):
        judge_run(few, reference, **MODERN)
    assert judge_run(few, reference, force=True, **MODERN).decision
    scores = {"GPQA-diamond": 0.62, "MMLU-Pro": 0.75}
    with pytest.raises(RefusedTargetError, match="more than 6 months after"):
        judge_run(dated(scores, "2031-01"), reference, **MODERN)


def test_a_verdict_on_a_weak_target_says_so_and_why() -> None:
    reference = load_reference("frontier-2026")
    table = dated({"GPQA-diamond": 0.62, "MMLU-Pro": 0.75})
    weak = judge_run(table, reference, **{**MODERN, "target": "mcpmark/vendor"})
    assert weak.caution == "weak: 15 models tested, 20 wanted"
    assert weak.to_dict()["caution"] == weak.caution


def test_a_verdict_without_a_release_date_says_which_is_assumed() -> None:
    table = dated({"GPQA-diamond": 0.62, "MMLU-Pro": 0.75}, "")
    day = date(2026, 3, 1)
    settings = {**MODERN, "target": "mcpmark/vendor"}
    given = judge_run(table, load_reference("frontier-2026"), today=day, **settings)
    assert not any("release_date" in note for note in given.notes)


def test_a_number_that_is_none_or_beyond_all_scores_is_not_judged() -> None:
    reference = load_reference("frontier-2026")
    name = "hle/no-tools"
    with pytest.raises(RefusedTargetError, match="the prediction is not finite"):
        _require_number(reference, name, (0.5, float("nan"), 0.6), force=True)
    with pytest.raises(RefusedTargetError, match="the interval lies above every model") as refused:
        _require_number(reference, name, (0.995, 0.99, 1.0), force=False)
    assert refused.value.can_force
    _require_number(reference, name, (0.995, 0.99, 1.0), force=True)
    _require_number(load_reference(), "bbh", (0.995, 0.99, 1.0), force=False)


@pytest.mark.parametrize(
    ("mean", "lower", "upper", "probability"),
    [
        (0.5, 0.4, 0.6, 0.5),
        (0.4, 0.3, 0.5, 0.05),
        (0.6, 0.5, 0.9, 0.95),
        (0.6, 0.6, 0.6, 1.0),
        (0.4, 0.4, 0.4, 0.0),
    ],
)
def test_each_half_of_an_interval_is_normal(
    mean: float, lower: float, upper: float, probability: float
) -> None:
    question = Question(threshold=0.5)
    assert _probability(mean, lower, upper, 0.9, question) == pytest.approx(probability)


def test_what_could_be_measured_is_what_is_left_of_what_predicts() -> None:
    reference = load_reference()
    table = ScoreTable.from_records(
        [
            {"model": "mine", "benchmark": "MMLU", "score": 0.62},
            {"model": "mine", "benchmark": "HellaSwag", "score": 0.8, "n_items": 200},
        ]
    )
    target = reference.target("bbh").model_copy(update={"drop": ("GSM8K",)})
    outlook = make_outlook(table, "mine", reference, [target])
    names = [m.benchmark for m in options_of(outlook, reference, {})]
    assert {"HellaSwag", "ARC-C"} <= set(names)
    assert not {"MMLU", "GSM8K"} & set(names)
    few = [m.benchmark for m in options_of(outlook, reference, {}, n_items=200)]
    assert few == [name for name in names if name != "HellaSwag"]
    prices = {"ARC-C": Cost(1, "usd"), "GSM8K": Cost(1, "tokens")}
    with pytest.raises(FitError, match="prices are in tokens and in usd; give all in one unit"):
        options_of(outlook, reference, prices)


def test_a_reference_whose_targets_are_all_refused_has_nothing_to_predict() -> None:
    reference = load_reference()
    board = reference.target("agentboard")
    assert _targets(reference, ["agentboard", "AgentBoard"]) == ([board], ())
    only = replace(reference, targets={board.name: board})
    with pytest.raises(RefusedTargetError, match="every target of the reference is refused"):
        _targets(only, None)

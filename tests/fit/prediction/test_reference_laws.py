"""Stored laws predict offered targets with intervals and baselines, and gates refuse the rest."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capspace.fit import (
    Reference,
    ScoreTable,
    complete_table,
    load_reference,
    place_model,
    predict_targets,
    write_report,
)
from capspace.fit.completion._baselines import BASELINES
from capspace.fit.errors import FitError, UnknownNameError

MINE = {"GPQA-diamond": 0.66, "MMLU-Pro": 0.78, "IFEval": 0.86, "AIME 2025": 0.7}


@pytest.fixture(scope="module")
def frontier() -> Reference:
    return load_reference("frontier-2026")


def row(scores: dict[str, float], name: str = "mine", **facts: str) -> ScoreTable:
    about = pd.DataFrame(facts, index=[name])
    return ScoreTable.from_wide(pd.DataFrame(scores, index=[name]), models=about)


def test_offered_targets_have_intervals_beside_the_baselines(frontier: Reference) -> None:
    predictions = predict_targets(row(MINE, release_date="2025-09", mode="thinking"), frontier)
    assert [p.target for p in predictions] == list(frontier.targets)
    offered = [p for p in predictions if p.status == "offered"]
    assert len(offered) >= 8
    for p in offered:
        assert 0 <= p.lower < p.mean < p.upper <= 1
        assert p.reason == ""
        assert tuple(p.baselines) == BASELINES
        assert p.nearest_model in frontier.table.models.index
        assert p.single_benchmark in MINE
        assert p.evaluation is not None


def test_refused_targets_have_numbers_by_force_alone(frontier: Reference) -> None:
    table = row(MINE, release_date="2025-09", mode="thinking")
    (refused,) = predict_targets(table, frontier, targets=["bfcl-v4/multi-turn"])
    assert refused.status == "refused"
    assert np.isnan(refused.mean)
    assert "baseline does as well" in refused.reason
    (forced,) = predict_targets(table, frontier, targets=["bfcl-v4/multi-turn"], force=True)
    assert forced.lower < forced.mean < forced.upper
    assert forced.reason == refused.reason


@pytest.mark.parametrize(
    ("scores", "facts", "reason"),
    [
        (MINE, {"release_date": "2027-01"}, "more than 6 months after the last model"),
        (MINE, {}, "more than 6 months after the last model"),
        ({"GPQA-diamond": 0.6}, {"release_date": "2025"}, "fewer than 2"),
        (
            {"IFEval": 0.8, "GSM8K": 0.9},
            {"release_date": "2025"},
            "needs the model's score on GPQA-diamond or MMLU-Pro",
        ),
    ],
    ids=["late", "undated", "one-score", "no-anchor"],
)
def test_gates_give_reasons_instead_of_numbers(
    frontier: Reference, scores: dict[str, float], facts: dict[str, str], reason: str
) -> None:
    (p,) = predict_targets(
        row(scores, **facts), frontier, targets=["hle/no-tools"], today=date(2026, 11, 28)
    )
    assert reason in p.reason
    undated = "with the given release date, 2026-11-28, the model was released more than 6"
    assert p.reason.startswith(undated) == (not facts)
    assert p.notes == ()
    assert np.isnan(p.mean)
    assert p.to_dict()["mean"] is None


def test_several_references_predict_what_each_has(frontier: Reference) -> None:
    epoch = load_reference("epoch-2026")
    scores = {**MINE, "MATH level 5": 0.93, "OTIS Mock AIME": 0.55}
    table = row(scores, release_date="2025-09", mode="thinking")
    both = predict_targets(table, [frontier, epoch], targets=["hle/no-tools", "mmmu/val"])
    assert [(p.reference, p.target) for p in both] == [
        ("frontier-2026", "hle/no-tools"),
        ("frontier-2026", "mmmu/val"),
        ("epoch-2026", "hle/no-tools"),
    ]
    assert both[2:] == predict_targets(table, epoch, targets=["hle/no-tools"])
    every = predict_targets(table, [frontier, epoch])
    assert len(every) == len(frontier.targets) + len(epoch.targets)
    assert repr(both) == "TargetPredictions(1 model × 2 targets)"
    frame = both.to_frame()
    assert frame["prediction"].tolist() == [p.mean for p in both]
    assert frame["single"].tolist() == [p.baselines["single"] for p in both]
    assert "TargetPredictions(1 model" in both._repr_html_()


def test_several_references_that_cannot_all_answer_are_refused(frontier: Reference) -> None:
    epoch, table = load_reference("epoch-2026"), row(MINE, release_date="2025-09")
    with pytest.raises(FitError, match="frontier-2026 is given twice"):
        predict_targets(table, [frontier, frontier])
    with pytest.raises(UnknownNameError, match="epoch-2026 has none of the targets mmmu/val"):
        predict_targets(table, [frontier, epoch], targets=["mmmu/val"])
    alone = row({"IFEval": 0.8, "MMLU-Pro": 0.7}, release_date="2025-09")
    with pytest.raises(UnknownNameError, match="no benchmark of the reference epoch-2026"):
        predict_targets(alone, [frontier, epoch])


def test_a_date_that_is_assumed_is_stated_once(frontier: Reference) -> None:
    undated = row(MINE)
    predictions = predict_targets(undated, frontier, today=date(2025, 9, 1))
    assert {note for p in predictions for note in p.notes} == set()
    today = date.today().isoformat()
    for p in predict_targets(undated, frontier, targets=["hle/no-tools", "bfcl-v4/multi-turn"]):
        assert sum(f"{today} is assumed" in text for text in (p.reason, *p.notes)) == 1
        assert "column release_date" in f"{p.reason} {p.notes}"


@pytest.mark.slow
def test_a_reference_model_is_left_out_of_the_laws_that_predict_it(frontier: Reference) -> None:
    scores = frontier.scores().loc["claude-sonnet-4.5"].dropna().to_dict()
    (own,) = predict_targets(row(scores, "claude-sonnet-4.5"), frontier, targets=["mmmu/val"])
    (other,) = predict_targets(
        row({b: s + 0.002 for b, s in scores.items()}, "unheard-of", release_date="2025-09-29"),
        frontier,
        targets=["mmmu/val"],
    )
    assert own.nearest_model != "claude-sonnet-4.5"
    assert own.mean != other.mean
    assert abs(own.mean - other.mean) < 0.1
    (spelled,) = predict_targets(
        row(scores, "anthropic/Claude-Sonnet-4.5"), frontier, targets=["mmmu/val"]
    )
    assert spelled.mean == pytest.approx(own.mean)
    assert "claude-sonnet-4.5 (another spelling)" in spelled.notes[0]


def test_a_models_own_score_on_a_target_never_helps_to_predict_it(frontier: Reference) -> None:
    facts = {"release_date": "2025-09", "mode": "thinking"}
    names = ["hle/no-tools", "mmmu/val"]
    plain = predict_targets(row(MINE, **facts), frontier, targets=names)
    with_target = predict_targets(
        row({**MINE, "hle/no-tools": 0.9}, **facts), frontier, targets=names
    )
    assert [p.mean for p in plain] == [p.mean for p in with_target]


def test_a_reference_without_laws_says_what_fits_its_targets() -> None:
    with pytest.raises(FitError, match=r"study-2024 has no stored laws .* TargetLaw"):
        predict_targets(row({"MMLU": 0.6}), load_reference())


def test_a_table_of_other_benchmarks_cannot_be_completed(frontier: Reference) -> None:
    with pytest.raises(UnknownNameError, match="frontier-2026 knows none of Chess; it has GPQA"):
        complete_table(row({"Chess": 0.5}), frontier)


def test_unknown_targets_are_named(frontier: Reference) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'hle/no-tools'"):
        predict_targets(row(MINE), frontier, targets=["hle/notools"])


@pytest.mark.slow
def test_a_model_is_placed_among_this_years_and_reported(
    frontier: Reference, tmp_path: Path
) -> None:
    table = row(MINE, release_date="2025-09", mode="thinking")
    placement = place_model(table, frontier, targets=["mmmu/val", "swe-bench-pro/vendor"])
    (prediction,) = placement.predictions
    (alone,) = predict_targets(table, frontier, targets=["mmmu/val"])
    assert (prediction.mean, prediction.lower) == (alone.mean, alone.lower)
    assert set(placement.unpredicted) == {"swe-bench-pro/vendor"}
    assert len(placement.points) > 100
    assert write_report(placement, tmp_path).is_file()


@pytest.mark.slow
def test_an_interval_beyond_every_model_is_refused_and_forced_alone(frontier: Reference) -> None:
    low = {"GPQA-diamond": 0.3, "MMLU-Pro": 0.3, "IFEval": 0.6, "GSM8K": 0.6, "MMLU": 0.55}
    table = row(low, release_date="2025-06", mode="chat")
    names = ["hle/no-tools", "mmmu/val"]
    below, inside = predict_targets(table, frontier, targets=names)
    why = "the interval lies below every model of the reference (lowest 0.037)"
    assert (below.gate, below.reason) == (why, why)
    assert np.isnan(below.mean)
    assert inside.lower < inside.mean
    (forced,) = predict_targets(table, frontier, targets=names[:1], force=True)
    assert forced.upper < 0.037
    assert forced.gate == why
    placed = place_model(table, frontier, targets=names)
    assert placed.unpredicted == {"hle/no-tools": why}
    filled = complete_table(table, frontier).set_index("benchmark")
    refused = filled[filled["gate"].str.startswith("the interval lies below")]
    assert refused["score"].isna().all()
    assert len(refused)
    usual = row(MINE, release_date="2025-09")
    (p,) = predict_targets(usual, frontier, targets=["hle/no-tools"])
    assert (p.gate, p.notes) == ("", ())

"""Averages, copies and the target under another name never enter a space unseen."""

import json

import numpy as np
import pandas as pd
import pytest
from checkout import SHARED

from capspace.fit.analyses import gain_problem
from capspace.fit.errors import DegenerateError
from capspace.fit.law.problem import make_problem
from capspace.fit.table import ScoreTable
from capspace.fit.table.columns import find_averages, same_as_target
from capspace.fit.table.readers import read_table

TABLES = SHARED / "results/obsscaling"
NAMES = [f"B{i}" for i in range(1, 8)]


def planted(n=40, p=7, seed=0, digits=4):
    """Scores (n, p) of one strong factor, written with few digits, as benchmarks are."""
    rng = np.random.default_rng(seed)
    skill = rng.normal(size=(n, 1))
    x = 1 / (1 + np.exp(-(skill * rng.uniform(0.5, 1, p) + 0.2 * rng.normal(size=(n, p)))))
    return pd.DataFrame(x, columns=NAMES[:p]).round(digits)


@pytest.mark.parametrize("n", [6, 12, 150])
@pytest.mark.parametrize("digits", [3, 4])
def test_a_mean_of_all_or_of_some_is_found(n, digits):
    x = planted(n)
    every = find_averages(x.assign(Average=x.mean(axis=1).round(digits)))
    assert every == {"Average": f"an average of {', '.join(NAMES)}"}
    six = x[NAMES[:6]].mean(axis=1).round(4)
    shuffled = pd.concat([six.rename("mean of six"), x], axis=1)
    assert find_averages(shuffled) == {"mean of six": f"an average of {', '.join(NAMES[:6])}"}


def test_a_mean_is_found_where_cells_are_missing():
    x = planted(60)
    average = x.mean(axis=1).round(4)
    x = x.mask(np.random.default_rng(1).random(x.shape) < 0.1)
    assert list(find_averages(x.assign(Average=average.where(x.notna().all(axis=1))))) == [
        "Average"
    ]


def test_a_weighted_average_and_a_copy_are_found():
    x = planted(60)
    weighted = (0.5 * x["B1"] + 0.3 * x["B3"] + 0.2 * x["B6"]).round(4)
    assert find_averages(x.assign(W=weighted)) == {"W": "an average of B1, B3, B6"}
    assert find_averages(x.assign(again=x["B2"])) == {"again": "the same as B2"}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [3, 4, 8, 40])
def test_benchmarks_are_no_averages(n, seed):
    for digits in (2, 3, 4):
        assert find_averages(planted(n, seed=seed, digits=digits)) == {}


@pytest.mark.slow
@pytest.mark.skipif(not TABLES.is_dir(), reason="no ../shared/data/results/obsscaling")
def test_published_tables_have_no_averages():
    for path in sorted(TABLES.glob("*_eval*.csv")):
        wide = read_table(path).wide()
        if wide.shape[1] < 40:
            assert find_averages(wide) == {}, path


@pytest.mark.parametrize(
    ("column", "target"),
    [
        ("mmlu (5-shot)", "MMLU"),
        ("MMLU_acc", "mmlu"),
        ("GSM8K CoT", "gsm8k-cot"),
        ("SWE-bench score (%)", "swe_bench"),
    ],
)
def test_a_variant_of_the_targets_name_is_the_target(column, target):
    x = planted(5)
    result = same_as_target(
        x.assign(**{column: planted(5, seed=3)["B1"]}), x["B1"] * 0 + 0.5, target
    )
    assert list(result) == [column]
    assert "has the name of the target" in result[column]


@pytest.mark.parametrize(
    ("column", "target"),
    [("MMLU-Pro", "MMLU"), ("GSM8K", "GSM8K CoT"), ("ARC-E", "ARC-C"), ("5-shot", "score")],
)
def test_other_names_are_other_benchmarks(column, target):
    x = planted(5)
    assert (
        same_as_target(x[["B1"]].rename(columns={"B1": column}), planted(5, seed=4)["B2"], target)
        == {}
    )


@pytest.mark.parametrize("scale", [1.0, 0.01, 100.0])
def test_the_targets_scores_under_another_name_are_found(scale):
    x, truth = planted(30), planted(30, seed=9)["B1"].rename("T")
    noisy = (truth + 0.02 * np.random.default_rng(0).normal(size=30)).clip(0, 1)
    result = same_as_target(x.assign(other=(truth * scale).round(6), near=noisy), truth, "T")
    assert list(result) == ["other"]


def test_the_targets_error_rate_is_the_target():
    x, truth = planted(30), planted(30, seed=9)["B1"].rename("T")
    result = same_as_target(x.assign(error=(1 - truth).round(4)), truth, "T")
    assert result == {"error": "its scores are those of the target T, turned round"}


def problem(x, truth, **options):
    facts = pd.DataFrame({"family": [f"F{i % 5}" for i in range(len(x))]}, index=x.index)
    return make_problem(x, truth, facts, name="T", **options)


def test_a_problem_keeps_them_out_of_its_space_and_says_so():
    x, truth = planted(40), planted(40, seed=9)["B1"]
    whole = x.assign(Average=x.mean(axis=1).round(4), hidden=truth, half=((truth + x["B1"]) / 2))
    result = problem(whole, truth)
    assert list(result.scores.columns) == NAMES
    assert result.benchmark_chance.shape == (7,)
    notes = "\n".join(result.notes)
    assert f"Average left out of the space: an average of {', '.join(NAMES)}" in notes
    assert "hidden left out of the space: its scores are those of the target T" in notes
    assert "half left out of the space: an average of B1, T" in notes
    remaining = problem(whole, truth, keep=True)
    assert remaining.scores.shape == (40, 10)
    assert "hidden stays in the space" in "\n".join(remaining.notes)
    with pytest.raises(DegenerateError, match="no benchmark is left to predict T from; hidden"):
        problem(whole[["hidden"]], truth)


def test_a_target_that_is_an_average_is_told():
    x = planted(40)
    result = problem(x, x[["B1", "B2"]].mean(axis=1).round(4))
    assert result.notes == ("the target T is an average of B1, B2: its law is arithmetic",)
    assert list(result.scores.columns) == NAMES


def test_the_treated_score_under_another_name_stays_out_too():
    x, before = planted(40), planted(40, seed=9)["B1"]
    after = (before + 0.1 * planted(40, seed=3)["B2"]).clip(0, 1)
    facts = pd.DataFrame({"family": [f"F{i % 5}" for i in range(40)]}, index=x.index)
    whole = ScoreTable.from_wide(x.assign(CoT=after, T=before, hidden=after), models=facts)
    before, after = (s.rename(index=str) for s in (before.rename("T"), after.rename("CoT")))
    result, _ = gain_problem(whole, before, after)
    assert list(result.scores.columns) == NAMES
    assert any("hidden left out of the space" in note for note in result.notes)


@pytest.mark.slow
def test_commands_leave_averages_out_unless_told(capspace, zoo, tmp_path):
    frame = pd.read_csv(zoo)
    benchmarks = ["MMLU", "ARC-C", "HellaSwag", "GSM8K"]
    frame = frame.round(4)
    frame["Average"] = frame[benchmarks].mean(axis=1).round(4)
    frame["agents (%)"] = frame["Agents"]
    path = tmp_path / "zoo.csv"
    frame.to_csv(path, index=False)
    both = (path, "--drop", "Agents, treated")
    command = ("space", *both, "--drop", "Agents", "--drop", "agents (%)", "--json")
    result = json.loads(capspace(*command).out)
    assert result["benchmarks"] == benchmarks
    assert any("Average left out of the space" in note for note in result["notes"])
    assert "Average" in json.loads(capspace(*command, "--keep").out)["benchmarks"]
    command = ("backtest", *both, "--target-column", "Agents", "--components", "2", "--json")
    result = json.loads(capspace(*command).out)
    assert list(result["weights"]) == benchmarks
    assert any("agents (%) left out of the space" in note for note in result["notes"])


def test_a_model_spelled_twice_is_told():
    x, truth = planted(40), planted(40, seed=9)["B1"]
    names = ["org/Model-7b-hf", "model-7b", *(f"other-{i}b" for i in range(38))]
    x.index = truth.index = pd.Index(names)
    (note,) = problem(x, truth).notes
    assert note.startswith("model-7b is org/Model-7b-hf in another spelling: keep one")
    moved = truth.rename({"other-3b": "some/Other_3B"})
    notes = problem(x.drop("model-7b"), moved.drop("model-7b")).notes
    assert "some/Other_3B of the target is other-3b in another spelling" in notes[1]

"""Scores that stand for missing ones, and scores of another protocol, are told and left out."""

import json

import numpy as np
import pandas as pd
import pytest
from checkout import SHARED

from capspace.fit import ScoreTable, TwoView, load_reference, place_model
from capspace.fit.errors import TableError
from capspace.fit.prediction import TargetLaw
from capspace.fit.table.comparable import not_comparable
from capspace.fit.table.doubtful import is_far_below_chance, leave_out_doubtful
from capspace.fit.table.readers import read_table
from capspace.fit.table.writers import write_table

FAULTS = SHARED / "faults/missing-as-zero"
FAST = TwoView(n_refits=4)
VALUES = {
    "MMLU": 0.45, "ARC-C": 0.53, "HellaSwag": 0.78, "Winogrande": 0.74, "TruthfulQA": 0.39,
    "XWinograd": 0.75, "HumanEval": 0.13, "GSM8K": 0.14,
}  # fmt: skip
CHANCE = {"MMLU": 0.25, "XWinograd": 0.5, "GSM8K": 0.0, "HumanEval": 0.0}


@pytest.fixture(scope="module")
def reference():
    return load_reference()


def table(*rows, **columns):
    records = [dict(zip(("model", "benchmark", "score"), row, strict=True)) for row in rows]
    return ScoreTable.from_records([{**r, **columns} for r in records])


@pytest.mark.parametrize(
    ("score", "chance", "n_items", "far"),
    [
        (0.0, 0.25, np.nan, True),
        (0.11, 0.25, np.nan, True),
        (0.13, 0.25, np.nan, False),  # more than half of chance
        (0.0, 0.25, 10, False),  # ten items may all be wrong
        (0.0, 0.25, 100, True),
        (0.0, 0.5, 12, True),
        (0.20, 0.25, 14042, False),  # far in standard errors only: models do that
        (0.0, 0.0, 1319, False),
        (np.nan, 0.25, 100, False),
        (0.0, np.nan, 100, False),
    ],
)
def test_what_is_far_below_chance(score, chance, n_items, far):
    assert bool(is_far_below_chance(score, chance, n_items)) is far


def test_guessing_is_never_far_below_chance():
    rng = np.random.default_rng(0)
    for chance in (0.1, 0.25, 0.5):
        for n in (5, 20, 100, 1000):
            scores = rng.binomial(n, chance, 20_000) / n
            assert is_far_below_chance(scores, chance, n).mean() < 0.002


def test_no_model_of_the_reference_is_far_below_chance(reference):
    scores = reference.scores()
    far = is_far_below_chance(scores, reference.chance(scores.columns))
    assert far.sum() == 0


def test_it_is_left_out_and_told_or_kept_and_told():
    whole = table(("a", "MMLU", 0.0), ("a", "GSM8K", 0.3), ("b", "mmlu", 0.05), ("b", "GSM8K", 0.0))
    left = leave_out_doubtful(whole, CHANCE)
    assert [tuple(r) for r in left.scores[["model", "benchmark"]].to_numpy()] == [
        ("a", "GSM8K"),
        ("b", "GSM8K"),  # 0.05 is no 0: the table does not write 0 for missing
    ]
    (note,) = left.notes
    assert note == (
        "far below chance, left out: a: MMLU is 0 (chance 0.25); b: mmlu is 0.05 (chance 0.25)"
    )
    used = leave_out_doubtful(whole, CHANCE, keep=True)
    assert len(used) == 4
    assert used.notes == (note.replace("left out", "kept"),)
    assert leave_out_doubtful(table(("a", "MMLU", 0.2)), CHANCE).notes == ()


def test_a_zero_beside_an_impossible_zero_goes_with_it():
    left = leave_out_doubtful(
        table(
            ("a", "XWinograd", 0.0), ("a", "GSM8K", 0.0), ("b", "GSM8K", 0.0), ("a", "MMLU", 0.4)
        ),
        CHANCE,
    )
    assert [tuple(r) for r in left.scores[["model", "benchmark"]].to_numpy()] == [
        ("b", "GSM8K"),
        ("a", "MMLU"),
    ]
    assert left.notes[1] == "0 beside a 0 far below chance, left out: a: GSM8K"


def test_zeros_that_are_possible_are_used_and_several_are_told():
    whole = table(("a", "GSM8K", 0.0), ("a", "HumanEval", 0.0), ("b", "HumanEval", 0.0))
    left = leave_out_doubtful(whole, CHANCE)
    assert len(left) == 3
    assert left.notes == (
        "exactly 0 and used: a: GSM8K, HumanEval; leave a cell empty where nothing was measured",
    )


@pytest.mark.slow
def test_python_predicts_as_if_the_zero_were_missing(reference):
    rows = {"zero": {**VALUES, "XWinograd": 0.0}, "gap": {**VALUES, "XWinograd": np.nan}}
    frame = pd.DataFrame(rows).T
    law = TargetLaw("bbh", method=FAST).fit(reference)
    zero, gap = law.predict(frame)
    assert zero.missing == gap.missing == ("XWinograd",)
    assert [zero.mean, zero.lower] == pytest.approx([gap.mean, gap.lower], abs=1e-3)
    assert "XWinograd is 0 (chance 0.5)" in zero.notes[0]
    assert gap.notes == ()
    used, _ = law.predict(frame, keep=True)
    assert used.mean != zero.mean
    assert used.missing == ()


@pytest.mark.slow
def test_a_place_leaves_it_out_and_says_so(reference):
    wide = pd.DataFrame([{**VALUES, "MMLU": 0.01}], index=["mine"])
    placement = place_model(ScoreTable.from_wide(wide), reference, targets=[])
    assert placement.missing == {"MMLU": "its score is far below chance"}
    assert any("MMLU is 0.01 (chance 0.25)" in note for note in placement.notes)
    assert len(placement.table) == 8
    used = place_model(ScoreTable.from_wide(wide), reference, targets=[], keep=True)
    assert used.missing == {}
    few = table(("mine", "MMLU", 0.0), n_items=8)
    assert place_model(few, reference, targets=[]).scores["MMLU"] == 0.0


@pytest.mark.slow
@pytest.mark.skipif(not FAULTS.is_dir(), reason="no ../shared/data/faults")
def test_predict_leaves_out_the_zeros_of_a_table_unless_told(capspace, tmp_path):
    def run(path, *more):
        shown = json.loads(capspace("predict", path, "--target", "bbh", "--json", *more).out)
        return shown["predictions"][0], shown["notes"]

    zero, notes = run(FAULTS / "zero.csv")
    path = tmp_path / "gaps.csv"
    path.write_text((FAULTS / "zero.csv").read_text().replace(",0,0,0", ",,,"))
    gaps, none = run(path)
    assert [note for note in none if "sampling error" not in note] == []
    assert (zero["mean"], zero["upper"]) == (gaps["mean"], gaps["upper"])
    assert set(zero["missing"]) == {"XWinograd", "HumanEval", "GSM8K"}
    assert notes[0] == "far below chance, left out: mine: XWinograd is 0 (chance 0.5)"
    used, notes = run(FAULTS / "zero.csv", "--keep")
    assert used["missing"] == []
    assert "kept" in notes[0]


@pytest.mark.slow
def test_every_command_that_reads_a_table_leaves_it_out(capspace, zoo, tmp_path):
    frame = pd.read_csv(zoo)
    frame.loc[3, "MMLU"] = 0.0
    path = tmp_path / "zoo.csv"
    frame.to_csv(path, index=False)
    table = (path, "--drop", "Agents, treated")
    target = ("--target-column", "Agents")
    base = ("--target-scores", zoo, "--base", "Agents", "--treated", "Agents, treated")
    few = ("--components", "2", "--json")
    ledger = ("--ledger", tmp_path / "ledger.jsonl", "--json")
    for command in (
        ("backtest", *table, *target, *few),
        ("gain", *table, *base, *few),
        ("space", *table, "--json"),
        ("efficiency", *table, "--reference-family", "F1", *few),
        ("select", *table, "--model-budget", "10", *few),
    ):
        notes = json.loads(capspace(*command).out)["notes"]
        assert "far below chance, left out: org0/m3: MMLU is 0 (chance 0.25)" in notes, command
    notes = json.loads(capspace("space", *table, "--json", "--keep").out)["notes"]
    assert "far below chance, kept: org0/m3: MMLU is 0 (chance 0.25)" in notes
    law = capspace("ledger", "add", "bbh", path, *ledger[:2], "--name", "a")
    assert "far below chance, left out: org0/m3" in law.out


@pytest.mark.slow
def test_a_target_of_zero_where_guessing_scores_is_left_out(capspace, zoo, tmp_path):
    frame = pd.read_csv(zoo)
    frame["Agents"] = 0.25 + 0.75 * frame["Agents"]
    frame.loc[3, "Agents"] = 0.0
    path = tmp_path / "zoo.csv"
    frame.to_csv(path, index=False)
    command = ("backtest", path, "--target-column", "Agents", "--chance", "0.25", "--json")
    few = ("--drop", "Agents, treated", "--components", "2")
    shown = json.loads(capspace(*command, *few).out)
    assert "org0/m3" not in {m["model"] for m in shown["models"]}
    assert any("org0/m3: Agents is 0, far below chance" in note for note in shown["notes"])


# --- scores of another protocol -----------------------------------------------------------------


def test_the_mark_survives_every_layout_and_is_told(tmp_path):
    whole = table(("a", "MMLU", 0.4), ("a", "GSM8K", 0.3), comparable="no")
    write_table(whole, tmp_path / "long.csv")
    again = read_table(tmp_path / "long.csv")
    assert not_comparable(again) == {"a": ["MMLU", "GSM8K"]}
    for mark, read in ((True, "yes"), (False, "no"), ("No", "no"), ("", ""), (None, "")):
        assert list(table(("a", "B", 0.1), comparable=mark).scores["comparable"]) == [read]
    with pytest.raises(TableError, match="a: comparable of B is 'perhaps'; it is yes, no or empty"):
        table(("a", "B", 0.1), comparable="perhaps")


def test_like_is_compared_with_like():
    own = table(("a", "MMLU", 0.4), ("a", "GSM8K", 0.3), comparable="no")
    alike = table(("r", "MMLU", 0.4), comparable="no")
    assert not_comparable(own, alike) == {"a": ["GSM8K"]}
    assert not_comparable(own, table(("r", "MMLU", 0.4))) == {"a": ["MMLU", "GSM8K"]}


@pytest.mark.slow
def test_predict_tells_of_it_as_place_does(capspace, tmp_path):
    path = tmp_path / "long.csv"
    path.write_text(
        "model,benchmark,score,comparable\nmine,MMLU,0.5,no\nmine,GSM8K,0.3,yes\nother,MMLU,0.4,\n"
    )
    shown = json.loads(capspace("predict", path, "--target", "bbh", "--json").out)
    note, unstated = shown["notes"]
    assert unstated.startswith("no standard error or number of items stated: MMLU, GSM8K")
    assert note.startswith("mine: Not comparable with published scores: MMLU was measured on other")
    assert (
        "Not comparable with published scores" in capspace("predict", path, "--target", "bbh").out
    )
    older = tmp_path / "older.csv"
    older.write_text(
        "model,benchmark,score,source\nmine,MMLU,0.5,embedded items (not comparable with others)\n"
    )
    shown = json.loads(capspace("predict", older, "--target", "bbh", "--json").out)
    assert "MMLU was measured on other items" in shown["notes"][0]


def test_scales_that_are_mixed_are_refused_in_one_line():
    mixed = table(("a", "MMLU", 0.4), ("b", "MMLU", 45.0), ("c", "MMLU", 0.5))
    with pytest.raises(TableError, match=r"b: MMLU is 45, .*the others of this benchmark are frac"):
        mixed.require_fractions()
    with pytest.raises(TableError, match=r"a: the stderr of MMLU is 1\.2, more than a score in"):
        table(("a", "MMLU", 0.4), stderr=1.2).require_fractions()

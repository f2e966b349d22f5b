"""``lift`` prints what would help, from the study or from a user's own columns."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import Command


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, Path]:
    """A model's scores, and other models' with a base and two treated columns."""
    rng = np.random.default_rng(0)
    c = rng.normal(size=40)
    z = c[:, None] * [1.0, 0.8, 1.2] + 0.1 * rng.normal(size=(40, 3))
    table = pd.DataFrame(1 / (1 + np.exp(-z)), columns=["A", "B", "C"])
    for name, shift in (("direct", -1.0), ("vote@5", 0.6), ("vote@20", 0.7)):
        table[name] = 1 / (1 + np.exp(-shift - c))
    table.insert(0, "model", [f"m{i}" for i in range(40)])
    table.insert(1, "family", [f"f{i // 4}" for i in range(40)])
    table.to_csv(tmp_path / "others.csv", index=False)
    (tmp_path / "mine.csv").write_text("model,A,B,C\nmine,0.5,0.52,0.49\n")
    return tmp_path / "mine.csv", tmp_path / "others.csv"


@pytest.mark.slow
def test_own_columns_give_a_card(capspace: Command, own: tuple[Path, Path]) -> None:
    mine, others = own
    command = (
        "lift", mine, "--data", others, "--base", "direct",
        "--treated", "vote@5", "--treated", "vote@20",
    )  # fmt: skip
    few, many = json.loads(capspace(*command, "--json").out)["lifts"]
    assert (few["intervention"]["samples"], many["intervention"]["samples"]) == (5, 20)
    assert few["advised"]
    assert not many["advised"]
    shown = capspace(*command, "--out", mine.parent / "card")
    assert "advised" in shown.out
    assert (mine.parent / "card" / "lift.svg").is_file()
    # A model does not help to predict itself.
    row = f"mine,own,{mine.read_text().splitlines()[1].partition(',')[2]},0.01,0.99,"
    others.write_text(f"{others.read_text()}{row}\n")
    again = json.loads(capspace(*command, "--json").out)["lifts"]
    assert [lift["mean"] for lift in again] == pytest.approx([few["mean"], many["mean"]])


def test_bad_input_is_one_line(capspace: Command, own: tuple[Path, Path]) -> None:
    mine, others = own
    assert "--data needs --base and --treated" in capspace.refused("lift", mine, "--data", others)
    assert "columns of --data, which is not given" in capspace.refused(
        "lift", mine, "--base", "direct"
    )
    assert "'nothing'" in capspace.refused(
        "lift", mine, "--data", others, "--base", "nothing", "--treated", "vote@5"
    )
    (mine.parent / "other.csv").write_text("model,Z\nmine,0.5\n")
    assert "none of its benchmarks" in capspace.refused(
        "lift", mine.parent / "other.csv", "--data", others, "--base", "direct",
        "--treated", "vote@5",
    )  # fmt: skip


@pytest.mark.slow
def test_scores_far_below_chance_are_left_out(capspace: Command, tmp_path: Path) -> None:
    sound, doubtful = tmp_path / "sound.csv", tmp_path / "doubtful.csv"
    sound.write_text("model,MMLU,GSM8K\nmine,0.62,0.40\n")
    doubtful.write_text("model,MMLU,GSM8K,HellaSwag\nmine,0.62,0.40,0.0\n")
    by_sound, by_doubtful, by_all = (
        json.loads(capspace("lift", *words, "--json").out)
        for words in ((sound,), (doubtful,), (doubtful, "--keep"))
    )
    assert by_doubtful["lifts"] == by_sound["lifts"]
    labels = {lift["intervention"]["base_label"] for lift in by_sound["lifts"]}
    assert labels == {"GSM8K, direct answers", "BBH, direct answers"}
    assert any("HellaSwag" in note and "chance" in note for note in by_doubtful["notes"])
    assert by_all["lifts"] != by_sound["lifts"]
    doubtful.write_text("model,MMLU\nmine,0.0\n")
    line = capspace.refused("lift", doubtful)
    assert "no score is left to predict from" in line
    assert "--keep uses what was left out" in line


def test_what_cannot_be_is_refused_at_once(capspace: Command, own: tuple[Path, Path]) -> None:
    mine, others = own
    columns = ("--data", others, "--base", "direct")
    same = capspace.refused("lift", mine, *columns, "--treated", "direct")
    assert "--base and --treated are both direct" in same
    none = capspace.refused("lift", mine, *columns, "--treated", "vote@0")
    assert "NAME@K is for K answers, from 1" in none
    assert "level is 2.0" in capspace.refused("lift", mine, "--level", "2")
    (mine.parent / "empty.csv").write_text("")
    assert "empty.csv: the file is empty" in capspace.refused("lift", mine.parent / "empty.csv")


def test_scores_that_no_gain_starts_from_are_met_with_those_that_do(
    capspace: Command, tmp_path: Path
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("model,GPQA-diamond\nmine,0.5\n")
    refused = capspace.refused("lift", path)
    assert "no score from which a gain can be predicted; laws of gains start from MMLU, " in refused


@pytest.mark.slow
def test_the_usual_interventions_are_told_apart_from_predict(
    capspace: Command, tmp_path: Path
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("model,MMLU,GSM8K,HellaSwag\nmine,0.62,0.4,0.81\n")
    shown = " ".join(capspace("lift", path).out.split())
    assert "both scores of a gain come from laws in one space" in shown


@pytest.mark.slow
def test_a_model_outside_the_support_is_advised_nothing(
    capspace: Command, own: tuple[Path, Path]
) -> None:
    mine, others = own
    mine.write_text("model,A,B,C\nmine,0.999,0.999,0.9995\n")
    command = ("lift", mine, "--data", others, "--base", "direct", "--treated", "vote@5")
    card = json.loads(capspace(*command, "--json").out)
    (lift,) = card["lifts"]
    assert not lift["support"]["inside"]
    assert not lift["advised"]
    (note,) = card["notes"]
    assert note.startswith("mine: vote@5 not advised; outside: PC-")
    shown = " ".join(capspace(*command).out.split())
    assert shown.count(" outside") == 2  # in the table, and in the note
    assert " advised; outside: PC-" in shown


@pytest.mark.slow
def test_scores_on_few_items_widen_the_card(capspace: Command, own: tuple[Path, Path]) -> None:
    mine, others = own
    command = ("lift", mine, "--data", others, "--base", "direct", "--treated", "vote@5", "--json")

    def width(n_items: int) -> float:
        rows = "".join(f"mine,{b},0.5,{n_items}\n" for b in "ABC")
        mine.write_text(f"model,benchmark,score,n_items\n{rows}")
        (lift,) = json.loads(capspace(*command).out)["lifts"]
        return float(lift["upper"] - lift["lower"])

    assert width(3) > 1.2 * width(10_000)


@pytest.mark.slow
def test_the_card_says_that_the_study_answers_without_chains(
    capspace: Command, tmp_path: Path
) -> None:
    table = tmp_path / "scores.csv"
    table.write_text("model,MMLU,GSM8K\nmine,0.62,0.40\n")
    lifts = json.loads(capspace("lift", table, "--json").out)["lifts"]
    shown = capspace("lift", table).out
    (line,) = (row for row in shown.splitlines() if row.startswith("base: "))
    assert "GSM8K, direct answers" in line
    for lift in lifts:
        assert lift["intervention"]["base_label"] in line

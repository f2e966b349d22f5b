"""Old spellings of options are read as the new ones, and a line names those."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Command


@pytest.mark.slow
@pytest.mark.parametrize("scores", [("--scores", "zoo.csv"), ("--scores=zoo.csv",)])
def test_scores_may_still_be_an_option(
    capspace: Command, zoo: Path, monkeypatch: pytest.MonkeyPatch, scores: tuple[str, ...]
) -> None:
    monkeypatch.chdir(zoo.parent)
    old = capspace("space", *scores, "--components", "1", "--json")
    new = capspace("space", "zoo.csv", "--components", "1", "--json")
    assert old.code == 0
    assert old.out == new.out
    assert old.err == "--scores is now the argument SCORES: give the value without --scores\n"
    assert new.err == ""


def test_a_renamed_option_is_read_under_its_old_name(capspace: Command, zoo: Path) -> None:
    drop = ("--drop", "Agents", "--drop", "Agents, treated", "--components", "1", "--json")
    old = capspace("efficiency", "--family=F1", zoo, *drop)
    new = capspace("efficiency", zoo, "--reference-family", "F1", *drop)
    assert json.loads(old.out) == json.loads(new.out)
    assert old.err == "--family is now --reference-family\n"


def test_values_after_a_double_dash_are_no_options(capspace: Command) -> None:
    run = capspace("ledger", "add", "--", "--scores")
    assert "--scores" in run.err
    assert "is now" not in run.err


def test_an_old_option_without_a_value_says_what_is_missing(capspace: Command) -> None:
    run = capspace("space", "--scores")
    assert run.code == 2
    assert "SCORES" in run.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("next", "no.csv", "--items", "20"), "--items is now --max-items"),
        (("import", "no.json", "--model", "org/mine"), "--model is now --answers-of"),
        (("select", "no.csv", "--budget", "3"), "--budget is now --model-budget"),
        (
            ("reproduce", "--data", "no", "--out", "no/out"),
            "--data is now the argument TABLES: give the value without --data",
        ),
    ],
    ids=["next", "import", "select", "reproduce"],
)
def test_each_renamed_option_names_the_new_one(
    capspace: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...],
    line: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    run = capspace(*words)
    assert run.code == 2
    assert run.err.splitlines()[0] == line
    assert run.err.splitlines()[1].startswith("capspace: ")

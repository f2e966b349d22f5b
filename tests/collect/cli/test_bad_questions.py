"""Commands that decide refuse what they cannot answer in one line, and write nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Command

from capspace.collect.storage.store import Store

BBH = ("--target", "bbh")
COST = ("--cost", "120gpu-hours")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    with Store(tmp_path / "empty"):
        pass
    (tmp_path / "scores.csv").write_text("model,MMLU,HellaSwag,GSM8K\nmine,0.62,0.81,0.40\n")
    (tmp_path / "other.csv").write_text("model,Nothing-known\nmine,0.5\n")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("verdict", "scores.csv", *BBH), "the cost of the run is not given: add --cost"),
        (("verdict", "scores.csv", *COST), "name the evaluation that would be run"),
        (("verdict", "scores.csv", "--target", "agentboard", *COST), "agentboard"),
        (("verdict", "other.csv", *BBH, *COST), "MMLU"),
        (("verdict", "empty", *BBH, *COST), "empty"),
        (("next", "scores.csv", "--target", "agentboard"), "agentboard"),
        (("next", "scores.csv", *BBH, "--max-items", "0"), "0"),
        (("next", "other.csv", *BBH), "MMLU"),
        (("next", "empty", *BBH), "empty"),
        (("lift", "other.csv"), "MMLU"),
        (("lift", "empty"), "a folder, not a file"),
        (("predict", "other.csv"), "unknown column 'Nothing-known'"),
        (("twin", "mine", "--store", "empty", "--against", "no.json"), "no.json: no such file"),
        (("verdict", "scores.csv", *BBH, *COST, "--price", "Foo=3h"), "'Foo' is no benchmark"),
        (("place", "no-such-model", "--until", "soon"), "the tolerance is 'soon'"),
        (("place", "no-such-model", "--budget", "30min"), "--budget bounds what --until asks for"),
        (
            ("panels", "shrink", "smoke", "--items", "10", "--answers", "empty"),
            "no answers to the single items",
        ),
    ],
)
def test_it_is_refused_in_one_line_and_nothing_is_written(
    capspace: Command,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    why: str,
) -> None:
    monkeypatch.chdir(files)
    before = sorted(files.rglob("*"))
    assert why in capspace.refused(*arguments)
    assert sorted(files.rglob("*")) == before

"""The command ``compare``: two models of a table on the targets, in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Command

TABLE = """model,family,MMLU,HellaSwag,GSM8K
mine,a,0.62,0.81,0.4
older,a,0.45,0.76,0.1
other,b,0.60,0.80,0.38
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "scores.csv"
    path.write_text(TABLE)
    return path


def test_two_models_are_compared_on_a_target(capspace: Command, table: Path) -> None:
    shown = capspace("compare", table, "mine", "older", "--target", "agentbench")
    assert shown.code == 0
    assert "mine (A) and older (B)" in shown.out
    assert "AgentBench" in shown.out
    assert "22 models" in shown.out


def test_json_has_every_pair_and_families_of_the_table(capspace: Command, table: Path) -> None:
    shown = json.loads(capspace("compare", table, "--target", "agentbench", "--json").out)
    assert [(p["first"], p["second"]) for p in shown["pairs"]] == [
        ("mine", "older"),
        ("mine", "other"),
        ("older", "other"),
    ]
    probability = [p["probability"] for p in shown["pairs"]]
    assert probability[0] > 0.8 > probability[1] > 0.2 > probability[2]
    assert shown["uncompared"] == {}


def test_offsets_that_fitted_laws_do_not_count_are_said(capspace: Command, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    rows = [f"{m},{b},{s},at home" for m, b, s in (("mine", "MMLU", 0.62), ("mine", "GSM8K", 0.4))]
    rows += ["older,MMLU,0.45,", "older,GSM8K,0.1,"]
    path.write_text("model,benchmark,score,source\n" + "\n".join(rows) + "\n")
    shown = capspace("compare", path, "--target", "agentbench")
    line = "mine: measured by another source than the reference's (MMLU, GSM8K); by how much"
    assert line in shown.out
    assert "older: measured" not in shown.out


def test_bad_input_is_one_line(capspace: Command, table: Path, tmp_path: Path) -> None:
    bbh = ("--target", "agentbench")
    assert "did you mean 'older'" in capspace.refused("compare", table, "mine", "oldr", *bbh)
    assert "1 model to compare" in capspace.refused("compare", table, "mine", *bbh)
    assert "'agentbench'" in capspace.refused("compare", table, "--target", "agentbnech")
    assert "nowhere.csv" in capspace.refused("compare", tmp_path / "nowhere.csv")
    percent = tmp_path / "percent.csv"
    percent.write_text("model,MMLU\na,62\nb,45\n")
    assert "MMLU" in capspace.refused("compare", percent)

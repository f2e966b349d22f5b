"""The command ``compare``: two models of a table on the targets, in words and as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Command
from store_parts import RESULT

from capspace.collect.storage.store import Store

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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_store_stands_for_its_scores(capspace: Command, tmp_path: Path) -> None:
    store, table = tmp_path / "store", tmp_path / "scores.csv"
    scores = {
        ("mine", "GPQA-diamond"): 0.66, ("mine", "MMLU-Pro"): 0.78,
        ("older", "GPQA-diamond"): 0.5, ("older", "MMLU-Pro"): 0.7,
        ("other", "GPQA-diamond"): 0.6,
    }  # fmt: skip
    with Store(store) as opened:
        opened.put_all(
            replace(
                RESULT, key=f"{m} {b}", model=m, benchmark=b, score=s, stderr=math.nan,
                n_items=None, identity=json.dumps({"model": {"checkpoint": m}, "limit": None}),
            )
            for (m, b), s in {**scores, ("mine", "Odd"): 0.5}.items()
        )  # fmt: skip
    assert capspace("scores", "--store", store, "--csv", table).code == 0
    rows = table.read_text().splitlines(keepends=True)
    table.write_text("".join(row for row in rows if ",Odd," not in row))
    words = ("--target", "hle/no-tools", "--release-date", "2025-09", "--json")
    by_store, by_table = (
        json.loads(capspace("compare", given, "mine", "older", *words).out)["pairs"]
        for given in (store, table)
    )
    assert by_store == by_table
    by_store, by_table = (
        json.loads(capspace("complete", given, *words[2:]).out)["cells"] for given in (store, table)
    )
    assert by_store == by_table
    assert {cell["model"] for cell in by_store} == {"mine", "older", "other"}


def test_a_folder_without_scores_is_one_line(capspace: Command, tmp_path: Path) -> None:
    with Store(tmp_path / "empty"):
        pass
    for command in ("compare", "complete"):
        assert "a folder without a store" in capspace.refused(command, tmp_path)
        assert "the store has no score to" in capspace.refused(command, tmp_path / "empty")


def test_bad_input_is_one_line(capspace: Command, table: Path, tmp_path: Path) -> None:
    bbh = ("--target", "agentbench")
    assert "did you mean 'older'" in capspace.refused("compare", table, "mine", "oldr", *bbh)
    assert "1 model to compare" in capspace.refused("compare", table, "mine", *bbh)
    assert "'agentbench'" in capspace.refused("compare", table, "--target", "agentbnech")
    assert "nowhere.csv" in capspace.refused("compare", tmp_path / "nowhere.csv")
    percent = tmp_path / "percent.csv"
    percent.write_text("model,MMLU\na,62\nb,45\n")
    assert "MMLU" in capspace.refused("compare", percent)

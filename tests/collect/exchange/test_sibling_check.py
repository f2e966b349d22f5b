"""Imported scores ring where the other scores of their model contradict them."""

import json
import math
from dataclasses import replace
from pathlib import Path

from commands import Command

from capspace.collect.exchange.sibling_check import contradictions
from capspace.collect.storage.result import Result
from capspace.collect.storage.store import Store
from capspace.tasks.panel import load_panel

SCORES = {"MMLU": 0.64, "ARC-C": 0.6, "HellaSwag": 0.83, "Winogrande": 0.79, "GSM8K": 0.0}


def results(model: str = "org/m") -> list[Result]:
    return [
        Result(
            key=f"{model}{name}", model=model, revision="r", benchmark=name, score=score,
            stderr=math.nan, n_items=None, n_shot=None, protocol="", source="", comparable=True,
            identity="{}",
        )
        for name, score in SCORES.items()
    ]  # fmt: skip


def test_a_contradicted_score_rings() -> None:
    panel = load_panel("classic-8")
    (alarm,) = contradictions(results(), panel)
    assert (alarm.model, alarm.benchmarks) == ("org/m", ("GSM8K",))


def test_a_later_score_of_the_benchmark_counts() -> None:
    panel = load_panel("classic-8")
    mended = replace(results()[-1], key="later", score=0.4)
    assert contradictions([*results(), mended], panel) == ()


def test_few_or_incomparable_scores_say_nothing() -> None:
    panel = load_panel("classic-8")
    assert contradictions(results()[-2:], panel) == ()
    assert contradictions([replace(r, comparable=False) for r in results()], panel) == ()


def test_an_import_shows_the_alarm_of_its_model(capspace: Command, tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        store.put_all(replace(r, key=r.key.ljust(64)) for r in results())
    (tmp_path / "scores.csv").write_text("model,Other\norg/m,0.5\n")
    words = ("import", tmp_path / "scores.csv", "--store", tmp_path / "store")
    shown = capspace(*words)
    assert shown.code == 0, shown.err
    assert "org/m: GSM8K is 0.000" in shown.out
    (alarm,) = json.loads(capspace(*words, "--json").out)["alarms"]
    assert (alarm["model"], alarm["benchmarks"]) == ("org/m", ["GSM8K"])

"""``zoo fit`` names a score that the rest of the zoo contradicts, in text, JSON and on the page."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import Command
from store_parts import RESULT

from capspace.collect.settings import RunSettings
from capspace.collect.storage.store import Store
from capspace.collect.zoo.planning.cost import Estimate
from capspace.collect.zoo.planning.plan import Cell, Model, Plan
from capspace.collect.zoo.work.folder import ZooFolder
from capspace.tasks.panel import load_panel

SHAPES = {"MMLU": (0.0, 1.0), "ARC-C": (-0.4, 1.2), "HellaSwag": (0.5, 0.9), "GSM8K": (-0.8, 1.3)}
TOKENS = 1e9


def measured_zoo(at: Path, *, faults: dict[tuple[str, str], float]) -> Path:
    """Store a zoo of 30 models in three families, each score by one capability, but the faults."""
    rng = np.random.default_rng(0)
    panel = load_panel("classic-8").select(list(SHAPES))
    models, cells, results = [], {}, []
    for number in range(30):
        size = 1e6 * 1.4 ** (number // 3)
        facts = {
            "family": "abc"[number % 3], "parameters": size, "training_tokens": TOKENS,
            "training_flops": 6 * size * TOKENS,
        }  # fmt: skip
        name = f"m{number}"
        capability = 0.9 * (np.log10(facts["training_flops"]) - 16.5) + 0.2 * rng.normal()
        model = Model(
            name, name, name, "0", (), RunSettings(), facts, (), int(size), 4, 0, 1
        )  # fmt: skip
        models.append(model)
        cells[model.row] = tuple(
            Cell(f"{name}{b}".ljust(64), panel.name, b, True, Estimate(0, 0, 0)) for b in SHAPES
        )
        for benchmark, (shift, slope) in SHAPES.items():
            chance = panel[benchmark].chance or 0.0
            score = chance + (1 - chance) / (1 + np.exp(-(shift + slope * capability)))
            score = float(np.clip(score + 0.01 * rng.normal(), 0, 1))
            score = faults.get((name, benchmark), score)
            key = f"{name}{benchmark}".ljust(64)
            results.append(
                replace(RESULT, key=key, model=name, benchmark=benchmark, score=score, stderr=0.01)
            )
    (at / "zoo.yaml").write_text("checkpoints: [models/*]\npanels: classic-8\nstore: store\n")
    with Store(at / "store") as store:
        store.put_all(results)
        ZooFolder.of(store, "zoo").write_work(Plan("zoo", tuple(models), cells, ()), [panel], None)
    return at / "zoo.yaml"


@pytest.mark.slow
def test_a_planted_fault_of_a_stored_zoo_has_an_alarm(capspace: Command, tmp_path: Path) -> None:
    zoo = measured_zoo(tmp_path, faults={("m25", "GSM8K"): 0.004})
    words = ("zoo", "fit", zoo, "--store", tmp_path / "store", "--out", tmp_path / "report")
    run = capspace(*words)
    assert run.code == 0, run.err
    (line,) = [line for line in run.out.splitlines() if "its other scores predict" in line]
    assert line.startswith("m25: GSM8K is 0.004")
    alarms = json.loads(capspace(*words, "--json").out)["alarms"]
    assert [(a["model"], a["benchmarks"]) for a in alarms] == [("m25", ["GSM8K"])]
    page = next((tmp_path / "report").glob("*.html")).read_text()
    assert html.escape("m25: GSM8K is 0.004") in page


@pytest.mark.slow
def test_a_zoo_without_a_fault_has_none(capspace: Command, tmp_path: Path) -> None:
    zoo = measured_zoo(tmp_path, faults={})
    run = capspace(
        "zoo", "fit", zoo, "--store", tmp_path / "store", "--out", tmp_path / "report", "--json"
    )
    assert json.loads(run.out)["alarms"] == []

"""What ``place`` says to measure next is what ``next`` says of the same store and targets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Command
from store_parts import RESULT

from capspace.collect import Checkpoint, Collection
from capspace.collect.run._place import place_collection
from capspace.collect.storage.store import Store
from capspace.fit import NextEvaluations
from capspace.tasks.panel import load_panel

CHECKPOINT = Checkpoint(RESULT.model, "hub", RESULT.model, RESULT.revision, "bfloat16")
IDENTITY = json.dumps({"model": {}, "limit": None})


def measured(parameters: int | None) -> Collection:
    """Return a collection of three scores of a model of this size."""
    provenance = {} if parameters is None else {"parameters": parameters}
    results = tuple(
        replace(
            RESULT, key=b.ljust(64), benchmark=b, score=s, identity=IDENTITY, provenance=provenance
        )
        for b, s in (("MMLU", 0.62), ("HellaSwag", 0.81), ("GSM8K", 0.4))
    )
    return Collection(load_panel("classic-8"), (CHECKPOINT,), results, (), 3)


@pytest.mark.slow
def test_place_and_next_say_the_same(capspace: Command, tmp_path: Path) -> None:
    collection = measured(7_000_000_000)
    with Store(tmp_path / "store") as opened:
        opened.put_all(collection.results)
    targets = ["bbh", "gsm8k-cot"]
    placed = place_collection(collection, targets=targets, out=tmp_path / "report")
    (following,) = placed.following
    assert isinstance(following, NextEvaluations)
    chosen = [word for name in targets for word in ("--target", name)]
    expected = json.loads(capspace("next", tmp_path / "store", *chosen, "--json").out)
    own = json.loads(json.dumps(following.to_dict()))
    assert {name: own[name] for name in ("targets", "width", "single", "path")} == {
        name: expected[name] for name in ("targets", "width", "single", "path")
    }
    assert [lift.intervention.name for lift in placed.lifts] == [
        "GSM8K: chain of thought", "BBH: chain of thought",
    ]  # fmt: skip
    bare = place_collection(collection, targets=targets)
    assert bare.report is None
    assert bare.lifts == placed.lifts
    assert [each.to_dict() for each in bare.following if not isinstance(each, str)] == [
        following.to_dict()
    ]
    page = (tmp_path / "report" / "report.html").read_text()
    assert "reduces the uncertainty of the place" not in page
    assert (tmp_path / "report" / "next.png").is_file()


@pytest.mark.slow
def test_a_refused_target_leaves_the_effect_on_the_place(tmp_path: Path) -> None:
    placed = place_collection(measured(None), targets=["agentboard"], out=tmp_path)
    assert placed.following == ("no target is predicted",)
    page = (tmp_path / "report.html").read_text()
    assert "for the place alone, as no target is predicted." in page

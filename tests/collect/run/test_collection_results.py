"""What collecting returns shows itself in one line, and as a table."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import capspace.collect
from capspace.collect import Checkpoint, CollectError, Collection, Missing, Result
from capspace.collect.run._measurement_notes import foot_notes, measurement_notes
from capspace.collect.run._place import PlacedModel, place_collection
from capspace.fit import load_reference
from capspace.fit.decide._item_pool import ItemPool
from capspace.fit.decide._stopping import MeasuredItems, StoppingPlan
from capspace.fit.decide._tolerance import Tolerance
from capspace.tasks.panel import load_panel


def result(benchmark: str, score: float, stderr: float) -> Result:
    return Result(
        key=benchmark,
        model="org/<b>model</b>",
        revision="c" * 40,
        benchmark=benchmark,
        score=score,
        stderr=stderr,
        n_items=100,
        n_shot=0,
        protocol="lm-eval acc",
        source="capspace",
        comparable=True,
        identity="{}",
    )


@pytest.fixture
def collection() -> Collection:
    panel = load_panel("classic-8")
    checkpoint = Checkpoint("org/<b>model</b>", "hub", "org/model", "c" * 40, "bfloat16")
    results = (result("ARC-C", 0.44, 0.01), result("HellaSwag", 0.5, math.nan))
    missing = tuple(
        Missing("org/<b>model</b>", benchmark.name, "no room")
        for benchmark in panel.benchmarks
        if benchmark.name not in {"ARC-C", "HellaSwag"}
    )
    return Collection(panel, (checkpoint,), results, missing, 1)


def test_results_are_one_line(collection: Collection) -> None:
    n_cells = len(collection.panel.benchmarks)
    version = collection.panel.version
    name = "org/<b>model</b>"
    assert repr(collection) == (
        f"Collection({name} on classic-8 v{version}: 2 of {n_cells} scores, 1 measured now)"
    )
    assert [repr(r) for r in collection.results] == [
        f"Result({name}, ARC-C: 0.4400 ± 0.0100)",
        f"Result({name}, HellaSwag: 0.5000)",
    ]
    assert repr(collection.checkpoints[0]) == f"Checkpoint({name} at cccccccccccc, bfloat16)"


def test_more_than_two_models_are_counted(collection: Collection) -> None:
    three = replace(collection, checkpoints=collection.checkpoints * 3)
    assert repr(three).startswith("Collection(3 models on classic-8 v")


def test_a_collection_is_a_table(collection: Collection) -> None:
    frame = collection.to_frame()
    assert list(frame["benchmark"]) == ["ARC-C", "HellaSwag"]
    html = collection._repr_html_()
    assert "ARC-C" in html
    assert "<b>" not in html  # a name from outside is text


def test_every_error_of_collect_is_public() -> None:
    from capspace.collect import errors

    assert set(errors.__all__) <= set(capspace.collect.__all__)
    assert all(issubclass(getattr(capspace.collect, e), CollectError) for e in errors.__all__)


def test_whether_only_the_first_items_were_measured_is_read_from_the_identity(
    collection: Collection,
) -> None:
    first, second = collection.results
    limited = replace(
        first, identity='{"limit": 2}', protocol="lm-eval 0.4 a v1 b; hf; x=1; limit 2"
    )
    named_so = replace(second, protocol="lm-eval 0.4 a v1 b; hf f; limit 5")  # the items' label
    (note,) = measurement_notes(replace(collection, results=(limited, named_so)))
    assert note.startswith("Only the first items of each task were measured (ARC-C).")


def test_a_server_and_items_that_were_all_measured_are_noted(collection: Collection) -> None:
    (checkpoint,) = collection.checkpoints
    behind = replace(checkpoint, kind="endpoint", location="http://host/v1#served")
    measured = MeasuredItems("ARC-C", ItemPool((9,), weighted=False), 9, 0.2, 50.0)
    none = np.array([])
    plan = StoppingPlan(
        Tolerance.read("5%"), (measured,), (), {"ARC-C": 9}, True, none, none, none, ()
    )

    def noted(plan: StoppingPlan) -> list[str]:
        stopping = {checkpoint.name: plan}
        return measurement_notes(replace(collection, checkpoints=(behind,), stopping=stopping))

    notes = noted(plan)
    assert notes[0].startswith("Measured as served behind http://host/v1: ")
    assert notes[-1] == "All items are measured, so that none is left out by the tolerance 5%."
    some = replace(
        plan, measured=(replace(measured, n_items=3),), width_now=np.array([0.22]),
        width_full=np.array([0.2]),
    )  # fmt: skip
    assert noted(some)[-1] == (
        "Measuring stopped early, with 33.3% of the tokens: no target's interval is expected to be "
        "more than 10.0% wider than it would be with all items."
    )
    (ended,) = noted(replace(some, within_budget=False))[-1:]
    assert ended.startswith("The budget ended measuring, with 33.3% of the tokens: ")
    assert ended.endswith(" wider than it would be with all items, where 5% was wanted.")


@pytest.mark.slow
def test_a_release_date_decides_how_far_a_reference_reaches(collection: Collection) -> None:
    results = (result("GPQA-diamond", 0.45, 0.03), result("MMLU-Pro", 0.62, 0.01))
    dated = replace(collection, results=results, missing=())
    frontier = load_reference("frontier-2026")
    placed = {
        date: place_collection(
            dated, reference=frontier, targets=["mmmu/val"], release_date=date
        ).placement
        for date in ("2025-08", "2027-06")
    }
    assert len(placed["2025-08"].predictions) == 1
    html = PlacedModel(dated, placed["2025-08"], None)._repr_html_()
    assert "PlacedModel(org/&lt;b&gt;model&lt;/b&gt;: 2 scores, 1 prediction)" in html
    assert "mmmu" in html
    assert len(placed["2027-06"].predictions) == 0
    assert (
        "more than 6 months after the last model" in placed["2027-06"].evaluated["mmmu/val"].reason
    )


def test_what_was_measured_without_the_engine_stands_at_the_foot(collection: Collection) -> None:
    first, second = collection.results
    old = {"engine": {"unsupported_reason": "its layers"}}
    new = {"engine": {"unsupported_reason": "its layers", "newer": "transformers 9 is newer"}}
    assert foot_notes(collection) == []
    results = (replace(first, provenance=old), replace(second, provenance=new))
    start = "Measured on lm-eval's own path, without the scoring engine: "
    assert foot_notes(replace(collection, results=results)) == [
        f"{start}ARC-C (its layers).",
        f"{start}HellaSwag (its layers; transformers 9 is newer).",
    ]

"""Which cells can be measured is one decision, for a run and for the plan of a zoo."""

from __future__ import annotations

from pathlib import Path

import pytest
import store_v010

from capspace.collect.checkpoints.checkpoint import Checkpoint, resolve
from capspace.collect.harness.data_root import chosen_data_root
from capspace.collect.harness.harness import Harness
from capspace.collect.run.cells import measurable_cells
from capspace.collect.settings import RunSettings
from capspace.tasks.panel import Panel

PANEL = Panel.model_validate(store_v010.PANEL)
CODE = PANEL["Answer"].model_copy(update={"name": "Code", "executes_code": True})


def inputs(folder: Path) -> tuple[Checkpoint, Harness]:
    checkpoint = resolve(str(store_v010.write_inputs(folder)))
    root = chosen_data_root(folder / "data")
    return checkpoint, Harness(PANEL.benchmarks, data_root=root, include_path=folder / "tasks")


@pytest.mark.slow
def test_each_benchmark_is_a_cell_or_missing_for_a_reason(tmp_path: Path) -> None:
    checkpoint, harness = inputs(tmp_path)
    cells, gaps = measurable_cells(
        checkpoint,
        [*PANEL.benchmarks, CODE],
        harness,
        RunSettings(),
        permission="say so",
        runs_here=False,
    )
    assert [cell.benchmark.name for cell in cells] == ["Choice", "Answer"]
    assert len({cell.key for cell in cells}) == 2
    nowhere, skipped = gaps
    assert (nowhere.benchmark, nowhere.skipped) == ("Nowhere", False)
    assert "has no task 'v010_nowhere'" in nowhere.reason
    assert (skipped.benchmark, skipped.skipped) == ("Code", True)
    assert skipped.reason == "skipped: it runs code that the model writes (say so)"
    assert {gap.revision for gap in gaps} == {checkpoint.revision}


@pytest.mark.slow
def test_a_stored_score_needs_no_permission_to_run_code(tmp_path: Path) -> None:
    checkpoint, harness = inputs(tmp_path)
    allowed = RunSettings(allow_code_execution=True)
    (cell,), _ = measurable_cells(checkpoint, [CODE], harness, allowed, runs_here=False)
    for stored, n in (({cell.key}, 1), (set(), 0)):
        cells, gaps = measurable_cells(
            checkpoint, [CODE], harness, RunSettings(), is_stored=stored.__contains__
        )
        assert (len(cells), len(gaps)) == (n, 1 - n)


def test_a_data_root_is_the_one_named_or_the_default_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen_data_root(None) is None
    monkeypatch.setenv("CAPSPACE_DATA_ROOT", "embedded")
    default = chosen_data_root(None)
    assert default is not None
    assert default.label
    named = chosen_data_root(tmp_path)
    assert named is not None
    assert named.path == tmp_path

"""The planner compares a ``zoo.yaml`` with the store and estimates what is missing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from capspace.fit._display import counted
from capspace.tasks.panel import Benchmark, Panel, load_panel

from ...harness.data_root import chosen_data_root
from ...harness.harness import Harness, Workload
from ...harness.task_changes import TaskChanges
from ...run.cells import measurable_cells
from ...runtime.log_capture import logged_to
from ...storage.digests import digest
from ...storage.files import write_atomically
from ...storage.identity import Measurement
from ...storage.mode import Mode
from ...storage.result import Missing
from ...storage.store import Store
from ..config.config import ZooFile
from ..config.expand import candidates
from ..devices.device import DeviceKind
from .cost import (
    Observation,
    Throughput,
    fit_throughput,
    forward_flops,
)
from .models import (
    Resolved,
    facts_table,
    make_model,
    merge,
    resolve_all,
    row_names,
    unsupported_reason,
)
from .plan import Cell, Model, Plan, Unit, cut_into_units, longest_first

__all__ = ["make_plan", "zoo_panels"]

Tell = Callable[[str], None]
_Keys = dict[str, list[tuple[Panel, Benchmark, Measurement]]]
_Works = dict[tuple[str, str, Mode], Workload]


def zoo_panels(zoo: ZooFile) -> list[Panel]:
    """Return the panels that a zoo names; a path starts at the zoo's folder."""
    panels = []
    for name in zoo.config.panels:
        path = zoo.beside(Path(name))
        panels.append(load_panel(path if path.suffix in {".yaml", ".yml"} else name))
    return panels


def make_plan(
    zoo: ZooFile,
    store: Store,
    *,
    device: DeviceKind | None = None,
    unit_seconds: float | None = None,
    tell: Tell = lambda text: None,
    accept: Callable[[Plan], Plan] = lambda plan: plan,
) -> Plan:
    """Return what is done, what is missing, and what the missing costs; nothing is measured.

    Parameters
    ----------
    zoo : ZooFile
        What is wanted.
    store : Store
        Where results are; file hashes and counted workloads are remembered there.
    device : DeviceKind, optional
        What the zoo will run on; by default this machine's.
    unit_seconds : float, optional
        Longest unit to cut, where a job's time asks for shorter ones than the zoo's limits.
    tell : callable
        Takes a line for a person now and then.
    accept : callable
        Takes the plan and returns that to keep. Where it raises, nothing was written.

    Raises
    ------
    ZooError
        A wrong entry, named with file and line, or no checkpoint that can be used.

    """
    device = device or DeviceKind.here()
    panels = zoo_panels(zoo)
    wanted = candidates(zoo)
    table = facts_table(zoo)
    harness = Harness(
        [b for p in panels for b in p.benchmarks],
        data_root=chosen_data_root(zoo.settings.data_root),
        include_path=zoo.settings.include_path,
    )
    tell(f"resolving {counted(len(wanted), 'checkpoint')}")
    resolved, missing = resolve_all(wanted, panels, store, device)
    merged, notices = merge(resolved)
    models = [
        make_model(f, aliases, table, device, name=name)
        for (f, aliases), name in zip(merged, row_names([f for f, _ in merged]), strict=True)
    ]
    with logged_to(store.logs_path / "zoo-plan.log", beside=store.path):
        cells, missing_cells, benchmarks = _keys(panels, harness, merged)
        works, every_count = _workloads(zoo, benchmarks, harness, store, tell)
        plan = accept(
            _plan(zoo, store, panels, models, cells, works, [*missing, *missing_cells],
                  notices, device=device, unit_seconds=unit_seconds)
        )  # fmt: skip
        _remember(every_count, store)
    return plan


def _plan(
    zoo: ZooFile,
    store: Store,
    panels: Sequence[Panel],
    models: Sequence[Model],
    cells: _Keys,
    works: _Works,
    missing: list[Missing],
    notices: Sequence[str],
    *,
    device: DeviceKind,
    unit_seconds: float | None,
) -> Plan:
    """Return the plan of resolved models; see ``make_plan``."""
    speed = fit_throughput(
        _observations(store, models, cells, works, device), Throughput.guess(device.kind)
    )
    planned: dict[str, tuple[Cell, ...]] = {}  # by row
    units: list[Unit] = []
    for model in models:
        reason = unsupported_reason(model, device)
        planned[model.row] = tuple(
            Cell(
                key=cell.key,
                panel=panel.name,
                benchmark=benchmark.name,
                is_done=store.get(cell.key) is not None,
                estimate=replace(
                    speed, flops_per_second=speed.flops_per_second * model.devices
                ).cell(
                    works[panel.name, benchmark.name, Mode.of(model.settings)], model.n_parameters
                ),
            )
            for panel, benchmark, cell in cells[model.row]
        )
        if reason is not None:
            open_cells = [c for c in planned[model.row] if not c.is_done]
            missing += [
                Missing(model.name, c.benchmark, reason, revision=model.revision, key=c.key)
                for c in open_cells
            ]
            planned[model.row] = tuple(c for c in planned[model.row] if c.is_done)
        for panel in panels:
            units += cut_into_units(
                model,
                panel.name,
                [c for c in planned[model.row] if c.panel == panel.name],
                load=speed.load(model.n_bytes),
                unit_seconds=min(zoo.config.limits.unit_time, unit_seconds or math.inf),
            )
    return Plan(
        name=zoo.name,
        models=tuple(models),
        cells=planned,
        units=longest_first(units),
        unmeasurable=tuple(missing),
        notices=(*notices, _speed_notice(speed, device)),
    )


def _keys(
    panels: Sequence[Panel],
    harness: Harness,
    merged: Sequence[tuple[Resolved, tuple[str, ...]]],
) -> tuple[_Keys, list[Missing], list[tuple[Panel, Benchmark, Mode]]]:
    """Return each row's cells, the cells that cannot be measured, and the benchmarks used."""
    keys: _Keys = {resolved.row: [] for resolved, _ in merged}
    missing: list[Missing] = []
    used: dict[tuple[str, str, Mode], tuple[Panel, Benchmark, Mode]] = {}
    for panel in panels:
        for benchmark in panel.benchmarks:
            for resolved, _ in merged:
                cells, gaps = measurable_cells(
                    resolved.checkpoint,
                    [benchmark],
                    harness,
                    resolved.settings,
                    permission="allow_code_execution: true",
                    runs_here=False,
                )
                for cell in cells:
                    mode = Mode.of(resolved.settings)
                    keys[resolved.row].append((panel, benchmark, cell.measurement))
                    used[panel.name, benchmark.name, mode] = (panel, benchmark, mode)
                missing += gaps
    return keys, missing, list(used.values())


def _workloads(
    zoo: ZooFile,
    benchmarks: Sequence[tuple[Panel, Benchmark, Mode]],
    harness: Harness,
    store: Store,
    tell: Tell,
) -> tuple[_Works, dict[str, dict[str, int]]]:
    """Return what each benchmark requests in a mode, and all that was ever counted."""
    path = _counted_path(store)
    counted: dict[str, dict[str, int]] = {}
    if path.is_file():
        counted = json.loads(path.read_text(encoding="utf-8"))
    works: _Works = {}
    for panel, benchmark, mode in benchmarks:
        changes = TaskChanges.of_mode(mode)
        tasks = [asdict(task) for task in harness.tasks(benchmark, changes)]
        key = digest([tasks, benchmark.n_shot, zoo.config.limit])
        if key not in counted:
            tell(f"counting the requests of {benchmark.name}, once")
            counted[key] = asdict(
                harness.workload(benchmark, limit=zoo.config.limit, changes=changes)
            )
        works[panel.name, benchmark.name, mode] = Workload(**counted[key])
    return works, counted


def _remember(counted: dict[str, dict[str, int]], store: Store) -> None:
    """Keep beside the store what benchmarks request, so that it is counted once."""
    path, text = _counted_path(store), json.dumps(counted)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        store.make()
        write_atomically(path, text)


def _counted_path(store: Store) -> Path:
    return store.path / "workloads.json"


def _observations(
    store: Store,
    models: Sequence[Model],
    cells: _Keys,
    works: _Works,
    device: DeviceKind,
) -> list[Observation]:
    seen = []
    for model in models:
        for panel, benchmark, cell in cells[model.row]:
            result = store.get(cell.key)
            if result is None or not str(result.provenance.get("device")).startswith(device.kind):
                continue
            if result.provenance.get("requests", {}).get("n_known"):
                continue  # partly taken from the journal: its time says nothing
            seconds = result.provenance.get("seconds")
            work = works[panel.name, benchmark.name, Mode.of(model.settings)]
            if isinstance(seconds, (int, float)) and seconds > 0:
                seen.append(
                    Observation(
                        work.n_requests, forward_flops(work, model.n_parameters), float(seconds)
                    )
                )
    return seen


def _speed_notice(speed: Throughput, device: DeviceKind) -> str:
    if not speed.n_observations:
        return f"no earlier run on {device.kind}: times are a guess, right within a factor of five"
    return f"times rest on {speed.n_observations} cells measured on {device.kind}"

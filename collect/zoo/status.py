"""A zoo's status is counted from its folder and store, on any machine that sees them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from capspace.fit._json import json_dict

from ..storage.result import Missing
from ..storage.store import Store
from .work.folder import ZooFolder
from .work.records import WorkerState, WorkUnit, now

__all__ = ["ModelStatus", "ZooStatus", "zoo_status"]

# A worker writes every few seconds; one that is silent for so long is shown as silent.
_SILENT_AFTER = 60.0


@dataclass(frozen=True)
class ModelStatus:
    """Cells of one checkpoint."""

    model: str
    n_cells: int
    n_done: int
    n_failed: int
    running: tuple[str, ...]
    """Benchmarks being measured now."""

    reasons: tuple[str, ...]
    """Why cells failed, each reason once, after the benchmarks where they have several."""


@dataclass(frozen=True)
class ZooStatus:
    """Where a zoo stands.

    Attributes
    ----------
    n_cells, n_done, n_failed, n_running : int
        Cells in all, with a score, recorded as failed, in units that a worker has.
    items_per_second : float
        Of all workers together; NaN where none told yet.
    seconds_left : float
        Estimated time of what is left, shared by the workers there are, and no less than that of
        the longest unit; NaN without any worker.
    models : tuple of ModelStatus
    workers : tuple of WorkerState
    jobs : tuple of dict
        Slurm's jobs of this zoo, with their state.
    unmeasurable : tuple of Missing
        Cells that cannot be measured as asked, and why; they are not counted elsewhere.
    notices : tuple of str
        What the runs of checkpoints do without, such as the scoring engine.

    """

    zoo: str
    n_cells: int
    n_done: int
    n_failed: int
    n_running: int
    items_per_second: float
    seconds_left: float
    models: tuple[ModelStatus, ...]
    workers: tuple[WorkerState, ...]
    jobs: tuple[dict[str, str], ...] = ()
    unmeasurable: tuple[Missing, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def n_queued(self) -> int:
        """Cells nobody has begun."""
        return self.n_cells - self.n_done - self.n_failed - self.n_running

    @property
    def is_finished(self) -> bool:
        """Whether every cell has a score or a recorded failure."""
        return self.n_done + self.n_failed == self.n_cells

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values; null where unknown."""
        derived = {
            "n_queued": self.n_queued,
            "is_finished": self.is_finished,
            "unmeasurable": [gap.to_dict() for gap in self.unmeasurable],
        }
        return json_dict(vars(self) | derived)


def zoo_status(
    name: str, folder: ZooFolder, store: Store, *, jobs: Iterable[dict[str, str]] = ()
) -> ZooStatus:
    """Return where a zoo stands.

    Raises
    ------
    ZooError
        The zoo was never run.

    """
    shared = folder.read_work()
    wanted = shared.wanted
    done = store.keys() | folder.results_done()
    failures = {f.key: f for f in folder.failures() if f.key not in done}
    workers = tuple(w for w in folder.workers() if now() - w.beat < _SILENT_AFTER)
    busy = {w.unit: w for w in workers if w.unit}
    units = {o.id: o for o in shared.units}
    running = {
        key
        for unit in busy
        if unit in units
        for key in units[unit].cells.values()
        if key not in done and key not in failures
    }
    rates = [w.items_per_second for w in workers if w.unit and w.items_per_second is not None]
    return ZooStatus(
        zoo=name,
        n_cells=sum(len(cells) for cells in wanted.values()),
        n_done=sum(k in done for cells in wanted.values() for k in cells.values()),
        n_failed=sum(k in failures for cells in wanted.values() for k in cells.values()),
        n_running=len(running),
        items_per_second=sum(rates) if rates else math.nan,
        seconds_left=_seconds_left(units.values(), folder.finished(), busy, len(workers)),
        models=tuple(
            ModelStatus(
                model=model,
                n_cells=len(cells),
                n_done=sum(k in done for k in cells.values()),
                n_failed=sum(k in failures for k in cells.values()),
                running=tuple(
                    w.benchmark or "loading" for w in workers if w.unit and w.model == model
                ),
                reasons=_reasons([failures[k] for k in cells.values() if k in failures]),
            )
            for model, cells in wanted.items()
        ),
        workers=workers,
        jobs=tuple(jobs),
        unmeasurable=shared.unmeasurable,
        notices=tuple(folder.notices()),
    )


def _reasons(failures: Iterable[Missing]) -> tuple[str, ...]:
    benchmarks: dict[str, list[str]] = {}
    for failure in failures:
        benchmarks.setdefault(failure.reason, []).append(failure.benchmark)
    if len(benchmarks) == 1:
        return tuple(benchmarks)
    return tuple(f"{', '.join(names)}: {reason}" for reason, names in benchmarks.items())


def _seconds_left(
    units: Iterable[WorkUnit], finished: set[str], busy: dict[str, WorkerState], n_workers: int
) -> float:
    left = [0.0]
    for unit in units:
        if unit.id in finished:
            continue
        passed = now() - busy[unit.id].started if unit.id in busy else 0.0
        left.append(max(unit.seconds - passed, 0.0))
    if not any(left):
        return 0.0
    return max(sum(left) / n_workers, *left) if n_workers else math.nan

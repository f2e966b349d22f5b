"""The driver plans a zoo, hands it to an executor, and imports the results into the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..storage.result import Missing
from ..storage.store import Store, default_store_path
from .config.config import ZooFile
from .planning.plan import Plan
from .planning.planner import zoo_panels
from .work.folder import ZooFolder
from .work.records import WorkUnit

__all__ = [
    "ImportedOutcomes",
    "forget_failures",
    "import_outcomes",
    "open_zoo",
    "planned_units",
    "prepare",
]

_BATCH = 500


@dataclass(frozen=True)
class ImportedOutcomes:
    """What was new in a zoo's folder."""

    n_results: int
    failures: tuple[Missing, ...]


def open_zoo(zoo: ZooFile, store: Path | None, *, must_have_run: bool = False) -> Store:
    """Return the store of a zoo: the one asked for, the file's, or the user's own.

    One that is not there is empty, and created at the first write.

    Raises
    ------
    ZooError
        The zoo was never run with it, and ``must_have_run``.

    """
    if store is None and zoo.config.store is not None:
        store = zoo.beside(zoo.config.store)
    path = (default_store_path() if store is None else store).expanduser().absolute()
    if must_have_run:
        ZooFolder.require_work(path, zoo.name)
    return Store(path, create=False)


def prepare(zoo: ZooFile, plan: Plan, folder: ZooFolder) -> int:
    """Write the work units of a plan and return how many units they are."""
    failed = {f.key for f in folder.failures()}
    return folder.write_work(plan, zoo_panels(zoo), zoo.config.limits.timeout, failed=failed)


def planned_units(plan: Plan, folder: ZooFolder) -> list[WorkUnit]:
    """Return the units of a plan that are not recorded as failed."""
    failed = {f.key for f in folder.failures()}
    units = map(WorkUnit.of, plan.units)
    return [unit for unit in units if not set(unit.cells.values()) <= failed]


def import_outcomes(folder: ZooFolder, store: Store) -> ImportedOutcomes:
    """Take results and failures from a zoo's folder into the store; what it has is left alone."""
    failures = folder.failures()
    recorded = {(f.model, f.revision, f.benchmark, f.reason) for f in store.failures()}
    for failure in failures:
        if (failure.model, failure.revision, failure.benchmark, failure.reason) not in recorded:
            store.put_failure(failure)
    new = folder.results(but=store.keys())
    n = 0
    while batch := list(islice(new, _BATCH)):
        store.put_all(batch)
        n += len(batch)
    return ImportedOutcomes(n, tuple(failures))


def forget_failures(
    folder: ZooFolder, wanted: Callable[[Missing], bool] = lambda failure: True
) -> list[Missing]:
    """Drop recorded failures, so that the next run tries those cells again; return them."""
    dropped = [f for f in folder.failures() if wanted(f)]
    for failure in dropped:
        folder.forget(failure.key)
    return dropped

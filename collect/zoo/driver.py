"""The driver: plans a zoo, hands it to an executor, and takes what comes back into the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from capspace.collect.data_root import DataRoot
from capspace.collect.store import Failure, Result, Store, default_store_path
from capspace.collect.zoo.config import ZooFile
from capspace.collect.zoo.folder import CellFailure, RunOptions, ZooFolder
from capspace.collect.zoo.plan import Plan
from capspace.collect.zoo.planner import zoo_data_root, zoo_panels

__all__ = ["Absorbed", "absorb", "forget_failures", "open_zoo", "prepare"]


@dataclass(frozen=True)
class Absorbed:
    """What was new in a zoo's folder."""

    n_results: int
    failures: tuple[CellFailure, ...]


def open_zoo(zoo: ZooFile, store: Path | None) -> Store:
    """Return the store of a zoo: the one asked for, the file's, or the user's own."""
    if store is None and zoo.config.store is not None:
        store = zoo.beside(zoo.config.store)
    return Store(default_store_path() if store is None else store)


def prepare(zoo: ZooFile, plan: Plan, folder: ZooFolder) -> int:
    """Write the work orders of a plan and return how many units they are."""
    root: DataRoot | None = zoo_data_root(zoo)
    include = zoo.config.include_path
    options = RunOptions(
        limit=zoo.config.limits.items,
        seed=zoo.config.seed,
        data_root=None if root is None else str(root.path),
        include_path=None if include is None else str(zoo.beside(include)),
        allow_code_execution=zoo.config.allow_code_execution,
    )
    failed = {f.key for f in folder.outcomes() if isinstance(f, CellFailure)}
    return folder.write_orders(
        plan, zoo_panels(zoo), options, zoo.config.limits.timeout, failed=failed
    )


def absorb(folder: ZooFolder, store: Store) -> Absorbed:
    """Take results and failures from a zoo's folder into the store; what it has is left alone."""
    n, failures = 0, []
    known = {r.key for r in store.results()}
    for outcome in folder.outcomes(known=known):
        if isinstance(outcome, Result):
            store.put(outcome, None)
            n += 1
        else:
            failures.append(outcome)
            store.put_failure(
                Failure(outcome.model, outcome.revision, outcome.benchmark, outcome.reason)
            )
    return Absorbed(n, tuple(failures))


def forget_failures(
    folder: ZooFolder, wanted: Callable[[CellFailure], bool] = lambda failure: True
) -> list[CellFailure]:
    """Drop recorded failures, so that the next run tries those cells again; return them."""
    dropped = [f for f in folder.outcomes() if isinstance(f, CellFailure) and wanted(f)]
    for failure in dropped:
        folder.forget(failure.key)
    return dropped

"""A zoo's shared folder holds what its workers and its driver know of each other.

Layout, below ``<store>/zoo/<name>``::

    orders.json            what there is to do, in order; written by the driver
    units/<id>.running     attempts so far of a unit that a worker took
    units/<id>.done        attempts of a unit that is finished, well or not
    cells/<key>.json       one result, or why there is none
    claims/                who has which unit (capspace.collect.storage.journal.leases)
    workers/<name>.json    what a worker is doing
    logs/<name>.log        what it said

Every file is written whole under another name and then renamed, so that a reader on any node sees
all of it or nothing. Nothing here is SQLite, whose file not every shared file system keeps whole
(see `Store`): only the driver, on one machine, writes to the store.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import InitVar, asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from capspace.tasks.panel import Panel

from ...errors import ZooError
from ...storage.digests import sha256
from ...storage.files import write_atomically
from ...storage.journal.leases import Leases
from ...storage.result import Missing, Result
from ...storage.store import Store
from ..planning.plan import Plan
from .records import (
    Attempt,
    WorkerState,
    WorkList,
    WorkUnit,
    failure_json,
    parse_failure,
    parse_result,
    parse_work_list,
    result_json,
    work_list_json,
)

__all__ = ["ZooFolder"]


@dataclass
class ZooFolder:
    """The folder of one zoo.

    Parameters
    ----------
    path : Path
        The folder.
    create : bool
        False makes a missing folder when work is written to it; until then it is empty.

    """

    path: Path
    create: InitVar[bool] = True
    _work: tuple[int, WorkList] | None = field(default=None, repr=False)
    _kinds: dict[str, Missing | None] = field(default_factory=dict, repr=False)

    def __post_init__(self, create: bool) -> None:
        if create or self.path.exists():
            self._make()
        self.leases = Leases(self.path / "claims")

    def _make(self) -> None:
        try:
            for name in ("units", "cells", "claims", "workers", "logs"):
                (self.path / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ZooError(f"cannot write the zoo's folder {self.path}: {error.strerror}") from None

    @classmethod
    def of(cls, store: Store, name: str, *, create: bool = True) -> ZooFolder:
        """Return the folder of a zoo beside its store."""
        return cls(store.path / "zoo" / name, create=create)

    @staticmethod
    def require_work(store: Path, name: str) -> None:
        """Refuse a zoo that was never run with the store of this folder; nothing is made.

        Raises
        ------
        ZooError
            No plan was ever written.

        """
        if not (store / "zoo" / name / "orders.json").is_file():
            raise _never_run(store)

    def write_work(
        self,
        plan: Plan,
        panels: list[Panel],
        timeout: float | None,
        *,
        failed: Collection[str] = (),
    ) -> int:
        """Write what there is to do, without cells that ``failed``; return how many units.

        A cell that an earlier plan gave to a unit stays in it for as long as that unit is not
        finished, however the new plan would cut: a worker may be at it this moment.
        """
        self._make()
        new = {
            unit.id: unit
            for unit in map(WorkUnit.of, plan.units)
            if not set(unit.cells.values()) <= set(failed)
        }
        wanted = {key for unit in new.values() for key in unit.cells.values()}
        current = {c.key: m.settings for m in plan.models for c in plan.cells[m.row]}
        finished = self.finished()
        by_id: dict[str, WorkUnit] = {}
        taken: set[str] = set()
        for old in self.read_work().units if self.has_work() else ():
            cells = {b: k for b, k in old.cells.items() if k in wanted}
            if cells and old.id not in finished:
                settings = current[min(cells.values())]  # a data root may have moved
                by_id[old.id] = replace(old, cells=cells, settings=settings)
                taken |= set(cells.values())
        for unit in new.values():
            if taken.isdisjoint(unit.cells.values()):
                by_id[unit.id] = unit
                (self.path / "units" / f"{unit.id}.done").unlink(missing_ok=True)
            elif cells := {b: k for b, k in unit.cells.items() if k not in taken}:
                identifier = f"{unit.id}-{secrets.token_hex(4)}"
                by_id[identifier] = replace(unit, id=identifier, cells=cells)
        ordered = sorted(by_id.values(), key=lambda o: (-o.seconds, o.model, o.id))
        work = WorkList(
            wanted={m.name: {c.benchmark: c.key for c in plan.cells[m.row]} for m in plan.models},
            facts={m.name: m.facts | {"counted": list(m.counted)} for m in plan.models},
            units=tuple(ordered),
            panels={p.name: p for p in panels},
            timeout=timeout,
            unmeasurable=plan.unmeasurable,
        )
        _write_json(self.path / "orders.json", work_list_json(work))
        return len(ordered)

    def discard(self) -> None:
        """Remove the folder of a plan that nobody has begun to measure."""
        begun = ("units", "cells", "claims", "workers")
        if any(path.is_file() for name in begun for path in (self.path / name).rglob("*")):
            return
        shutil.rmtree(self.path)
        self._work = None

    def has_work(self) -> bool:
        """Return whether a plan was ever written here."""
        return (self.path / "orders.json").is_file()

    def read_work(self) -> WorkList:
        """Return what there is to do; read again only when the driver wrote it again."""
        path = self.path / "orders.json"
        try:
            stamp = path.stat().st_mtime_ns
            if self._work is None or self._work[0] != stamp:
                self._work = stamp, parse_work_list(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise _never_run(self.path.parent.parent) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ZooError(
                f"{path}: no readable work units ({error}); `capspace zoo run` writes them"
            ) from None
        return self._work[1]

    def finished(self) -> set[str]:
        """Return the units that are finished."""
        return self.progress()[0]

    def is_finished(self, unit: str) -> bool:
        """Return whether a unit is finished."""
        return (self.path / "units" / f"{unit}.done").is_file()

    def progress(self) -> tuple[set[str], set[str]]:
        """Return the units that are finished, and those that someone began and nobody finished."""
        kinds: dict[str, set[str]] = {"done": set(), "running": set()}
        for entry in self._names("units"):
            name, _, kind = entry.partition(".")
            if kind in kinds:
                kinds[kind].add(name)
        return kinds["done"], kinds["running"] - kinds["done"]

    def attempts(self, unit: str) -> list[Attempt]:
        """Return the attempts at a unit so far."""
        for kind in ("done", "running"):
            try:
                attempts = json.loads((self.path / "units" / f"{unit}.{kind}").read_text())
            except FileNotFoundError:
                continue
            return [Attempt(**attempt) for attempt in attempts]
        return []

    def write_attempts(self, unit: str, attempts: list[Attempt], *, finished: bool) -> None:
        """Keep the attempts at a unit."""
        folder = self.path / "units"
        _write_json(
            folder / f"{unit}.{'done' if finished else 'running'}", [asdict(a) for a in attempts]
        )
        if finished:
            (folder / f"{unit}.running").unlink(missing_ok=True)

    def has_outcome(self, key: str) -> bool:
        """Return whether a cell has a result or a recorded failure here."""
        return (self.path / "cells" / f"{key}.json").is_file()

    def write_result(self, result: Result) -> None:
        """Keep a result until the driver takes it into the store."""
        _write_json(self.path / "cells" / f"{result.key}.json", {"result": result_json(result)})

    def write_failure(self, failure: Missing) -> None:
        """Keep why a cell has no score."""
        _write_json(self.path / "cells" / f"{failure.key}.json", {"failure": failure_json(failure)})

    def result(self, key: str) -> Result | None:
        """Return the result of a cell, or None where it has none here."""
        try:
            stored = self._read_outcome(key)
        except FileNotFoundError:
            return None
        return parse_result(stored["result"]) if "result" in stored else None

    def results(self, *, but: Collection[str] = ()) -> Iterator[Result]:
        """Yield the results here, without those of the keys ``but``."""
        failed = {f.key for f in self.failures()}
        for key in sorted(self._outcome_keys().difference(but, failed)):
            yield parse_result(self._read_outcome(key)["result"])

    def failures(self) -> list[Missing]:
        """Return the cells that are recorded as failed; each file is read once."""
        there = self._outcome_keys()
        for key in there - self._kinds.keys():
            stored = self._read_outcome(key)
            self._kinds[key] = parse_failure(stored["failure"]) if "failure" in stored else None
        for key in self._kinds.keys() - there:
            del self._kinds[key]
        return [f for key in sorted(there) if (f := self._kinds[key]) is not None]

    def results_done(self) -> set[str]:
        """Return the keys of the results here."""
        return self._outcome_keys() - {f.key for f in self.failures()}

    def _outcome_keys(self) -> set[str]:
        names = self._names("cells")
        return {name.removesuffix(".json") for name in names if not name.startswith(".")}

    def _names(self, part: str) -> list[str]:
        try:
            with os.scandir(self.path / part) as entries:
                return [entry.name for entry in entries]
        except FileNotFoundError:  # nothing was planned yet
            return []

    def _read_outcome(self, key: str) -> dict[str, Any]:
        text = (self.path / "cells" / f"{key}.json").read_text(encoding="utf-8")
        stored: dict[str, Any] = json.loads(text)
        return stored

    def forget(self, key: str) -> None:
        """Drop the outcome of a cell, so that it is tried again."""
        (self.path / "cells" / f"{key}.json").unlink(missing_ok=True)
        self._kinds.pop(key, None)

    def write_notices(self, model: str, lines: Sequence[str]) -> None:
        """Keep what the run of a model does otherwise, in place of what was there before."""
        path = self.path / "notices" / f"{sha256(model)[:16]}.json"
        if lines:
            path.parent.mkdir(exist_ok=True)
            _write_json(path, {"model": model, "lines": list(lines)})
        else:
            path.unlink(missing_ok=True)

    def notices(self) -> list[str]:
        """Return what the runs of models do otherwise, a line for each."""
        lines = []
        for path in sorted((self.path / "notices").glob("*.json")):
            try:
                notices = json.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                continue  # it was dropped just now
            lines += [f"{notices['model']}: {line}" for line in notices["lines"]]
        return lines

    def write_worker(self, state: WorkerState) -> None:
        """Say what a worker is doing."""
        _write_json(
            self.path / "workers" / f"{state.worker}.json",
            asdict(state),
            sync=False,  # worth nothing after a power cut
        )

    def remove_worker(self, worker: str) -> None:
        """Say that a worker has ended."""
        (self.path / "workers" / f"{worker}.json").unlink(missing_ok=True)

    def workers(self) -> list[WorkerState]:
        """Return what the workers last said, without those that ended."""
        states = []
        for path in sorted((self.path / "workers").glob("*.json")):
            try:
                states.append(WorkerState(**json.loads(path.read_text(encoding="utf-8"))))
            except FileNotFoundError:
                continue  # it ended just now
        return states

    def log_path(self, worker: str) -> Path:
        """Return where a worker's log is."""
        return self.path / "logs" / f"{worker}.log"


def _never_run(store: Path) -> ZooError:
    return ZooError(f"this zoo was never run with the store {store}; `capspace zoo run` first")


def _write_json(path: Path, value: Any, *, sync: bool = True) -> None:
    write_atomically(path, json.dumps(value, ensure_ascii=False, allow_nan=False), sync=sync)

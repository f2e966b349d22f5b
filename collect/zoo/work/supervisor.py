"""A supervisor runs work units in a child process, and survives whatever ends that process."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from ...storage.result import Missing
from .child import Child, death
from .folder import ZooFolder
from .records import Attempt, WorkerState, WorkUnit, now, work_unit_json

__all__ = ["Supervisor", "smaller_batch"]

_ENDS = {"done", "failed", "crashed", "timeout"}
_ATTEMPTS = 2
_LOST_ATTEMPTS = 3
_LEAST_TIMEOUT = 1800.0
_STATE_EVERY = 2.0
_START_SECONDS = 600.0


@dataclass(frozen=True)
class _Outcome:
    kind: str
    reason: str
    missing: Mapping[str, str]


class Supervisor:
    """Runs work units, one after another, in a child process.

    Parameters
    ----------
    folder : ZooFolder
        The zoo's folder, which takes the outcomes.
    name : str
        The worker's name, unique among all workers of the zoo.
    environment : mapping, optional
        Environment variables of the child, over this process's own.
    stop : threading.Event, optional
        Set to stop the current unit, which another attempt continues later.

    """

    def __init__(
        self,
        folder: ZooFolder,
        name: str,
        *,
        environment: Mapping[str, str] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self._folder = folder
        self._name = name
        self._environment = dict(environment or {})
        self._stop = stop or threading.Event()
        self._child: Child | None = None
        self._state = WorkerState(name, socket.gethostname(), os.getpid())
        self._stated = 0.0

    def __enter__(self) -> Self:
        self._write_state(force=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end_child()
        self._folder.remove_worker(self._name)

    def announce(self, unit: WorkUnit, what: str) -> None:
        """Show what a unit that this worker holds is waiting for."""
        if self._state.benchmark != what:
            self._state = replace(
                self._state, unit=unit.id, model=unit.model, benchmark=what, started=now()
            )
        self._write_state()

    def run(
        self, unit: WorkUnit, *, timeout: float | None, environment: Mapping[str, str] | None = None
    ) -> bool:
        """Run a unit to its end and return whether it has one; it has none when stopped.

        A unit that fails, crashes its process or times out is retried once in a fresh process
        with a smaller batch; then its missing cells are recorded as failed. Attempts lost to a
        node failure are retried up to three times. Preempted attempts use up the unit's timeout
        but not its retries; the next attempt resumes from the journal.

        Parameters
        ----------
        unit : WorkUnit
            The unit, whose lease the caller holds.
        timeout : float, optional
            Seconds for the unit; by default far beyond its estimate.
        environment : mapping, optional
            Environment variables of the child for this unit; another set starts a new child.

        """
        attempts = self._folder.attempts(unit.id)
        batch_size = unit.settings.batch_size
        limit = timeout or max(_LEAST_TIMEOUT, 20 * unit.seconds_upper)
        while True:
            open_cells = {b: k for b, k in unit.cells.items() if not self._folder.has_outcome(k)}
            if not open_cells:
                self._folder.write_attempts(unit.id, attempts, finished=True)
                return True
            ended = [a for a in attempts if a.outcome in _ENDS]
            lost = [a for a in attempts if not a.outcome]
            if len(ended) >= _ATTEMPTS or len(lost) >= _LOST_ATTEMPTS:
                self._record_failures(unit, open_cells, attempts, {})
                return True
            if (spent := _seconds_stopped(attempts)) >= limit:
                attempts.append(Attempt(self._name, now(), "timeout", _too_long(limit), 0.0))
                continue
            began = Attempt(self._name, now())
            self._folder.write_attempts(unit.id, [*attempts, began], finished=False)
            retried = smaller_batch(batch_size) if ended else batch_size
            rest = replace(unit, cells=open_cells)
            try:
                outcome = self._attempt(
                    rest, len(ended) + 1, retried, limit, spent, environment or {}
                )
            except (SystemExit, KeyboardInterrupt):  # so a job ends when its time is over
                self._release(unit, attempts, began)
                raise
            if outcome is None:
                self._release(unit, attempts, began)
                return False
            attempts.append(
                replace(
                    began,
                    outcome=outcome.kind,
                    reason=outcome.reason,
                    seconds=round(now() - began.started, 3),
                )
            )
            if outcome.kind == "done" and len(ended) + 1 >= _ATTEMPTS:
                self._record_failures(unit, open_cells, attempts, outcome.missing)
                return True

    def _attempt(
        self,
        unit: WorkUnit,
        number: int,
        batch_size: int | str,
        limit: float,
        spent: float,
        environment: Mapping[str, str],
    ) -> _Outcome | None:
        child = self._ready_child(environment)
        self._state = replace(
            self._state, unit=unit.id, model=unit.model, benchmark="", attempt=number,
            started=now(), items_done=0, items_total=0, items_per_second=None,
        )  # fmt: skip
        self._write_state(force=True)
        # A unit's timeout starts when its process is ready, however slow the imports were.
        deadline = time.monotonic() + (limit - spent if child.is_ready else _START_SECONDS)
        child.send({"unit": work_unit_json(unit), "batch_size": batch_size})
        try:
            while True:
                if self._stop.is_set():
                    self._end_child()
                    return None
                if time.monotonic() > deadline:
                    what = _too_long(limit)
                    if not child.is_ready:
                        what = f"its process was not ready within {_START_SECONDS:.0f} s"
                    self._end_child()
                    return _Outcome("timeout", what, {})
                event = child.receive(timeout=min(1.0, max(0.05, deadline - time.monotonic())))
                if event is None:
                    if (code := child.exit_code()) is not None:
                        self._end_child()
                        return _Outcome("crashed", death(code), {})
                elif event["event"] == "ready":
                    child.is_ready = True
                    deadline = time.monotonic() + limit - spent
                elif event["event"] == "finished":
                    missing = event["missing"]
                    if missing:
                        self._end_child()  # a retry gets a fresh process
                    reason = "; ".join(f"{b}: {r}" for b, r in missing.items())
                    return _Outcome("done", reason, missing)
                elif event["event"] == "failed":
                    self._end_child()
                    return _Outcome("failed", event["reason"], {})
                else:
                    self._take_note(event)
                self._write_state(force=event is not None and event["event"] == "benchmark")
        finally:
            self._state = WorkerState(self._name, self._state.host, self._state.pid)
            self._write_state(force=True)

    def _release(self, unit: WorkUnit, attempts: list[Attempt], began: Attempt) -> None:
        stopped = replace(began, outcome="stopped", seconds=round(now() - began.started, 3))
        self._folder.write_attempts(unit.id, [*attempts, stopped], finished=False)

    def _take_note(self, event: dict[str, Any]) -> None:
        if event["event"] == "benchmark":
            self._state = replace(
                self._state, benchmark=event["benchmark"], items_done=0, items_total=0,
                items_per_second=None,
            )  # fmt: skip
            self._benchmark_began = time.monotonic()
        elif event["event"] == "items":
            passed = time.monotonic() - self._benchmark_began
            self._state = replace(
                self._state, items_done=event["done"], items_total=event["total"],
                items_per_second=event["done"] / passed if passed > 0 else None,
            )  # fmt: skip

    def _record_failures(
        self,
        unit: WorkUnit,
        open_cells: Mapping[str, str],
        attempts: list[Attempt],
        missing: Mapping[str, str],
    ) -> None:
        reasons = [a.reason for a in attempts if a.reason]
        last = reasons[-1] if reasons else "its worker was lost three times"
        for benchmark, key in open_cells.items():
            if not self._folder.has_outcome(key):
                self._folder.write_failure(
                    Missing(
                        unit.model,
                        benchmark,
                        missing.get(benchmark, last),
                        revision=unit.revision,
                        key=key,
                    )
                )
        self._folder.write_attempts(unit.id, attempts, finished=True)

    def _ready_child(self, environment: Mapping[str, str]) -> Child:
        wanted = {**self._environment, **environment}
        if self._child is not None and self._child.environment != wanted:
            self._end_child()
        if self._child is None or self._child.exit_code() is not None:
            self._end_child()
            self._child = Child(self._folder, self._name, wanted)
        return self._child

    def _end_child(self) -> None:
        if self._child is not None:
            child, self._child = self._child, None
            child.end()

    def _write_state(self, *, force: bool = False) -> None:
        if force or now() - self._stated > _STATE_EVERY:
            self._stated = now()
            self._state = replace(self._state, beat=self._stated)
            self._folder.write_worker(self._state)


def smaller_batch(batch_size: int | str) -> int:
    """Return the batch size of a retry: a quarter, or 1 where the size was automatic."""
    return max(1, batch_size // 4) if isinstance(batch_size, int) else 1


def _seconds_stopped(attempts: list[Attempt]) -> float:
    """Return the seconds of the attempts stopped since the last one that ended by itself."""
    seconds = 0.0
    for attempt in attempts:
        if attempt.outcome == "stopped":
            seconds += attempt.seconds or 0.0
        elif attempt.outcome:
            seconds = 0.0
    return seconds


def _too_long(limit: float) -> str:
    return f"took longer than {limit:.0f} s"

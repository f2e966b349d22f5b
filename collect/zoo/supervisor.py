"""A supervisor: runs units in a process of their own and survives whatever happens to it."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any, Self

from capspace.collect.zoo.folder import (
    Attempt,
    CellFailure,
    Order,
    WorkerState,
    ZooFolder,
    now,
)

__all__ = ["Supervisor", "smaller_batch"]

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
    """Runs units, one after another, in a child process.

    Parameters
    ----------
    folder : ZooFolder
        Where outcomes go.
    name : str
        The worker's name, unique among all workers of the zoo.
    environment : mapping, optional
        Environment variables of the child, over this process's own.
    stop : threading.Event, optional
        Set to end the current unit as if it had never begun.

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
        self._child: _Child | None = None
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

    def announce(self, order: Order, what: str) -> None:
        """Say what keeps a unit, which this worker has, from being run."""
        if self._state.benchmark != what:
            self._state = replace(
                self._state, unit=order.id, model=order.model, benchmark=what, started=now()
            )
        self._write_state()

    def run(
        self, order: Order, *, timeout: float | None, environment: Mapping[str, str] | None = None
    ) -> bool:
        """Run a unit to its end and return whether it has one; it has none when stopped.

        A unit that fails, kills its process or takes too long is tried once more in a fresh
        process with a smaller batch; then what is missing is recorded as failed. An attempt whose
        supervisor was lost (a node failure, a preemption) does not count, until there are three.

        Parameters
        ----------
        order : Order
            The unit, claimed by the caller.
        timeout : float, optional
            Seconds; by default far beyond the estimate.
        environment : mapping, optional
            Environment variables of the child for this unit; another set starts a new child.

        """
        attempts = self._folder.attempts(order.id)
        batch_size = order.settings.get("batch_size", "auto")
        limit = timeout or max(_LEAST_TIMEOUT, 20 * order.seconds_upper)
        while True:
            open_cells = {b: k for b, k in order.cells.items() if not self._folder.has_outcome(k)}
            if not open_cells:
                self._folder.write_attempts(order.id, attempts, finished=True)
                return True
            ended = [a for a in attempts if a.outcome]
            lost = [a for a in attempts if not a.outcome]
            if len(ended) >= _ATTEMPTS or len(lost) >= _LOST_ATTEMPTS:
                self._record_failures(order, open_cells, attempts, {})
                return True
            began = Attempt(self._name, now())
            self._folder.write_attempts(order.id, [*attempts, began], finished=False)
            retried = smaller_batch(batch_size) if ended else batch_size
            outcome = self._attempt(
                replace(order, cells=open_cells), retried, limit, dict(environment or {})
            )
            if outcome is None:
                self._folder.write_attempts(order.id, attempts, finished=False)
                return False
            attempts.append(
                replace(
                    began,
                    outcome=outcome.kind,
                    reason=outcome.reason,
                    seconds=round(now() - began.started, 3),
                )
            )
            if outcome.kind == "done" and len([a for a in attempts if a.outcome]) >= _ATTEMPTS:
                self._record_failures(order, open_cells, attempts, outcome.missing)
                return True

    def _attempt(
        self, order: Order, batch_size: int | str, limit: float, environment: Mapping[str, str]
    ) -> _Outcome | None:
        child = self._ready_child(environment)
        self._state = replace(
            self._state, unit=order.id, model=order.model, benchmark="", started=now(),
            items_done=0, items_total=0, items_per_second=None,
        )  # fmt: skip
        self._write_state(force=True)
        # A unit's time begins when its process is ready: imports on a busy file system are not its.
        deadline = time.monotonic() + (limit if child.is_ready else _START_SECONDS)
        child.send({"order": asdict(order), "batch_size": batch_size})
        try:
            while True:
                if self._stop.is_set():
                    self._end_child()
                    return None
                if time.monotonic() > deadline:
                    what = f"took longer than {limit:.0f} s"
                    if not child.is_ready:
                        what = f"its process was not ready within {_START_SECONDS:.0f} s"
                    self._end_child()
                    return _Outcome("timeout", what, {})
                said = child.receive(timeout=min(1.0, max(0.05, deadline - time.monotonic())))
                if said is None:
                    if (code := child.exit_code()) is not None:
                        self._end_child()
                        return _Outcome("crashed", _death(code), {})
                elif said["event"] == "ready":
                    child.is_ready = True
                    deadline = time.monotonic() + limit
                elif said["event"] == "finished":
                    missing = said["missing"]
                    if missing:
                        self._end_child()  # a retry gets a fresh process
                    reason = "; ".join(f"{b}: {r}" for b, r in missing.items())
                    return _Outcome("done", reason, missing)
                elif said["event"] == "failed":
                    self._end_child()
                    return _Outcome("failed", said["reason"], {})
                else:
                    self._take_note(said)
                self._write_state()
        finally:
            self._state = replace(self._state, unit="", model="", benchmark="")
            self._write_state(force=True)

    def _take_note(self, said: dict[str, Any]) -> None:
        if said["event"] == "benchmark":
            self._state = replace(
                self._state, benchmark=said["benchmark"], items_done=0, items_total=0,
                items_per_second=None,
            )  # fmt: skip
            self._benchmark_began = time.monotonic()
        elif said["event"] == "items":
            passed = time.monotonic() - self._benchmark_began
            self._state = replace(
                self._state, items_done=said["done"], items_total=said["total"],
                items_per_second=said["done"] / passed if passed > 0 else None,
            )  # fmt: skip

    def _record_failures(
        self,
        order: Order,
        open_cells: Mapping[str, str],
        attempts: list[Attempt],
        missing: Mapping[str, str],
    ) -> None:
        told = [a for a in attempts if a.reason]
        last = told[-1].reason if told else "its worker was lost three times"
        for benchmark, key in open_cells.items():
            if not self._folder.has_outcome(key):
                self._folder.write_failure(
                    CellFailure(
                        key, order.model, order.revision, benchmark, missing.get(benchmark, last)
                    )
                )
        self._folder.write_attempts(order.id, attempts, finished=True)

    def _ready_child(self, environment: Mapping[str, str]) -> _Child:
        wanted = {**self._environment, **environment}
        if self._child is not None and self._child.environment != wanted:
            self._end_child()
        if self._child is None or self._child.exit_code() is not None:
            self._end_child()
            self._child = _Child(self._folder, self._name, wanted)
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


class _Child:
    """The measuring process, its pipe, and a thread that reads it."""

    def __init__(self, folder: ZooFolder, worker: str, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self.is_ready = False
        # On this machine: what is in it is worth nothing to others.
        self._scratch = tempfile.mkdtemp(prefix="capspace-zoo-")
        with folder.log_path(worker).open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, no shell
                [
                    sys.executable,
                    "-m",
                    "capspace.collect.zoo.measure",
                    str(folder.path),
                    self._scratch,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,  # so that all it started can be ended with it
            )
        self._said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, order: dict[str, Any]) -> None:
        """Give an order; a child that is dead already is noticed by its exit code."""
        if self._process.stdin is None:
            return
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def receive(self, *, timeout: float) -> dict[str, Any] | None:
        """Return what the child said next, or None when it says nothing for so long."""
        try:
            return self._said.get(timeout=timeout)
        except queue.Empty:
            return None

    def exit_code(self) -> int | None:
        """Return how the child ended, or None while it lives or has more to say."""
        return self._process.poll() if self._said.empty() else None

    def end(self) -> None:
        """End the child and all it started."""
        if self._process.poll() is None:
            _kill_group(self._process.pid)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                _close(stream.close)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _read(self) -> None:
        if self._process.stdout is None:
            return
        for line in self._process.stdout:
            self._said.put(json.loads(line))
        self._said.put(None)  # wakes whoever waits: the child has closed its pipe


def smaller_batch(batch_size: int | str) -> int:
    """Return the batch size of a retry: a quarter, or 1 where it was left to the machine."""
    return max(1, batch_size // 4) if isinstance(batch_size, int) else 1


def _death(code: int) -> str:
    if code >= 0:
        return f"its process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (out of memory, or killed by someone)" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{hint}"


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _close(close: Callable[[], None]) -> None:
    try:
        close()
    except BrokenPipeError:
        return

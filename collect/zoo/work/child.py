"""The supervisor sends requests to the measuring process, and reads events from it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from .folder import ZooFolder

__all__ = ["Child", "death"]


class Child:
    """A measuring process, its pipe, and a thread that reads it.

    Parameters
    ----------
    folder : ZooFolder
        The zoo's folder.
    worker : str
        Name of the worker, whose log takes what the process prints.
    environment : mapping
        Environment variables of the process, over those of this one.

    """

    def __init__(self, folder: ZooFolder, worker: str, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self.is_ready = False
        with folder.log_path(worker).open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, no shell
                [
                    sys.executable,
                    "-m",
                    "capspace.collect.zoo.work.measure",
                    str(folder.path),
                    worker,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,  # so that all it started can be ended with it
            )
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, request: dict[str, Any]) -> None:
        """Send a request; a child that has died already is noticed by its exit code."""
        if self._process.stdin is None:
            return
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def receive(self, *, timeout: float) -> dict[str, Any] | None:
        """Return the child's next event, or None if none comes within the timeout."""
        try:
            return self._events.get(timeout=timeout)
        except queue.Empty:
            return None

    def exit_code(self) -> int | None:
        """Return the child's exit code, or None while it runs or has events that are not read."""
        return self._process.poll() if self._events.empty() else None

    def end(self) -> None:
        """End the child and every process that it started."""
        if self._process.poll() is None:
            _kill_group(self._process.pid)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                _close(stream.close)

    def _read(self) -> None:
        if self._process.stdout is None:
            return
        for line in self._process.stdout:
            self._events.put(json.loads(line))
        self._events.put(None)  # wakes whoever waits: the child has closed its pipe


def death(code: int) -> str:
    """Return in words how a process with this exit code ended."""
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

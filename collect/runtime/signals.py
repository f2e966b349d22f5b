"""SIGTERM, as Slurm sends it, ends a run as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Terminated", "end_if_terminated", "terminable"]

_was_stopped = threading.Event()


class Terminated(KeyboardInterrupt):
    """SIGTERM ended the run; the chunk under way is dropped whole."""


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception within the block, so that locks and leases are given back.

    Outside the main thread, where Python takes no signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if before is not _stop:
            _was_stopped.clear()


def _stop(number: int, frame: FrameType | None) -> None:
    _was_stopped.set()
    raise Terminated


def end_if_terminated() -> None:
    """Raise Terminated where SIGTERM came and its exception was swallowed, as finalizers do."""
    if _was_stopped.is_set() and threading.current_thread() is threading.main_thread():
        raise Terminated

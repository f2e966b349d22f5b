"""If several processes measure the same cells, each cell belongs to one process at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ..storage.journal import Journal

__all__ = ["in_turn"]

_POLL_SECONDS = 1.0
T = TypeVar("T")


def in_turn(
    items: Sequence[T],
    *,
    key: Callable[[T], str],
    is_done: Callable[[T], bool],
    journal: Journal,
) -> Iterator[T]:
    """Yield each item that is not done, leased for as long as the caller works on it.

    Items that another process works on come last, once that process is done with them or dead.
    """
    waiting = list(items)
    while waiting:
        busy = []
        for item in waiting:
            with journal.leases.hold(key(item)) as lease:
                if lease is None:
                    busy.append(item)
                elif not is_done(item):
                    yield item
        waiting = busy
        if waiting:
            time.sleep(_POLL_SECONDS)

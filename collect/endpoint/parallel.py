"""Send several requests at a time, and hand over each result as it arrives."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

__all__ = ["in_parallel"]

T = TypeVar("T")


def in_parallel(
    work: Callable[[int], T], n_items: int, n_threads: int
) -> Iterator[list[tuple[int, T]]]:
    """Yield the results of ``work(0)`` to ``work(n_items - 1)`` with their indices, as they come.

    An item is begun only once the results before it are handed over: of a process that is killed,
    no more than ``n_threads`` results are lost. After the first error no further item is begun;
    those under way are waited for and yielded, and then the error is raised. The threads are
    daemons: who stops the run waits for none of them.
    """
    todo = iter(range(n_items))
    waiting: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    outcomes: queue.SimpleQueue[tuple[int, T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        while (index := waiting.get()) is not None:
            try:
                outcomes.put((index, work(index), None))
            except BaseException as error:
                outcomes.put((index, None, error))

    n_threads = min(n_threads, n_items)
    for _ in range(n_threads):
        threading.Thread(target=run, daemon=True).start()
    n_begun = 0
    failure: BaseException | None = None
    try:
        for index in todo:
            waiting.put(index)
            n_begun += 1
            if n_begun == n_threads:
                break
        while n_begun:
            batch: list[tuple[int, T]] = []
            n_ended = 0
            for index, result, error in _those_there(outcomes):
                n_ended += 1
                if error is not None:
                    failure = failure or error
                else:
                    batch.append((index, result))  # type: ignore[arg-type]  # of a T without error
            if batch:
                yield batch
            n_begun -= n_ended
            for following in islice(todo, n_ended if failure is None else 0):
                waiting.put(following)
                n_begun += 1
        if failure is not None:
            raise failure
    finally:
        for _ in range(n_threads):
            waiting.put(None)


def _those_there(outcomes: queue.SimpleQueue[T]) -> Iterator[T]:
    """Yield what is in a queue, of which the first is waited for."""
    yield outcomes.get()
    while not outcomes.empty():
        yield outcomes.get()

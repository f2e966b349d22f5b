"""A score on some items of a benchmark is replaced by a score on more of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from capspace.tasks.panel import Benchmark

from ..storage.protocol import Protocol
from ..storage.result import Result

__all__ = ["drawn", "estimates_of", "stored_draws"]


def drawn(benchmark: Benchmark, n_items: int) -> Benchmark:
    """Return a benchmark of which so many items are drawn at random."""
    return benchmark.model_copy(update={"items": n_items, "draw": "random"})


def stored_draws(
    benchmark: Benchmark, stored: Iterable[Result], key_of: Callable[[Benchmark], str]
) -> Iterator[Benchmark]:
    """Yield the benchmark with as many drawn items as stored scores of it have, most first.

    Parameters
    ----------
    benchmark : Benchmark
        With all items.
    stored : iterable of Result
        Scores of a model, of whatever benchmarks.
    key_of : callable
        Returns the key of a benchmark's score.

    """
    stated = ((r, Protocol.parse(r.protocol)) for r in stored)
    rows = {r.key: r.n_items for r, p in stated if p is not None and p.mode.n_drawn is not None}
    for n in sorted({n for n in rows.values() if n is not None}, reverse=True):
        some = drawn(benchmark, n)
        if n >= benchmark.n_tasks and key_of(some) in rows:
            yield some


def estimates_of(whole: Result, stored: Iterable[Result]) -> list[str]:
    """Return the keys of stored scores that were estimated from some items of a benchmark.

    Parameters
    ----------
    whole : Result
        The score by all items.
    stored : iterable of Result
        Scores of the same checkpoint; those by the same protocol are estimates of this score.

    """
    keys = []
    for result in stored:
        protocol = Protocol.parse(result.protocol)
        if protocol is None or protocol.mode.n_estimating is None:
            continue
        same = (result.benchmark, result.n_shot) == (whole.benchmark, whole.n_shot)
        if same and str(protocol.by_all_items) == whole.protocol:
            keys.append(result.key)
    return keys

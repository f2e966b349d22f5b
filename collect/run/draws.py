"""Some items of a benchmark are drawn at random, and more of them take the place of fewer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from capspace.tasks.panel import Benchmark

from ..storage.protocol import Protocol
from ..storage.result import Result

__all__ = ["drawn", "stored_draws"]


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
    rows = {r.key: r.n_items for r in stored if _is_drawn(r)}
    for n in sorted({n for n in rows.values() if n is not None}, reverse=True):
        some = drawn(benchmark, n)
        if n >= benchmark.n_tasks and key_of(some) in rows:
            yield some


def _is_drawn(result: Result) -> bool:
    protocol = Protocol.parse(result.protocol)
    return protocol is not None and protocol.mode.n_drawn is not None

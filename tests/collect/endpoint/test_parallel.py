"""Several requests at a time: what a killed process may lose is bounded."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from capspace.collect.endpoint.parallel import in_parallel


@pytest.fixture
def _threads_take_turns() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_threads_take_turns")
def test_an_item_is_begun_once_the_results_before_it_are_handed_over() -> None:
    begun: list[int] = []
    n_handed_over = 0

    def work(index: int) -> int:
        begun.append(index)
        return index * index

    for batch in in_parallel(work, 60, 4):
        sum(list(range(20_000)))  # as storing does, it takes its time: nothing is begun meanwhile
        assert len(begun) <= n_handed_over + 4
        assert all(result == i * i for i, result in batch)
        n_handed_over += len(batch)
    assert n_handed_over == len(begun) == 60

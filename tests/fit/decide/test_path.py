"""Benchmarks one after another: each the best for its cost of those that save anything at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from capspace.fit import Bounds, Cost, Measurement
from capspace.fit.decide._outlook import Measurements
from capspace.fit.decide._path import first_steps, walk

SAVED = {"cheap": 0.0005, "dear": 0.1, "useless": -0.01}


class Planted:
    """An outlook in which each benchmark saves a known share of the one target's width."""

    model, targets, level, notes = "mine", (), 0.9, ()
    measured = Measurements(tuple(SAVED), *(np.full(len(SAVED), np.nan) for _ in range(3)))

    def now(self) -> Bounds:
        return Bounds(np.zeros(1), np.zeros(1), np.ones(1))

    def after(self, sets: Sequence[Mapping[int, float]]) -> Bounds:
        shares = list(SAVED.values())
        width = np.array([np.prod([1 - shares[j] for j in chosen]) for chosen in sets])
        upper = np.broadcast_to(width[:, None, None], (len(sets), 4, 1))
        return Bounds(upper / 2, 0 * upper, upper)


def test_what_saves_nothing_at_the_best_rate_does_not_end_the_path() -> None:
    outlook = Planted()
    prices = {"cheap": 0.001, "dear": 10.0, "useless": 1.0}
    options = [Measurement(name, 10, Cost(price, "usd")) for name, price in prices.items()]
    first = first_steps(outlook, outlook.now(), options)
    assert [step.measurement.benchmark for step in first] == ["cheap", "dear", "useless"]
    path = walk(outlook, outlook.now(), first)
    assert [step.measurement.benchmark for step in path] == ["dear"]
    assert path[0].total == Cost(10.0, "usd")

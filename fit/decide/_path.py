"""Benchmarks are ordered, one after another, by the width that each saves for its cost.

The first is the best by itself; each further one is the best once those before it are measured, so
that two benchmarks which tell the same do not both stand at the top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._display import SingleRow
from .._json import json_dict
from ._outlook import Bounds, Outlook
from .cost import Cost

__all__ = ["Measurement", "Step", "criterion", "first_steps", "walk"]

Array = NDArray[np.float64]

_LEAST_SAVED = 5e-3


@dataclass(frozen=True)
class Measurement:
    """A benchmark that could be measured.

    Attributes
    ----------
    benchmark : str
    n_items : int or None
        Items to measure, those that are measured already included; None where all of a benchmark
        that does not state their number.
    cost : Cost or None
        Of the items that are missing; None where no price is known.

    See Also
    --------
    Step : What is expected after one.
    next_evaluations : Orders them by what they are worth.

    Examples
    --------
    >>> from capspace.fit import Cost, Measurement
    >>> Measurement("GSM8K", n_items=100, cost=Cost(2, "device-hours")).benchmark
    'GSM8K'

    """

    benchmark: str
    n_items: int | None
    cost: Cost | None


@dataclass(frozen=True, repr=False)
class Step(SingleRow):
    """What is expected after a measurement, on top of those before it.

    Attributes
    ----------
    measurement : Measurement
    widths : tuple of t float
        Expected widths of the targets' intervals after it.
    saved : float
        Share of the width before this measurement that it saves. Of several targets the width is
        the root mean square of ``widths``, each in units of its target's width now. Negative where
        it is expected to grow, as a law may trust a benchmark too much.
    total : Cost or None
        Of this measurement and those before it.
    bounds : Bounds
        Intervals (d, t) after d plausible outcomes.

    See Also
    --------
    Verdict, NextEvaluations : Have them in the order of what they are worth.
    Measurement : What is measured in one.

    """

    measurement: Measurement
    widths: tuple[float, ...]
    saved: float
    total: Cost | None
    bounds: Bounds

    def __repr__(self) -> str:
        return f"Step({self.measurement.benchmark}: saves {self.saved:.0%} of the width)"

    def to_dict(self, targets: Sequence[str] = ()) -> dict[str, Any]:
        """Return a JSON-safe mapping; what is unknown is null.

        Parameters
        ----------
        targets : sequence of t str, default ()
            Names of the targets; their numbers, from 1, by default.

        """
        m, total = self.measurement, self.total
        names = targets or [str(i + 1) for i in range(len(self.widths))]
        return json_dict(
            {
                "benchmark": m.benchmark,
                "n_items": m.n_items,
                "cost": None if m.cost is None else m.cost.amount,
                "total_cost": None if total is None else total.amount,
                "unit": None if m.cost is None else m.cost.unit,
                "expected_width": dict(zip(names, self.widths, strict=True)),
                "saved": self.saved,
            }
        )


def criterion(widths: Array, now: Array) -> Array:
    """Return how wide intervals (..., t) are in units of those now (t,), over all targets.

    Notes
    -----
    The root of the mean over targets of the squared ratio: of one target it orders designs as
    c-optimality does, of several as V-optimality, each target in units of its own width.

    """
    unit = np.where(now > 0, now, 1.0)
    return np.asarray(np.sqrt(np.mean((widths / unit) ** 2, axis=-1)))


def first_steps(outlook: Outlook, now: Bounds, options: Sequence[Measurement]) -> list[Step]:
    """Return each measurement as the first, by width saved per cost; unpriced ones stand last."""
    steps = _steps(outlook, now, options, {}, 1.0, None)
    return sorted(steps, key=lambda s: (s.measurement.cost is None, -_rate(s)))


def walk(outlook: Outlook, now: Bounds, first: Sequence[Step]) -> list[Step]:
    """Return the priced of the first steps in turn, as long as one saves half a percent."""
    steps = [step for step in first if step.measurement.cost is not None]
    done: dict[int, float] = {}
    path: list[Step] = []
    # What saves next to nothing may do so at the best rate, and would end the path before it began.
    while worth := [step for step in steps if step.saved >= _LEAST_SAVED]:
        best = max(worth, key=_rate)
        path.append(best)
        done |= _numbered(outlook, best.measurement)
        remaining = [s.measurement for s in steps if s is not best]
        before = float(criterion(np.array(best.widths), now.width))
        steps = _steps(outlook, now, remaining, done, before, best.total)
    return path


def _steps(
    outlook: Outlook,
    now: Bounds,
    options: Sequence[Measurement],
    done: Mapping[int, float],
    before: float,
    total: Cost | None,
) -> list[Step]:
    if not options:
        return []
    after = outlook.after([{**done, **_numbered(outlook, option)} for option in options])
    steps = []
    for i, option in enumerate(options):
        bounds = Bounds(after.mean[i], after.lower[i], after.upper[i])
        widths = bounds.width.mean(axis=0)
        saved = (before - float(criterion(widths, now.width))) / before
        cost = option.cost
        summed = (
            cost if total is None or cost is None else Cost(total.amount + cost.amount, cost.unit)
        )
        steps.append(Step(option, tuple(map(float, widths)), saved, summed, bounds))
    return steps


def _numbered(outlook: Outlook, option: Measurement) -> dict[int, float]:
    n = float("nan") if option.n_items is None else float(option.n_items)
    return {outlook.measured.benchmarks.index(option.benchmark): n}


def _rate(step: Step) -> float:
    """Return the width saved per cost; what costs nothing known is compared by width alone."""
    cost = step.measurement.cost
    return step.saved / cost.amount if cost is not None else step.saved

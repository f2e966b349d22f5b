"""An interval below or above all scores of a reference is an extrapolation, and is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from ..reference import Reference

__all__ = ["extrapolation", "score_ranges"]


def score_ranges(reference: Reference, names: Collection[str]) -> dict[str, tuple[float, float]]:
    """Return the lowest and the highest score of a reference on each benchmark that has any."""
    scored = set(reference.table.benchmarks)
    known = [name for name in names if name in scored]
    columns = reference.table.array(known).T
    return {
        name: (float(np.nanmin(column)), float(np.nanmax(column)))
        for name, column in zip(known, columns, strict=True)
    }


def extrapolation(
    name: str, lower: float, upper: float, ranges: Mapping[str, tuple[float, float]]
) -> str:
    """Return that an interval lies beyond all scores on a benchmark; "" where it does not."""
    lowest, highest = ranges.get(name, (-np.inf, np.inf))
    if upper < lowest:
        return f"the interval lies below every model of the reference (lowest {lowest:.3f})"
    if lower > highest:
        return f"the interval lies above every model of the reference (highest {highest:.3f})"
    return ""

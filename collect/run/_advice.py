"""Of a placed model, the benchmarks that would narrow its predictions most for their cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from capspace.fit.decide import Cost, NextEvaluations, next_evaluations
from capspace.fit.errors import (
    NothingToMeasureError,
    RefusedTargetError,
    UnknownCostError,
    UnknownNameError,
)
from capspace.fit.prediction import Placement
from capspace.fit.reference import Reference
from capspace.fit.table import ScoreTable
from capspace.fit.table.doubtful import leave_out_doubtful

from ._prices import benchmark_prices

__all__ = ["PricesOf", "estimated_prices", "next_of"]

PricesOf = Callable[[Reference, ScoreTable, str], tuple[dict[str, Cost], list[str]]]
"""Returns prices of a reference's benchmarks for a model of a table, and where they come from."""


def estimated_prices(
    reference: Reference, table: ScoreTable, model: str
) -> tuple[dict[str, Cost], list[str]]:
    """Return what benchmarks take a model of the size that was counted; see ``PricesOf``."""
    return benchmark_prices(reference, table, model=model, given=(), file=None, parameters=None)


def next_of(
    placement: Placement, prices: PricesOf, *, level: float, keep: bool
) -> NextEvaluations | str:
    """Return what to measure next for the targets that a placement predicts, or why it is unknown.

    The same table, reference, targets and prices give the same as ``next_evaluations``.
    """
    targets = [p.target for p in placement.predictions if p.status != "refused"]
    if not targets:
        return "no target is predicted"
    reference, model = placement.reference, placement.model
    table = leave_out_doubtful(placement.table, reference.chance_levels, keep=keep)
    try:
        costs, lines = prices(reference, table, model)
        advice = next_evaluations(
            table, reference, prices=costs, model=model, targets=targets, level=level
        )
    except UnknownCostError:
        return "no cost of a benchmark is known"
    except (NothingToMeasureError, RefusedTargetError, UnknownNameError) as error:
        return str(error)
    return replace(advice, notes=(*advice.notes, *lines))

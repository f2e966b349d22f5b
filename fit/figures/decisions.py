"""Draw what measuring first costs, against how wide the interval is expected to be afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ..decide import Cost, NextEvaluations, Step, Verdict
from .style import ACCENT, BLUE, GREEN, headline, panel, styled

__all__ = ["draw_cost_and_width"]


def draw_cost_and_width(result: NextEvaluations | Verdict) -> Figure:
    """Draw the expected width of a target's interval against the cost of measuring first.

    Parameters
    ----------
    result : NextEvaluations or Verdict
        Of several targets the mean width is drawn. Each step of the line is a benchmark.

    Raises
    ------
    ValueError
        Nothing is left to measure that has a price.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import (
    ...     Cost, ScoreTable, draw_cost_and_width, load_reference, next_evaluations)
    >>> table = ScoreTable.from_wide(pd.DataFrame({"MMLU": 0.62}, index=["mine"]))
    >>> prices = {"GSM8K": Cost(2, "device-hours")}
    >>> result = next_evaluations(table, load_reference(), prices=prices, targets=["bbh"])
    >>> len(draw_cost_and_width(result).axes)
    1

    """
    if isinstance(result, Verdict):
        steps, now = result.steps, result.upper - result.lower
        wanted = None if result.question.tolerance is None else 2 * result.question.tolerance
        title = f"{result.label}: what measuring first narrows"
    else:
        steps, now, wanted = result.path, float(np.mean(result.widths)), None
        names = ", ".join(result.targets[:2]) + (", ..." if len(result.targets) > 2 else "")
        title = f"What the next benchmarks narrow: {names}"
    if not steps:
        raise ValueError("no benchmark with a price is left that narrows the interval")
    return _draw(steps, now, wanted, title=title, subtitle=result.model)


@styled
def _draw(
    steps: Sequence[Step], now: float, wanted: float | None, *, title: str, subtitle: str
) -> Figure:
    totals = [step.total for step in steps if step.total is not None]
    scale, unit = _unit(totals)
    at = np.array([0.0, *(total.amount for total in totals)]) * scale
    width = np.array([now, *(float(np.mean(step.widths)) for step in steps)])
    figure, axes = panel(7.2, 4.3)
    axes.step(at, width, where="post", color=BLUE, lw=1.8)
    axes.plot(at[1:], width[1:], "o", color=BLUE, ms=6, mec="white")
    axes.plot(at[:1], width[:1], "o", color=ACCENT, ms=7.5, mec="white", zorder=5)
    axes.annotate("now", (at[0], width[0]), (8, 4), textcoords="offset points", color=ACCENT)
    for x, y, step in zip(at[1:], width[1:], steps, strict=True):
        axes.annotate(
            step.measurement.benchmark,
            (x, y),
            (4, -12),
            textcoords="offset points",
            color=BLUE,
            fontsize=9,
            rotation=-20,
            rotation_mode="anchor",
            annotation_clip=False,
        )
    if wanted is not None:
        axes.axhline(wanted, color=GREEN, lw=1.3, ls=(0, (4, 3)))
        axes.annotate(
            "wanted",
            (1, wanted),
            (-4, 4),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            color=GREEN,
        )
    lowest = min(float(width.min()), now if wanted is None else wanted)
    reach = max(now - lowest, 0.05 * now)
    axes.set_ylim(lowest - 0.35 * reach, now + 0.15 * reach)
    axes.set_xlabel(f"Cost of measuring, {unit}")
    axes.set_ylabel("Expected width of the interval")
    headline(axes, title, subtitle)
    return figure


def _unit(totals: Sequence[Cost]) -> tuple[float, str]:
    unit = totals[-1].unit
    if unit == "device-hours":
        return (1.0, "GPU-hours") if totals[-1].amount >= 1 else (60.0, "GPU-minutes")
    return (1e-6, "million tokens") if unit == "tokens" else (1.0, unit)

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
        Each step of the line is a benchmark. Of several targets the share of the width now that
        is left is drawn, as ``NextEvaluations.width_left`` returns it.

    Raises
    ------
    ValueError
        Nothing is left to measure that has a price.

    See Also
    --------
    next_evaluations : Makes what is drawn.

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
    about, label = [result.model], "Expected width of the interval"
    if isinstance(result, Verdict):
        steps, now = result.steps, result.upper - result.lower
        wanted = None if result.question.tolerance is None else 2 * result.question.tolerance
        title = f"{result.label}: width after measuring first"
        widths = [step.widths[0] for step in steps]
    else:
        steps, now, wanted = result.path, result.widths[0], None
        title = "Width after the next benchmarks"
        about.append(", ".join(result.targets[:2]) + (", ..." if len(result.targets) > 2 else ""))
        widths = [step.widths[0] for step in steps]
        if len(result.targets) > 1:
            now, widths = 1.0, [result.width_left(step) for step in steps]
            label = "Expected width of the intervals, now = 1"
    if not steps:
        raise ValueError("no benchmark with a price is left that narrows the interval")
    return _draw(steps, [now, *widths], wanted, title=title, subtitle="; ".join(about), label=label)


@styled
def _draw(
    steps: Sequence[Step],
    widths: Sequence[float],
    wanted: float | None,
    *,
    title: str,
    subtitle: str,
    label: str,
) -> Figure:
    totals = [step.total for step in steps if step.total is not None]
    scale, unit = _unit(totals)
    at = np.array([0.0, *(total.amount for total in totals)]) * scale
    width = np.array(widths)
    figure, axes = panel(7.2, 4.3)
    axes.step(at, width, where="post", color=BLUE, lw=1.8)
    axes.plot(at[1:], width[1:], "o", color=BLUE, ms=6, mec="white")
    axes.plot(at[:1], width[:1], "o", color=ACCENT, ms=7.5, mec="white", zorder=5)
    axes.annotate("now", (at[0], width[0]), (8, 4), textcoords="offset points", color=ACCENT)
    for number, (x, y) in enumerate(zip(at[1:], width[1:], strict=True), 1):
        axes.annotate(
            str(number), (x, y), (0, -14), textcoords="offset points", color=BLUE, ha="center"
        )
    names = [f"{i}  {step.measurement.benchmark}" for i, step in enumerate(steps, 1)]
    half = -(-len(names) // 2)
    for column, part in enumerate((names[:half], names[half:])):
        axes.text(
            0.08 + 0.45 * column,
            0.05,
            "\n".join(part),
            transform=axes.transAxes,
            va="bottom",
            color=BLUE,
            fontsize=9.5,
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
    axes.set_ylim(0, 1.12 * max(widths[0], wanted or 0.0))
    axes.set_xlabel(f"Cost of measuring, {unit}")
    axes.set_ylabel(label)
    headline(axes, title, subtitle)
    return figure


def _unit(totals: Sequence[Cost]) -> tuple[float, str]:
    unit = totals[-1].unit
    if unit == "device-hours":
        if totals[-1].amount >= 1:
            return 1.0, "GPU-hours"
        return (60.0, "GPU-minutes") if totals[-1].amount >= 1 / 60 else (3600.0, "GPU-seconds")
    return (1e-6, "million tokens") if unit == "tokens" else (1.0, unit.upper())

"""Draw what more items would narrow, against their tokens."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ..decide._stopping import StoppingPlan
from .style import ACCENT, BLUE, GREEN, headline, panel, styled

__all__ = ["draw_stopping"]

_LEAST = 1e-4


@styled
def draw_stopping(plan: StoppingPlan) -> Figure:
    """Draw by how much the widest interval is wider than by all items, by the share of tokens.

    Parameters
    ----------
    plan : StoppingPlan
        Of a model; its curve is that of the best allocations.

    """
    share, wider = (np.array(column) for column in zip(*plan.curve, strict=True))
    figure, axes = panel(7.2, 3.6)
    axes.plot(share, np.maximum(wider, _LEAST), "o-", color=BLUE, ms=4.5, mec="white")
    axes.plot(
        [plan.token_share],
        [max(plan.widening, _LEAST)],
        "o",
        color=ACCENT,
        ms=9,
        mec="white",
        zorder=5,
    )
    axes.annotate(
        f"measured: {plan.token_share:.1%} of the tokens,\n{plan.widening:.1%} wider",
        (plan.token_share, max(plan.widening, _LEAST)),
        (10, 8),
        textcoords="offset points",
        color=ACCENT,
        fontsize=10,
    )
    if plan.tolerance.relative:
        axes.axhline(plan.tolerance.value, color=GREEN, lw=1.3, ls=(0, (4, 3)))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.7 * min(*share, plan.token_share), 1.4)
    percent = FuncFormatter(lambda value, _: f"{100 * value:g}%")
    between = FuncFormatter(lambda value, _: f"{100 * value:g}%" if f"{value:e}"[0] in "25" else "")
    axes.xaxis.set_major_formatter(percent)
    axes.xaxis.set_minor_formatter(between)
    axes.yaxis.set_major_formatter(percent)
    axes.set_xlabel("Tokens, as a share of all items' tokens")
    axes.set_ylabel("Excess width over all items")
    headline(
        axes, "How much the remaining items would narrow", "the widest of the targets' intervals"
    )
    return figure

"""Draw what more items would narrow, against their tokens."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ..decide._stopping import StoppingPlan
from .style import ACCENT, BLUE, GREEN, headline, panel, styled

__all__ = ["draw_stopping"]

_LEAST = 1e-4
_GAP, _CLEAR = 8.0, 54.0
"""Points between a point and its label, and below which the label would meet the line."""
_RIGHT = 0.2
"""Beyond this share of the tokens a label stands left of its point."""


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
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.7 * min(*share, plan.token_share), 1.4)
    axes.autoscale_view()
    _label(axes, plan)
    percent = FuncFormatter(lambda value, _: f"{100 * value:g}%")
    between = FuncFormatter(lambda value, _: f"{100 * value:g}%" if f"{value:e}"[0] in "25" else "")
    axes.xaxis.set_major_formatter(percent)
    axes.xaxis.set_minor_formatter(between)
    axes.tick_params(axis="x", which="both", length=3, pad=4)  # all labels in one line
    axes.yaxis.set_major_formatter(percent)
    axes.set_xlabel("Tokens, as a share of all items' tokens")
    axes.set_ylabel("Excess width over all items")
    headline(
        axes, "How much the remaining items would narrow", "the widest of the targets' intervals"
    )
    return figure


def _label(axes: Axes, plan: StoppingPlan) -> None:
    """Write beside the point what was measured, and at the line what was wanted."""
    at = (plan.token_share, max(plan.widening, _LEAST))
    # The curve falls to the right: above and right of the point, or below and left, it is clear.
    is_right = plan.token_share > _RIGHT
    low, high = axes.get_ylim()
    axes.set_ylim(
        min(low, at[1] / 8) if is_right else low, high if is_right else max(high, 8 * at[1])
    )
    gap = _GAP
    if plan.tolerance.relative:
        wanted = plan.tolerance.value
        axes.axhline(wanted, color=GREEN, lw=1.3, ls=(0, (4, 3)))
        axes.annotate(
            f"wanted: at most {100 * wanted:g}% wider",
            (0 if is_right else 1, wanted), (4 if is_right else -4, -4),
            xycoords=("axes fraction", "data"), textcoords="offset points",
            ha="left" if is_right else "right", va="top", color=GREEN, fontsize=10,
        )  # fmt: skip
        axes.set_ylim(top=max(axes.get_ylim()[1], 4 * wanted))
        low, high = axes.transData.transform([at, (at[0], wanted)])[:, 1]
        apart = (low - high if is_right else high - low) * 72 / axes.figure.dpi
        if 0 <= apart < _CLEAR:  # the label would lie on the line: it goes beyond it
            gap = apart + _GAP
    axes.annotate(
        f"measured: {plan.token_share:.1%} of the tokens,\n{plan.widening:.1%} wider",
        at, (-10, -gap) if is_right else (10, gap), textcoords="offset points",
        ha="right" if is_right else "left", va="top" if is_right else "bottom", color=ACCENT,
        fontsize=10,
    )  # fmt: skip

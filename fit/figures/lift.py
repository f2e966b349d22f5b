"""Draw what interventions would gain, with their intervals and costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .style import BLUE, GREY, INK, headline, panel, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..decide import Lift

__all__ = ["draw_lift"]


@styled
def draw_lift(lifts: Sequence[Lift]) -> Figure:
    """Draw the predicted gain of each intervention for one model.

    Parameters
    ----------
    lifts : sequence of Lift
        As ``lift_card`` returns them, of one model; at least one. The advised are filled,
        and those for which the model lies outside the laws' support are grey.

    See Also
    --------
    lift_card : Makes what is drawn.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import INTERVENTIONS, draw_lift, load_reference, predict_lift
    >>> reference = load_reference()
    >>> families = ["Llama-2", "Llama-3", "Qwen1.5"]
    >>> table = reference.table.select(benchmarks=["MMLU", "ARC-C"], families=families)
    >>> targets = reference.table.wide(["gsm8k", "gsm8k-cot"])
    >>> scores = pd.DataFrame({"MMLU": 0.62, "ARC-C": 0.58}, index=["mine"])
    >>> lifts = predict_lift(
    ...     scores, table, targets["gsm8k"], targets["gsm8k-cot"], INTERVENTIONS[0]
    ... )
    >>> figure = draw_lift(lifts)

    """
    figure, axes = panel(7.2, 1.5 + 0.55 * len(lifts))
    for at, lift in enumerate(reversed(lifts)):
        low, high = 100 * lift.lower, 100 * lift.upper
        colour = BLUE if lift.support.inside else GREY
        axes.plot([low, high], [at, at], color=colour, lw=6, alpha=0.25, solid_capstyle="round")
        face = colour if lift.advised else "white"
        axes.plot(100 * lift.mean, at, "o", color=colour, mfc=face, ms=8)
        per_point = lift.tokens_per_point
        cost = "no gain" if math.isnan(per_point) else f"{per_point:,.0f} tokens per point"
        if not lift.support.inside:
            cost = "outside support"
        axes.annotate(
            cost,
            (1, at),
            (8, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=9,
            annotation_clip=False,
        )
    axes.axvline(0, color=GREY, lw=0.9)
    names = [
        f"{lift.intervention.name}\ninstead of {lift.intervention.base_label}, {lift.base:.3f}"
        for lift in reversed(lifts)
    ]
    axes.set_yticks(range(len(lifts)), names)
    axes.set_ylim(-0.6, len(lifts) - 0.4)
    axes.margins(x=0.1)
    axes.set_xlabel("Predicted gain, points of 100")
    headline(axes, "What would help", f"gain with its {lifts[0].level:.0%} interval, and its price")
    return figure

"""Draw how well a chosen subset of models predicts, against random ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..analyses.budget_curve import BudgetCurve
from ..analyses.selection import Selection
from .style import ACCENT, BLUE, GREEN, headline, panel, styled

__all__ = ["draw_budget_curve", "draw_selection"]

_QUALITY = {
    "V": "Summed prediction variance",
    "A": "Summed coefficient variance",
    "D": "Mean coefficient variance",
}


@styled
def draw_selection(
    budgets: ArrayLike,
    chosen: ArrayLike,
    random: Sequence[ArrayLike],
    *,
    everything: float | None = None,
    quality: str = "Test MSE",
    cost_label: str = "Models measured",
) -> Figure:
    """Draw the quality of chosen and of random subsets against the budget.

    Parameters
    ----------
    budgets : (m,) array
        Largest cost allowed.
    chosen : (m,) array
        Quality of the chosen subset at each budget, lower is better, positive.
    random : sequence of m arrays
        Quality of each random subset at each budget.
    everything : float, optional
        Quality with all candidates.
    quality, cost_label : str
        Labels of the axes.

    See Also
    --------
    draw_budget_curve : Draws that of ``select_models``.

    Examples
    --------
    >>> from capspace.fit import draw_selection
    >>> figure = draw_selection([2, 4], [0.1, 0.05], [[0.2, 0.3], [0.1, 0.2]])

    """
    at = np.asarray(budgets, dtype=float)
    best = np.asarray(chosen, dtype=float)
    rows = [np.asarray(r, dtype=float) for r in random]
    figure, axes = panel(7.2, 4.3)
    middle = np.array([np.exp(np.nanmean(np.log(r))) for r in rows])
    low = np.array([np.nanmin(r) for r in rows])
    high = np.array([np.nanmax(r) for r in rows])
    axes.fill_between(at, low, high, color=BLUE, alpha=0.12, lw=0)
    axes.plot(at, middle, "s-", color=BLUE, ms=5.5, mec="white")
    for x, values in zip(at, rows, strict=True):
        axes.plot(np.full(len(values), x), values, ".", color=BLUE, ms=4, alpha=0.45)
    axes.plot(at, best, "o-", color=ACCENT, ms=7.5, mec="white", lw=2.4, zorder=5)
    ends = [(best[-1], ACCENT, "chosen"), (middle[-1], BLUE, "random, geometric\nmean and range")]
    if everything is not None:
        axes.axhline(everything, color=GREEN, lw=1.3, ls=(0, (4, 3)))
        axes.annotate(
            "all candidates",
            (0, everything),
            (4, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="bottom",
            color=GREEN,
            fontsize=9.5,
        )
    for value, colour, text in ends:
        axes.annotate(
            text,
            (at[-1], value),
            (10, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=10,
            annotation_clip=False,
            bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"},
        )
    axes.set_yscale("log")
    lowest = min(low.min(), best.min(), everything or np.inf)
    axes.set_ylim(bottom=0.78 * lowest)
    axes.set_xticks(at, [f"{budget:.3g}" for budget in at])
    axes.set_xlabel(cost_label)
    axes.set_ylabel(f"{quality} (log scale)")
    sizes = {len(r) for r in rows}
    count = f"{min(sizes)}" if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)}"
    headline(axes, "Chosen models against random ones", f"{count} random subsets per budget")
    return figure


def draw_budget_curve(selection: Selection, curve: BudgetCurve) -> Figure:
    """Draw the criterion of the models that ``select_models`` chooses, up to its budget.

    Parameters
    ----------
    selection : Selection
        Says by which criterion, and what the budget is of.
    curve : BudgetCurve
        From ``selection.over_budgets()``.

    See Also
    --------
    select_models : Makes what is drawn.
    draw_selection : Draws values that come from elsewhere.

    Examples
    --------
    >>> from capspace.fit import draw_budget_curve, load_reference, select_models
    >>> families = ["Llama-2", "Llama-3", "Qwen1.5"]
    >>> scores = load_reference().table
    >>> table = scores.select(benchmarks=["MMLU", "ARC-C"], families=families)
    >>> selection = select_models(table, budget=4, by="model", n_components=1)
    >>> figure = draw_budget_curve(selection, selection.over_budgets())

    """
    return draw_selection(
        curve.budgets,
        curve.chosen,
        curve.random,
        everything=curve.everything,
        quality=f"{_QUALITY[selection.choice.criterion]} ({selection.choice.criterion})",
        cost_label="Budget: number of models"
        if selection.candidates.cost is None
        else "Budget: total cost",
    )

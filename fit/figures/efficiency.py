"""Draw capability against training compute, with one line per family."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..law.efficiency import Efficiency
from .marks import family_handle, family_style, ordered_families
from .style import (
    headline,
    panel,
    styled,
)

__all__ = ["draw_efficiency"]


@styled
def draw_efficiency(
    efficiency: Efficiency,
    capability: ArrayLike,
    scale: ArrayLike,
    families: Sequence[str],
    *,
    scale_label: str = "Training compute (FLOPs)",
) -> Figure:
    """Draw a capability against scale with each family's fitted line.

    Parameters
    ----------
    efficiency : Efficiency
        The fitted lines.
    capability, scale : (n,) arrays
        As they were fitted; models with NaN are not drawn.
    families : sequence of n str
        Each model's family.
    scale_label : str
        Label of the horizontal axis, with its unit.

    See Also
    --------
    fit_efficiency, analyse_efficiency : Fit the lines.

    Examples
    --------
    >>> from capspace.fit import draw_efficiency, fit_efficiency
    >>> score, flops, families = [0.2, 0.4, 0.3, 0.5], [1e21, 1e23, 1e21, 1e23], list("AABB")
    >>> laws = fit_efficiency(score, flops, families, name="MMLU")
    >>> figure = draw_efficiency(laws, score, flops, families)

    """
    y, x = np.asarray(capability, dtype=float), np.asarray(scale, dtype=float)
    member = np.asarray(families, dtype=object)
    figure, axes = panel(9.2, 4.9)
    shown = [f for f in ordered_families(families) if not np.isnan((x * y)[member == f]).all()]
    handles = []
    for family in shown:
        rows = member == family
        style = family_style(family, shown)
        axes.plot(x[rows], y[rows], linestyle="none", **style)
        label = family
        law = efficiency.laws.get(family)
        if law is not None:
            ends = np.array(law.scale_range)
            axes.plot(ends, law.predict(ends), lw=1.3, color=style["color"], alpha=0.75)
            if not np.isnan(law.r2):
                label = f"{family}  {law.r2:.2f}"
        handles.append(family_handle(family, label, shown))
    axes.set_xscale("log")
    axes.set_xlabel(scale_label)
    axes.set_ylabel(efficiency.capability)
    axes.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        ncols=2,
        columnspacing=1.0,
        title="family and R²",
        alignment="left",
        labelspacing=0.55,
    )
    more = sum(law.n_models > 2 for law in efficiency.laws.values())
    headline(
        axes,
        f"{efficiency.capability}: one line per family",
        f"mean R² {efficiency.r2_mean:.3f} over {more} families of three or more models; "
        f"one line through all: {efficiency.pooled.r2:.3f}",
    )
    return figure

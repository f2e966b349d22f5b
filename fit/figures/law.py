"""Draw a target's law: models, curve, band, cutoff, and a new model on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from ..law.efficiency import FamilyLaw
from ..law.path import Curve
from .marks import dot, family_key, scatter_families
from .style import (
    ACCENT,
    BLUE,
    GREY,
    INK,
    LIGHT,
    headline,
    panel,
    short_name,
    styled,
)

__all__ = ["NewModel", "draw_target"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NewModel:
    """A model whose target is predicted: its capability, prediction and interval.

    See Also
    --------
    draw_target : Draws one among the models that a law was fitted on.

    """

    name: str
    x: float
    mean: float
    lower: float
    upper: float


@styled
def draw_target(
    capability: ArrayLike,
    truth: ArrayLike,
    families: Sequence[str],
    curve: Curve,
    *,
    label: str,
    is_test: ArrayLike | None = None,
    cutoff: tuple[float, str] | None = None,
    reference: FamilyLaw | None = None,
    new: NewModel | None = None,
    subtitle: str = "",
) -> Figure:
    """Draw a target against capability: models, fitted curve, band, and a new model's interval.

    Parameters
    ----------
    capability : (n,) array
        The law's linear predictor C of each model.
    truth : (n,) array
        Measured target, on the scale of the curve.
    families : sequence of n str
        Each model's family; it has its own marker.
    curve : Curve
        The fitted curve and its band.
    label : str
        The target's name.
    is_test : (n,) bool array, optional
        Models not used in the fit; none by default.
    cutoff : (float, str), optional
        Capability at which a vertical line separates the sides, and what stands along it.
    reference : FamilyLaw, optional
        Line of C in the training FLOPs of a reference family; gives the top axis.
    new : NewModel, optional
        A model with its predicted target.
    subtitle : str, default ""
        A quieter line under the title.

    See Also
    --------
    fitted_curve : Makes the curve.
    draw_backtest : Draws that of a backtest.

    Examples
    --------
    >>> from capspace.fit import Curve, TargetLaw, draw_target, load_reference
    >>> law = TargetLaw("agentbench").fit(load_reference())
    >>> c = law.linear_predictor_.sort_values().to_numpy()
    >>> curve = Curve(c, law.law_.curve(c))
    >>> figure = draw_target(
    ...     law.linear_predictor_, law.truth_, list(law.families_), curve, label="AgentBench"
    ... )

    """
    x, y = np.asarray(capability, dtype=float), np.asarray(truth, dtype=float)
    test = np.zeros(len(x), bool) if is_test is None else np.asarray(is_test, dtype=bool)
    figure, axes = panel(8.6, 4.9)
    handles: list[Artist] = []
    if curve.lower is not None and curve.upper is not None:
        axes.fill_between(curve.x, curve.lower, curve.upper, color=BLUE, alpha=0.12, lw=0)
        handles.append(Patch(color=BLUE, alpha=0.2, lw=0, label=f"{curve.level:.0%} interval"))
    axes.plot(curve.x, curve.y, color=INK, lw=1.8, zorder=3)
    for side, colour, name in ((~test, BLUE, "fitted on"), (test, ACCENT, "held out")):
        scatter_families(axes, x, y, families, side, colour)
        if side.any():
            text = f"{name} ({side.sum()})" if test.any() else f"reference models ({side.sum()})"
            handles.append(dot(colour, text))
    if cutoff is not None:
        axes.axvline(cutoff[0], color=GREY, lw=1, ls=(0, (4, 3)), zorder=1)
        axes.annotate(
            cutoff[1],
            (cutoff[0], 1),
            (-4, -4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right",
            va="top",
            rotation=90,
            fontsize=9,
            color=GREY,
        )
    if new is not None:
        axes.errorbar(
            new.x,
            new.mean,
            [[new.mean - new.lower], [new.upper - new.mean]],
            fmt="*",
            ms=18,
            color=ACCENT,
            mec="white",
            mew=1.1,
            elinewidth=2.2,
            capsize=5,
            capthick=2.2,
            zorder=6,
        )
        text = f"{short_name(new.name)}: {new.mean:.2f}  [{new.lower:.2f}, {new.upper:.2f}]"
        handles.append(
            Line2D([], [], marker="*", ms=13, color=ACCENT, mec="white", ls="none", label=text)
        )
    axes.set_xlabel("Capability (linear predictor of the law)")
    axes.set_ylabel(label)
    axes.margins(x=0.03, y=0.08)
    if reference is not None:
        _equivalent_axis(axes, reference, (float(x.min()), float(x.max())))
    # The legend keeps clear of the cutoff and its label.
    left, right = axes.get_xlim()
    crossed = cutoff is not None and (cutoff[0] - left) / (right - left) < 0.42
    sides = axes.legend(handles=handles, loc="lower right" if crossed else "upper left")
    family_key(axes, sides, families)
    headline(axes, label, subtitle)
    return figure


def _equivalent_axis(axes: Axes, reference: FamilyLaw, seen: tuple[float, float]) -> None:
    """Add a top axis of FLOPs at which the reference family reaches the capability.

    It is marked over the capabilities ``seen`` only: beyond them there is no equivalent.
    """
    slope, intercept = reference.slope, reference.intercept

    def to_log(c: ArrayLike) -> Floats:
        return (np.asarray(c, dtype=float) - intercept) / slope

    def from_log(log: ArrayLike) -> Floats:
        return intercept + slope * np.asarray(log, dtype=float)

    top = axes.secondary_xaxis("top", functions=(to_log, from_log))
    low, high = sorted((end - intercept) / slope for end in seen)
    step = max(1, int(np.ceil((high - low) / 7)))
    ticks = np.arange(np.ceil(low), np.floor(high) + 1, step)
    top.set_xticks(ticks, [rf"$10^{{{int(t)}}}$" for t in ticks])
    top.set_xlabel(f"{reference.family}-equivalent training FLOPs", fontsize=9.5, color=GREY)
    top.tick_params(colors=GREY, labelsize=9)
    top.spines[:].set_color(LIGHT)

"""Draw errors: predicted against measured, baselines side by side, error by reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .marks import dot, family_key, scatter_families
from .style import (
    ACCENT,
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    headline,
    panel,
    styled,
)

__all__ = ["draw_baselines", "draw_error_curves", "draw_predicted"]


@styled
def draw_predicted(
    truth: ArrayLike,
    mean: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    families: Sequence[str],
    *,
    label: str,
    level: float = 0.9,
) -> Figure:
    """Draw predicted against true values with their intervals; misses stand out.

    Parameters
    ----------
    truth, mean, lower, upper : (n,) arrays
        Measured target, prediction and interval of models not used in the fit.
    families : sequence of n str
        Each model's family; it has its own marker.
    label : str
        The target's name.
    level : float, default 0.9
        Nominal coverage.

    See Also
    --------
    draw_backtest_predictions : Draws those of a backtest.

    Examples
    --------
    >>> from capspace.fit import draw_predicted
    >>> truth, mean = [0.3, 0.5], [0.35, 0.45]
    >>> figure = draw_predicted(truth, mean, [0.2, 0.4], [0.5, 0.6], ["A", "B"], label="BBH")

    """
    t, p, lo, hi = (np.asarray(a, dtype=float) for a in (truth, mean, lower, upper))
    figure, axes = panel(7.2, 5.4)
    missed = (t < lo) | (t > hi)
    ends = min(t.min(), lo.min()), max(t.max(), hi.max())
    axes.plot(ends, ends, color=GREY, lw=1, ls=(0, (4, 3)), zorder=1)
    for side, colour in ((~missed, BLUE), (missed, ACCENT)):
        axes.vlines(t[side], lo[side], hi[side], color=colour, lw=1.6, alpha=0.35)
        scatter_families(axes, t, p, families, side, colour)
    axes.set_xlabel(f"Measured {label}")
    axes.set_ylabel(f"Predicted {label}")
    room = 0.04 * (ends[1] - ends[0])
    axes.set_xlim(ends[0] - room, ends[1] + room)
    axes.set_ylim(ends[0] - room, ends[1] + room)
    axes.set_aspect("equal")
    sides = axes.legend(
        handles=[
            dot(BLUE, f"inside its interval ({(~missed).sum()})"),
            dot(ACCENT, f"outside ({missed.sum()})"),
        ],
        loc="upper left",
    )
    family_key(axes, sides, families)
    covered = f"{(~missed).mean():.0%} of {len(t)} models inside"
    headline(axes, "Predicted against measured", f"{level:.0%} intervals: {covered}")
    return figure


@styled
def draw_baselines(
    errors: Mapping[str, float], *, ours: str, label: str, n_test: int | None = None
) -> Figure:
    """Draw test errors of the law and its baselines side by side, best first.

    Parameters
    ----------
    errors : mapping of name to test MSE
        All on the same test models; NaN entries are named as not available.
    ours : str
        The entry to stand out.
    label : str
        The target's name.
    n_test : int, optional
        Number of test models, for the subtitle.

    See Also
    --------
    draw_backtest_baselines : Draws those of a backtest.

    Examples
    --------
    >>> from capspace.fit import draw_baselines
    >>> figure = draw_baselines({"law": 1e-3, "FLOPs": 0.04}, ours="law", label="BBH")

    """
    known = sorted((v, k) for k, v in errors.items() if np.isfinite(v))
    names = [k for _, k in known]
    values = np.array([v for v, _ in known])
    figure, axes = panel(7.2, 1.5 + 0.32 * max(len(names), 4))
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        colour = ACCENT if name == ours else "#8f9aa3"
        axes.hlines(i, values.min() * 0.7, value, color=colour, lw=1.4, alpha=0.6)
        axes.plot(value, i, "o", color=colour, ms=8)
        axes.annotate(
            f"{value:#.2g}",
            (value, i),
            (9, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            color=INK if name == ours else GREY,
            bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"},
        )
    axes.set_yticks(range(len(names)), names)
    for tick, name in zip(axes.get_yticklabels(), names, strict=True):
        tick.set_fontweight("bold" if name == ours else "normal")
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(values.min() * 0.7, values.max() * 1.9)
    axes.set_xlabel("Test MSE (log scale)")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    missing = [k for k, v in errors.items() if not np.isfinite(v)]
    parts = [f"{n_test} test models" if n_test else "", f"no fit: {', '.join(missing)}"]
    headline(axes, f"{label}: law and baselines", "; ".join(parts if missing else parts[:1]))
    return figure


@styled
def draw_error_curves(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    label: str,
    ours: str,
    areas: Mapping[str, float] | None = None,
) -> Figure:
    """Draw test error against the share of models held out, one line per predictor.

    Parameters
    ----------
    curves : mapping of name to (fraction, mse)
        Share of models held out, strongest first, in [0, 1], and test MSE; NaN breaks the line.
    label : str
        The target's name.
    ours : str
        The entry to stand out.
    areas : mapping of name to float, optional
        Area under each curve, for the legend.

    See Also
    --------
    error_curve : Makes what is drawn.

    Examples
    --------
    >>> from capspace.fit import draw_error_curves
    >>> curves = {"law": ([0.2, 0.5], [1e-3, 4e-3]), "FLOPs": ([0.2, 0.5], [0.02, 0.04])}
    >>> figure = draw_error_curves(curves, label="BBH", ours="law")

    """
    figure, axes = panel(7.4, 4.3)
    rivals = iter([BLUE, GREEN, ORANGE, PURPLE, SKY, INK, GREY] * 3)
    for name, (fraction, mse) in curves.items():
        area = f"  (area {areas[name]:.2g})" if areas and name in areas else ""
        mine = name == ours
        axes.plot(
            np.asarray(fraction, dtype=float),
            np.asarray(mse, dtype=float),
            color=ACCENT if mine else next(rivals),
            lw=2.6 if mine else 1.4,
            zorder=4 if mine else 2,
            label=name + area,
        )
    axes.set_yscale("log")
    axes.invert_xaxis()
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
    axes.set_xlabel("Share of models held out, strongest first")
    axes.set_ylabel("Test MSE (log scale)")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), labelspacing=0.7)
    headline(axes, label, "error as the law must extrapolate further")
    return figure

"""Figures of a target's law: the curve, its predictions, its rivals, and its error by cutoff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from capspace.fit.figures.style import (
    ACCENT,
    BLUE,
    GREEN,
    GREY,
    INK,
    LIGHT,
    ORANGE,
    PURPLE,
    SKY,
    family_style,
    headline,
    ordered_families,
    panel,
    short_name,
    styled,
)
from capspace.fit.path import Curve

__all__ = [
    "Curve",
    "NewModel",
    "draw_baselines",
    "draw_error_curves",
    "draw_predicted",
    "draw_target",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NewModel:
    """A model whose target is predicted: its capability, prediction and interval."""

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
    cutoff: float | None = None,
    cutoff_label: str = "cutoff",
    log10_flops: tuple[float, float] | None = None,
    reference_family: str = "Llama-2",
    new: NewModel | None = None,
    level: float = 0.9,
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
    cutoff : float, optional
        Capability at which a vertical line separates the sides.
    cutoff_label : str
        What stands along that line.
    log10_flops : (slope, intercept), optional
        Line C = intercept + slope log10(FLOPs) of the reference family; gives the top axis.
    reference_family : str
        Its name.
    new : NewModel, optional
        A model with its predicted target.
    level : float
        Nominal coverage of band and interval, for the legend.
    subtitle : str
        A quieter line under the title.

    """
    x, y = np.asarray(capability, dtype=float), np.asarray(truth, dtype=float)
    test = np.zeros(len(x), bool) if is_test is None else np.asarray(is_test, dtype=bool)
    figure, axes = panel(7.4, 4.9)
    handles: list[Artist] = []
    if curve.lower is not None and curve.upper is not None:
        axes.fill_between(curve.x, curve.lower, curve.upper, color=BLUE, alpha=0.12, lw=0)
        handles.append(Patch(color=BLUE, alpha=0.2, lw=0, label=f"{level:.0%} interval"))
    axes.plot(curve.x, curve.y, color=INK, lw=1.8, zorder=3)
    for side, colour, name in ((~test, BLUE, "fitted on"), (test, ACCENT, "held out")):
        _scatter(axes, x, y, families, side, colour)
        if side.any():
            text = f"{name} ({side.sum()})" if test.any() else f"reference models ({side.sum()})"
            handles.append(_dot(colour, text))
    if cutoff is not None:
        axes.axvline(cutoff, color=GREY, lw=1, ls=(0, (4, 3)), zorder=1)
        axes.annotate(
            cutoff_label,
            (cutoff, 1),
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
    if log10_flops is not None:
        _equivalent_axis(axes, *log10_flops, reference_family)
    # The legend keeps clear of the cutoff and its label.
    left, right = axes.get_xlim()
    crossed = cutoff is not None and (cutoff - left) / (right - left) < 0.42
    axes.legend(handles=handles, loc="lower right" if crossed else "upper left")
    headline(axes, label, subtitle)
    return figure


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
    level : float
        Nominal coverage.

    """
    t, p, lo, hi = (np.asarray(a, dtype=float) for a in (truth, mean, lower, upper))
    figure, axes = panel(5.8, 5.4)
    missed = (t < lo) | (t > hi)
    ends = min(t.min(), lo.min()), max(t.max(), hi.max())
    axes.plot(ends, ends, color=GREY, lw=1, ls=(0, (4, 3)), zorder=1)
    for side, colour in ((~missed, BLUE), (missed, ACCENT)):
        axes.vlines(t[side], lo[side], hi[side], color=colour, lw=1.6, alpha=0.35)
        _scatter(axes, t, p, families, side, colour)
    axes.set_xlabel(f"Measured {label}")
    axes.set_ylabel(f"Predicted {label}")
    room = 0.04 * (ends[1] - ends[0])
    axes.set_xlim(ends[0] - room, ends[1] + room)
    axes.set_ylim(ends[0] - room, ends[1] + room)
    axes.set_aspect("equal")
    axes.legend(
        handles=[
            _dot(BLUE, f"inside its interval ({(~missed).sum()})"),
            _dot(ACCENT, f"outside ({missed.sum()})"),
        ],
        loc="upper left",
    )
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
    headline(axes, label, "error against how far the law must reach")
    return figure


def _scatter(
    axes: Axes, x: Floats, y: Floats, families: Sequence[str], rows: NDArray[np.bool_], colour: str
) -> None:
    """Draw ``rows``, each family with its own marker in one colour."""
    member = np.asarray(families, dtype=object)
    for family in ordered_families(families):
        own = rows & (member == family)
        style = family_style(family, families)
        hollow = style["markerfacecolor"] == "white"
        axes.plot(
            x[own],
            y[own],
            linestyle="none",
            marker=style["marker"],
            markersize=6.2,
            alpha=0.85,
            markerfacecolor="white" if hollow else colour,
            markeredgecolor=colour if hollow else "white",
            markeredgewidth=1.2 if hollow else 0.6,
            zorder=4,
        )


def _dot(colour: str, label: str) -> Line2D:
    return Line2D([], [], marker="o", ms=7, ls="none", color=colour, mec="white", label=label)


def _equivalent_axis(axes: Axes, slope: float, intercept: float, family: str) -> None:
    """Add a top axis of FLOPs at which the reference family reaches the capability."""

    def to_log(c: ArrayLike) -> Floats:
        return (np.asarray(c, dtype=float) - intercept) / slope

    def from_log(log: ArrayLike) -> Floats:
        return intercept + slope * np.asarray(log, dtype=float)

    top = axes.secondary_xaxis("top", functions=(to_log, from_log))
    low, high = sorted((end - intercept) / slope for end in axes.get_xlim())
    step = max(1, int(np.ceil((high - low) / 7)))
    ticks = np.arange(np.ceil(low), np.floor(high) + 1, step)
    top.set_xticks(ticks, [rf"$10^{{{int(t)}}}$" for t in ticks])
    top.set_xlabel(f"{family}-equivalent training FLOPs", fontsize=9.5, color=GREY)
    top.tick_params(colors=GREY, labelsize=9)
    top.spines[:].set_color(LIGHT)

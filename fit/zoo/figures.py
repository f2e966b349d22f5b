"""Draw a zoo on one screen: capability against compute, and the largest model predicted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .._display import counted
from ..figures.marks import family_handle, family_style, ordered_families
from ..figures.style import (
    ACCENT,
    BLUE,
    GREY,
    INK,
    LIGHT,
    headline,
    new_figure,
    short_name,
    styled,
)
from .fitting import ZooFit
from .predictions import ZooPrediction

__all__ = ["draw_zoo"]


@styled
def draw_zoo(fit: ZooFit) -> Figure:
    """Draw PC-1 against training compute per family, and the largest model's scores predicted.

    Parameters
    ----------
    fit : ZooFit
        Nothing is fitted here.

    """
    own = [p for p in fit.predictions if p.model == fit.largest]
    if fit.efficiency is None:
        figure = new_figure(6.6, 4.8)
        _draw_predictions(figure.add_subplot(), own, fit)
        return figure
    figure = new_figure(12.4, 4.9)
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.05))
    _draw_compute(left, fit)
    _draw_predictions(right, own, fit)
    return figure


def _draw_compute(axes: Axes, fit: ZooFit) -> None:
    facts = fit.table.models.loc[fit.places.index]
    flops = facts["training_flops"].to_numpy(dtype=float)
    pc1 = fit.places["PC-1"].to_numpy()
    families = facts["family"].to_numpy(dtype=object)
    shown = ordered_families(families)
    handles: list[Line2D] = []
    for family in shown:
        rows = families == family
        style = family_style(family, shown)
        axes.plot(flops[rows], pc1[rows], linestyle="none", **style)
        label = family
        if fit.efficiency is not None and (law := fit.efficiency.laws.get(family)) is not None:
            ends = np.array(law.scale_range)
            axes.plot(ends, law.predict(ends), lw=1.5, color=style["color"], alpha=0.75)
            if not np.isnan(law.r2):
                label = f"{family}, R² {law.r2:.2f}"
        handles.append(family_handle(family, label, shown))
    at = fit.places.index.get_loc(fit.largest)
    axes.plot(flops[at], pc1[at], "o", ms=15, mfc="none", mec=ACCENT, mew=1.8)
    handles.append(
        Line2D([], [], marker="o", ls="none", ms=11, mfc="none", mec=ACCENT, mew=1.6,
               label=f"{short_name(fit.largest)}, predicted on the right")
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("Training compute (FLOPs)")
    axes.set_ylabel("PC-1")
    axes.legend(handles=handles, loc="upper left")
    share = fit.space.explained_variance_ratio_[0]
    headline(
        axes,
        "Capability against training compute",
        f"{counted(len(fit.places), 'checkpoint')}, {fit.space.n_features_in_} benchmarks; PC-1 "
        f"explains {share:.0%} of their variance",
    )


def _draw_predictions(axes: Axes, own: Sequence[ZooPrediction], fit: ZooFit) -> None:
    own = sorted(own, key=lambda p: p.mean)
    rows = np.arange(len(own))
    mean = np.array([p.mean for p in own])
    lower, upper = np.array([p.lower for p in own]), np.array([p.upper for p in own])
    measured = np.array([p.measured for p in own])
    axes.hlines(rows, 0, 1, color=LIGHT, lw=0.8, zorder=0)
    axes.hlines(rows, lower, upper, color=BLUE, lw=8, alpha=0.25, zorder=1)
    axes.plot(mean, rows, "|", color=BLUE, ms=14, mew=2.6, zorder=2)
    missed = np.array([not p.is_inside for p in own], dtype=bool)
    for side, colour in ((~missed, INK), (missed, ACCENT)):
        axes.plot(
            measured[side], rows[side], "o", color=colour, ms=7.5, mec="white", mew=0.9, zorder=3
        )
    axes.set_yticks(rows, [p.benchmark for p in own])
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.7, len(own) - 0.3)
    axes.set_xlabel("Score")
    axes.grid(axis="y", visible=False)
    handles = [
        Line2D([], [], color=BLUE, marker="|", ms=12, mew=2.6, lw=8, alpha=0.45,
               label=f"predicted, {fit.level:.0%} interval"),
        Line2D([], [], color=INK, marker="o", ls="none", ms=7.5, mec="white", label="measured"),
    ]  # fmt: skip
    if missed.any():
        handles.append(
            Line2D([], [], color=ACCENT, marker="o", ls="none", ms=7.5, mec="white",
                   label="measured, outside")
        )  # fmt: skip
    axes.legend(handles=handles, loc="lower right", facecolor="white", frameon=True,
                edgecolor="none", framealpha=0.9)  # fmt: skip
    n_small = len(fit.places) - len(fit.held_out)
    headline(
        axes,
        f"{short_name(fit.largest)}, predicted from smaller models",
        f"laws fitted on {counted(n_small, 'smaller checkpoint')}; each score from the others"
        if own
        else "nothing could be predicted",
    )
    if not own:
        axes.text(0.5, 0.5, "no prediction", ha="center", color=GREY, transform=axes.transAxes)

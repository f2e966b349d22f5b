"""Draw the capability space: components, loadings, and models on the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from numpy.typing import ArrayLike
from scipy import stats

from .marks import family_handle, family_style, ordered_families
from .style import (
    ACCENT,
    BLUE,
    DIVERGING,
    INK,
    LIGHT,
    headline,
    new_figure,
    panel,
    short_name,
    signed,
    styled,
)

__all__ = ["draw_map", "draw_space"]

_MOST_NAMED = 30
_UNNAMED: dict[str, Any] = {
    "linestyle": "none", "marker": "o", "markersize": 4.5, "color": "#9aa7b1",
    "markeredgecolor": "white", "markeredgewidth": 0.6,
}  # fmt: skip


@styled
def draw_space(
    explained_variance_ratio: ArrayLike, loadings: ArrayLike, benchmarks: Sequence[str]
) -> Figure:
    """Draw explained variance per component beside the loadings as a heat map.

    Parameters
    ----------
    explained_variance_ratio : (k,) array
        Shares of variance, in [0, 1].
    loadings : (k, b) array
        Weight of each benchmark in each component.
    benchmarks : sequence of b str
        Their names, in the order of the loadings.

    See Also
    --------
    analyse_space : Fits the space.
    draw_map : Draws the models in it.

    Examples
    --------
    >>> from capspace.fit import CapabilitySpace, draw_space, load_reference
    >>> scores = load_reference().scores("base")
    >>> space = CapabilitySpace(n_components=2).fit(scores)
    >>> figure = draw_space(space.explained_variance_ratio_, space.components_, list(scores))

    """
    share = np.asarray(explained_variance_ratio, dtype=float)
    weights = np.asarray(loadings, dtype=float)
    figure = new_figure(9.6, 3.9)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.9])
    labels = [f"PC-{i + 1}" for i in range(len(share))]
    top = min(3, len(share))
    left.barh(labels, share, color=[BLUE] * top + [LIGHT] * (len(share) - top), height=0.66)
    for i, value in enumerate(share):
        left.text(value + 0.015, i, f"{value:.1%}", va="center", fontsize=10)
    left.set_xlim(0, max(*share, 0.2) * 1.25)  # all shares are nearly 0 where all scores are alike
    left.set_ylim(len(share) - 0.5, -0.5)
    left.grid(visible=False)
    left.spines[["bottom", "left"]].set_visible(False)
    left.tick_params(left=False, bottom=False, labelbottom=False)
    headline(left, "Explained variance", f"first {top} together {share[:top].sum():.1%}")
    limit = float(np.abs(weights).max())
    right.imshow(weights, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
    for (i, j), value in np.ndenumerate(weights):
        light = abs(value) > 0.62 * limit
        right.text(
            j,
            i,
            signed(value, 2),
            ha="center",
            va="center",
            fontsize=9,
            color="white" if light else INK,
        )
    right.set_xticks(range(len(benchmarks)), benchmarks, rotation=30, ha="right")
    right.set_yticks(range(len(weights)), labels[: len(weights)])
    right.grid(visible=False)
    right.spines[:].set_visible(False)
    right.tick_params(length=0)
    headline(right, "Loadings", "weight of each benchmark in each component")
    return figure


@styled
def draw_map(
    points: ArrayLike,
    families: Sequence[str],
    *,
    explained_variance_ratio: ArrayLike | None = None,
    name: str = "",
    mean: ArrayLike | None = None,
    covariance: ArrayLike | None = None,
    level: float = 0.9,
) -> Figure:
    """Draw models on the PC-1 × PC-2 map, a new one with its covariance ellipse.

    Parameters
    ----------
    points : (n, >=2) array
        Capabilities of the reference models.
    families : sequence of n str
        Members of a family are joined by a line in the order of PC-1. Where there are many
        families, those of one or two models are drawn alike and not named.
    explained_variance_ratio : array, optional
        Shares of variance, for the labels of the axes.
    name : str
        The new model's name.
    mean, covariance : (>=2,) and (>=2, >=2) arrays, optional
        The new model's place; the ellipse holds it with probability ``level``.
    level : float, default 0.9
        Probability held by the ellipse.

    See Also
    --------
    draw_space : Draws what spans the map.
    CapabilitySpace : Places the models.

    Examples
    --------
    >>> from capspace.fit import CapabilitySpace, draw_map, load_reference
    >>> reference = load_reference()
    >>> scores = reference.scores("base")
    >>> families = list(reference.table.models["family"].reindex(scores.index))
    >>> points = CapabilitySpace(n_components=2).fit_transform(scores)
    >>> figure = draw_map(points, families)

    """
    z = np.asarray(points, dtype=float)[:, :2]
    member = np.asarray(families, dtype=object)
    figure, axes = panel(8.6, 4.9)
    everyone = ordered_families(families)
    least = 3 if len(everyone) > _MOST_NAMED else 1
    shown = [f for f in everyone if (member == f).sum() >= least]
    rest = ~np.isin(member, shown)
    if rest.any():
        axes.plot(*z[rest].T, **_UNNAMED)
    for family in shown:
        own = z[member == family]
        own = own[np.argsort(own[:, 0])]
        style = family_style(family, shown)
        axes.plot(*own.T, lw=0.8, alpha=0.35, color=style["color"])
        axes.plot(*own.T, linestyle="none", alpha=0.9, **style)
    handles = [family_handle(f, among=shown) for f in shown]
    if rest.any():
        label = f"{len(everyone) - len(shown)} small families"
        handles.append(Line2D([], [], label=label, **_UNNAMED))
    subtitle = f"{len(z)} reference models of {len(everyone)} families"
    if mean is not None:
        centre = np.asarray(mean, dtype=float)[:2]
        if covariance is not None:
            axes.add_patch(_ellipse(centre, np.asarray(covariance, dtype=float)[:2, :2], level))
            subtitle += f"; ellipse: {level:.0%} region of the place of {short_name(name)}"
        axes.plot(*centre, marker="*", ms=19, color=ACCENT, mec="white", mew=1.2, zorder=6)
        axes.annotate(
            short_name(name),
            (float(centre[0]), float(centre[1])),
            _free_spot(axes, z, centre),
            textcoords="axes fraction",
            ha="center",
            va="center",
            fontweight="bold",
            color=ACCENT,
            arrowprops={"arrowstyle": "-", "color": ACCENT, "lw": 1, "shrinkB": 9},
            bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none"},
            zorder=7,
        )
    share = None if explained_variance_ratio is None else np.asarray(explained_variance_ratio)
    axes.set_xlabel("PC-1" if share is None else f"PC-1  ({share[0]:.0%} of variance)")
    axes.set_ylabel("PC-2" if share is None else f"PC-2  ({share[1]:.0%} of variance)")
    columns = 2 if len(shown) > 14 else 1
    axes.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        ncols=columns,
        columnspacing=1.0,
        labelspacing=0.55,
    )
    headline(axes, "Place among known models", subtitle)
    return figure


def _free_spot(axes: Axes, points: np.ndarray, centre: np.ndarray) -> tuple[float, float]:
    """Return a place for a label, in axes fractions, near ``centre`` and clear of the points."""
    axes.autoscale_view()  # the ellipse reaches further than the points
    fractions = axes.transData + axes.transAxes.inverted()
    taken, here = fractions.transform(points[:, :2]), fractions.transform(centre)
    across, up = np.meshgrid(np.linspace(0.16, 0.84, 35), np.linspace(0.06, 0.94, 45))
    spots = np.column_stack([across.ravel(), up.ravel()])
    # A label is some five times as wide as high: measure distances to points accordingly.
    gaps = np.abs(spots[:, None] - taken[None]) / [0.2, 0.06]
    clear = np.minimum(gaps.max(axis=2).min(axis=1), 1.0)
    score = 3 * clear - np.linalg.norm((spots - here) / [1.0, 0.8], axis=1)
    score[np.linalg.norm((spots - here) / [2.0, 1.0], axis=1) < 0.1] = -np.inf
    x, y = spots[int(score.argmax())]
    return float(x), float(y)


def _ellipse(centre: np.ndarray, covariance: np.ndarray, level: float) -> Ellipse:
    values, vectors = np.linalg.eigh(covariance)
    radius = np.sqrt(np.maximum(values, 0) * stats.chi2.ppf(level, 2))
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    return Ellipse(
        (float(centre[0]), float(centre[1])),
        2 * radius[1],
        2 * radius[0],
        angle=angle,
        facecolor=ACCENT,
        alpha=0.18,
        edgecolor=ACCENT,
        lw=1.2,
        zorder=5,
    )

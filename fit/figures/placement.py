"""Draw a model's placement: its scores among others', and all its predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike

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

__all__ = ["draw_predictions", "draw_scores"]


@styled
def draw_scores(
    scores: pd.Series,
    reference: pd.DataFrame,
    *,
    name: str,
    stderr: pd.Series | None = None,
    chance: Mapping[str, float] | None = None,
    note: str = "",
) -> Figure:
    """Draw a model's scores, with standard errors, against the reference distribution.

    Parameters
    ----------
    scores : Series indexed by benchmark
        The model's scores, fractions; NaN where it was not measured, which the figure states.
    reference : DataFrame (models × benchmarks)
        Scores of the reference models.
    name : str
        The model's name.
    stderr : Series indexed by benchmark, optional
        Standard error of each score.
    chance : mapping of benchmark to score, optional
        Chance level, drawn as a tick.
    note : str
        Added to the subtitle.

    See Also
    --------
    draw_predictions : Draws what follows from the scores.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import draw_scores, load_reference
    >>> scores = pd.Series({"MMLU": 0.62, "GSM8K": 0.4})
    >>> figure = draw_scores(scores, load_reference().scores("base"), name="mine")

    """
    benchmarks = list(scores.index)
    figure, axes = panel(8.2, 1.5 + 0.5 * len(benchmarks))
    rng = np.random.default_rng(0)  # vertical jitter only: the same figure every time
    for i, benchmark in enumerate(benchmarks):
        others = reference[benchmark].dropna().to_numpy(dtype=float)
        axes.plot(
            others,
            i + rng.uniform(-0.23, 0.23, len(others)),
            "o",
            ms=4.5,
            color="#9aa7b1",
            alpha=0.45,
            mew=0,
        )
        if len(others):
            middle = float(np.median(others))
            axes.plot([middle, middle], [i - 0.32, i + 0.32], color=BLUE, lw=2.2)
        level = None if chance is None else chance.get(benchmark)
        if level is not None and np.isfinite(level):
            axes.plot([level, level], [i - 0.32, i + 0.32], color=GREY, lw=1.2, ls=(0, (2, 1.5)))
        value = float(scores[benchmark])
        if np.isnan(value):
            text, colour = "not measured", GREY
        else:
            error = float("nan") if stderr is None else float(stderr.get(benchmark, np.nan))
            if np.isfinite(error):
                axes.errorbar(
                    value,
                    i,
                    xerr=error,
                    fmt="none",
                    ecolor=ACCENT,
                    elinewidth=2,
                    capsize=5,
                    capthick=2,
                    zorder=5,
                )
            axes.plot(value, i, "*", ms=13, color=ACCENT, mec="white", mew=0.8, zorder=6)
            spread = f" ± {error:.3f}" if np.isfinite(error) else ""
            below = f"above {np.mean(others < value):.0%}" if len(others) else ""
            text, colour = f"{value:.3f}{spread}   {below}", INK
        axes.annotate(
            text,
            (1.02, i),
            xycoords=("axes fraction", "data"),
            va="center",
            color=colour,
            fontsize=10,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(benchmarks)), benchmarks)
    axes.set_ylim(len(benchmarks) - 0.45, -0.55)
    axes.set_xlim(-0.02, 1.0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Score")
    handles = [
        Line2D(
            [],
            [],
            marker="*",
            ms=13,
            ls="none",
            color=ACCENT,
            mec="white",
            label=f"{short_name(name)} (± stderr)",
        ),
        Line2D([], [], marker="o", ms=5, ls="none", color="#9aa7b1", label="reference model"),
        Line2D([], [], color=BLUE, lw=2.2, label="their median"),
    ]
    if chance:
        handles.append(Line2D([], [], color=GREY, lw=1.2, ls=(0, (2, 1.5)), label="chance"))
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.13 - 0.25 / len(benchmarks)),
        ncols=4,
        columnspacing=1.6,
    )
    headline(axes, "Scores among the reference models", note)
    return figure


@styled
def draw_predictions(
    targets: Sequence[str],
    mean: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    *,
    name: str,
    inside: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    attainable: ArrayLike | None = None,
    level: float = 0.9,
) -> Figure:
    """Draw one model's predictions of all targets with their intervals.

    Parameters
    ----------
    targets : sequence of n str
        Names of the targets.
    mean, lower, upper : (n,) arrays
        Fractions.
    name : str
        The model's name.
    inside : (n,) bool array, optional
        Whether the model lies inside the capabilities seen in fitting; others are drawn hollow.
    truth : (n,) array, optional
        Measured values, NaN where unknown.
    attainable : (n,) array, optional
        What the best tenth of such models exceed, NaN where unknown.
    level : float, default 0.9
        Nominal coverage.

    See Also
    --------
    place_model : Makes the predictions.
    draw_scores : Draws the scores that they rest on.

    Examples
    --------
    >>> from capspace.fit import draw_predictions
    >>> figure = draw_predictions(["BBH", "GSM8K"], [0.4, 0.6], [0.3, 0.5], [0.5, 0.7], name="x")

    """
    p, lo, hi = (np.asarray(a, dtype=float) for a in (mean, lower, upper))
    seen = np.ones(len(p), bool) if inside is None else np.asarray(inside, dtype=bool)
    figure, axes = panel(8.2, 1.4 + 0.42 * len(p))
    rows = np.arange(len(p))
    axes.hlines(rows, 0, 1, color=LIGHT, lw=0.8, zorder=0)
    axes.hlines(rows, lo, hi, color=ACCENT, lw=5, alpha=0.3, zorder=2)
    for i, (value, known) in enumerate(zip(p, seen, strict=True)):
        axes.plot(
            value,
            i,
            "o",
            ms=8.5,
            color=ACCENT,
            mfc=ACCENT if known else "white",
            mec="white" if known else ACCENT,
            mew=1.0 if known else 1.8,
            zorder=4,
            clip_on=False,  # a score of 0 or 1 lies on the edge
        )
        axes.annotate(
            f"{value:.2f}  [{lo[i]:.2f}, {hi[i]:.2f}]",
            (1.02, i),
            va="center",
            fontsize=10,
            xycoords=("axes fraction", "data"),
            annotation_clip=False,
        )
    handles = [
        Line2D([], [], marker="o", ms=8, ls="none", color=ACCENT, mec="white", label="prediction"),
        Line2D(
            [],
            [],
            lw=5,
            color=ACCENT,
            alpha=0.3,
            solid_capstyle="butt",
            label=f"{level:.0%} interval",
        ),
    ]
    if not seen.all():
        handles.append(
            Line2D(
                [],
                [],
                marker="o",
                ms=8,
                ls="none",
                mfc="white",
                mec=ACCENT,
                mew=1.8,
                label="outside the range seen in fitting",
            )
        )
    if truth is not None:
        axes.plot(np.asarray(truth, dtype=float), rows, "|", ms=15, mew=2.4, color=INK, zorder=5)
        handles.append(
            Line2D([], [], marker="|", ms=12, mew=2.4, ls="none", color=INK, label="measured")
        )
    best = np.full(len(p), np.nan) if attainable is None else np.asarray(attainable, dtype=float)
    if np.isfinite(best).any():
        (marks,) = axes.plot(
            best, rows, "D", ms=5.5, color=BLUE, mec="white", zorder=3, clip_on=False,
            ls="none", label="best tenth",
        )  # fmt: skip
        handles.append(marks)
    axes.set_yticks(rows, targets)
    axes.set_ylim(len(p) - 0.4, -0.6)
    axes.set_xlim(-0.01, 1.01)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Score")
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        # In inches: below the label of the axis, however many targets there are.
        bbox_transform=axes.transAxes + ScaledTranslation(0, -0.56, figure.dpi_scale_trans),
        ncols=4,
        columnspacing=1.6,
        borderaxespad=0,
    )
    headline(axes, f"Predicted scores of {short_name(name)}")
    return figure

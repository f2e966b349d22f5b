"""Draw an intervention: base and treated score, their gain, and what drives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from ..analyses.gain import GainAnalysis, GainCurves
from ..law.path import Curve
from .marks import family_style
from .style import (
    ACCENT,
    BLUE,
    DIVERGING,
    GREEN,
    GREY,
    INK,
    ORANGE,
    headline,
    new_figure,
    panel,
    signed,
    styled,
)

__all__ = ["Treatment", "draw_gain", "draw_gain_analysis", "draw_weights"]

_COLOURS = (ORANGE, BLUE, GREEN, ACCENT, INK)


@dataclass(frozen=True, repr=False)
class Treatment:
    """The models with or without an intervention: scores, and a curve along a common axis.

    Attributes
    ----------
    name : str
    score : (n,) array
        Measured scores; NaN where a model has none.
    curve : Curve

    See Also
    --------
    draw_gain : Draws the base and the treated models.

    Examples
    --------
    >>> import numpy as np
    >>> from capspace.fit import Curve, Treatment
    >>> score = np.array([0.3, 0.7])
    >>> Treatment("direct", score, Curve(np.array([-1.0, 1.0]), score))
    Treatment(direct: 2 models)

    """

    name: str
    score: NDArray[np.float64]
    curve: Curve

    def __repr__(self) -> str:
        return f"Treatment({self.name}: {len(self.score)} models)"


@styled
def draw_gain(
    capability: ArrayLike,
    families: Sequence[str],
    treatments: Sequence[Treatment],
    gain: Curve,
    *,
    measured_gain: ArrayLike,
    label: str,
    is_test: ArrayLike | None = None,
) -> Figure:
    """Draw scores with and without an intervention, and beside them the gain with its interval.

    Parameters
    ----------
    capability : (n,) array
        Common axis of all curves, such as PC-1 or the treated law's linear predictor.
    families : sequence of n str
        Each model's family; it has its own marker.
    treatments : sequence of Treatment
        Base first, then treated (one or more).
    gain : Curve
        Predicted gain (treated minus base) with its band.
    measured_gain : (n,) array
        Measured treated minus base; NaN where either is missing.
    label : str
        What is measured.
    is_test : (n,) bool array, optional
        Models not used in the fits, drawn hollow.

    See Also
    --------
    draw_gain_analysis : Draws the gain as ``analyse_gain`` returns it.

    Examples
    --------
    >>> import numpy as np
    >>> from capspace.fit import Curve, Treatment, draw_gain
    >>> skill = np.linspace(-2, 2, 5)
    >>> base, treated = 1 / (1 + np.exp(-skill)), 1 / (1 + np.exp(-skill - 1))
    >>> figure = draw_gain(
    ...     skill,
    ...     ["a", "a", "b", "b", "b"],
    ...     [
    ...         Treatment("direct", base, Curve(skill, base)),
    ...         Treatment("chain of thought", treated, Curve(skill, treated)),
    ...     ],
    ...     Curve(skill, treated - base),
    ...     measured_gain=treated - base,
    ...     label="GSM8K",
    ... )

    """
    x = np.asarray(capability, dtype=float)
    test = np.zeros(len(x), bool) if is_test is None else np.asarray(is_test, dtype=bool)
    figure = new_figure(10.4, 4.4)
    left, right = figure.subplots(1, 2, sharex=True)
    for treatment, colour in zip(treatments, _COLOURS, strict=False):
        left.plot(treatment.curve.x, treatment.curve.y, color=colour, lw=2, label=treatment.name)
        for held_out in (False, True):
            rows = test == held_out
            left.plot(
                x[rows],
                treatment.score[rows],
                "o",
                ms=5,
                alpha=0.75,
                color=colour,
                mew=1.1,
                mfc="white" if held_out else colour,
                mec=colour if held_out else "white",
            )
    left.set_ylabel(label)
    handles, _ = left.get_legend_handles_labels()
    if test.any():
        handles += [
            Line2D([], [], marker="o", ls="none", ms=6, color=GREY, mec="white", label="fitted on"),
            Line2D([], [], marker="o", ls="none", ms=6, mfc="white", mec=GREY, label="held out"),
        ]
    left.legend(handles=handles, loc="upper left")
    headline(left, "Score", "with and without the intervention")
    if gain.lower is not None and gain.upper is not None:
        right.fill_between(gain.x, gain.lower, gain.upper, color=BLUE, alpha=0.14, lw=0)
    right.axhline(0, color=GREY, lw=0.9)
    right.plot(gain.x, gain.y, color=INK)
    true = np.asarray(measured_gain, dtype=float)
    for held_out, colour in ((False, BLUE), (True, ACCENT)):
        for family in dict.fromkeys(families):
            rows = (test == held_out) & (np.asarray(families, dtype=object) == family)
            style = family_style(family, families, size=5.8)
            right.plot(
                x[rows],
                true[rows],
                marker=style["marker"],
                ls="none",
                ms=style["markersize"],
                color=colour,
                mec="white",
                mew=0.6,
                alpha=0.85,
            )
    right.set_ylabel("Gain (treated − base)")
    name = treatments[-1].name if len(treatments) > 1 else "treated"
    headline(
        right, f"Gain from {name}", f"predicted, with its {gain.level:.0%} interval, and measured"
    )
    for axes in (left, right):
        axes.set_xlabel("Capability (treated law's linear predictor)")
    return figure


def draw_gain_analysis(analysis: GainAnalysis, curves: GainCurves) -> Figure:
    """Draw the gain of an intervention as ``analyse_gain`` returns it.

    Parameters
    ----------
    analysis : GainAnalysis
        Models that the laws were not fitted on are drawn hollow.
    curves : GainCurves
        From ``analysis.curves()``.

    See Also
    --------
    analyse_gain : Makes what is drawn.
    draw_gain : Draws curves that come from elsewhere.

    Examples
    --------
    >>> from capspace.fit import analyse_gain, draw_gain_analysis, load_reference
    >>> reference = load_reference()
    >>> families = ["Llama-2", "Llama-3", "Qwen1.5"]
    >>> table = reference.table.select(benchmarks=["MMLU", "ARC-C"], families=families)
    >>> targets = reference.table.wide(["gsm8k", "gsm8k-cot"])
    >>> analysis = analyse_gain(table, targets["gsm8k"], targets["gsm8k-cot"], n_components=1)
    >>> figure = draw_gain_analysis(analysis, analysis.curves())

    """
    models = analysis.models
    return draw_gain(
        models["capability"].to_numpy(),
        list(models["family"]),
        [
            Treatment(analysis.base, models["base"].to_numpy(), curves.base),
            Treatment(analysis.treated, models["treated"].to_numpy(), curves.treated),
        ],
        curves.gain,
        measured_gain=models["gain"].to_numpy(),
        label="Score",
        is_test=models["is_test"].to_numpy(),
    )


@styled
def draw_weights(weights: pd.DataFrame, *, title: str = "What drives the prediction") -> Figure:
    """Draw benchmark weights of one or more laws as a heat map.

    Parameters
    ----------
    weights : DataFrame (laws × benchmarks)
        Coefficients mapped back to benchmarks: change of the linear predictor per unit of score.
    title : str
        The figure's title.

    See Also
    --------
    CapabilitySpace, ScalingLaw : Of their product such weights are made.
    draw_space : Draws the loadings behind them.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import draw_weights
    >>> weights = pd.DataFrame({"MMLU": [1.2, 0.8], "GSM8K": [0.1, 0.9]}, index=["base", "treated"])
    >>> figure = draw_weights(weights)

    """
    values = weights.to_numpy(dtype=float)
    figure, axes = panel(1.9 + 0.92 * values.shape[1], 1.9 + 0.5 * len(values))
    limit = float(np.nanmax(np.abs(values)))
    axes.imshow(values, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        axes.text(
            j,
            i,
            signed(value, 1),
            ha="center",
            va="center",
            fontsize=9.5,
            color="white" if abs(value) > 0.62 * limit else INK,
        )
    axes.set_xticks(range(values.shape[1]), list(weights.columns), rotation=30, ha="right")
    axes.set_yticks(range(len(values)), list(weights.index))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    headline(axes, title, "change of the law's linear predictor per unit of each score")
    return figure

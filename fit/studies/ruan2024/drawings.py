"""Choose which figures the study's results are drawn as, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ... import figures
from .reach import Reach
from .results import HEADLINE, LEVEL, AnalysisResult, GainResult, Results

__all__ = ["Drawing", "study_drawings"]

_NAMES = {
    HEADLINE: "three components",
    "PC-1": "one component",
    "PC-1..2": "two components",
    "PC-1..4": "four components",
    "Model Size": "size",
    "Training FLOPs": "training FLOPs",
}


_FEWEST_TO_DRAW = 3


@dataclass(frozen=True)
class Drawing:
    """A figure still to be drawn.

    Attributes
    ----------
    section : str
        Of the page.
    name : str
        Its file's, without ending.
    caption : str
    draw : callable
        Returns the figure; picklable, so that another process can draw it.

    """

    section: str
    name: str
    caption: str
    draw: Callable[[], Figure]


def study_drawings(results: Results) -> list[Drawing]:
    """Return all figures of the page."""
    return [
        *_space(results),
        *(d for a in results.analyses for d in _analysis(a)),
        *(_reach(label, curves) for label, curves in results.reach.items()),
        *(_gain(gain, i) for i, gain in enumerate(results.gains)),
        _gain_weights(results),
        _selection(results),
        *_later(results),
    ]


def _space(results: Results) -> list[Drawing]:
    space, facts = results.space.space, results.space.facts
    families = list(facts["family"])
    flops = facts["training_flops"].to_numpy(dtype=float)
    return [
        Drawing(
            "space",
            "space",
            f"Explained variance and loadings, {len(facts)} base models.",
            partial(
                figures.draw_space,
                space.explained_variance_ratio_,
                space.components_,
                list(map(str, space.feature_names_in_)),
            ),
        ),
        Drawing(
            "space",
            "map",
            "The models on the first two components; members of a family are joined.",
            partial(
                figures.draw_map,
                results.space.points,
                families,
                explained_variance_ratio=space.explained_variance_ratio_,
            ),
        ),
        Drawing(
            "efficiency",
            "efficiency-pc1",
            "PC-1 against training compute, each family with its own line.",
            partial(
                figures.draw_efficiency,
                results.efficiency[0],
                results.space.points[:, 0],
                flops,
                families,
            ),
        ),
    ]


def _analysis(result: AnalysisResult) -> list[Drawing]:
    analysis, fits = result.case.analysis, result.fits
    section, slug = analysis.group, _slug(analysis.label)
    drawings = [
        Drawing(
            section,
            f"target-{slug}",
            f"{analysis.label}: law, cutoff and {LEVEL:.0%} intervals of typical models.",
            partial(
                figures.draw_backtest,
                result.backtest,
                result.curve,
                reference=result.reference,
                cutoff_flops=analysis.max_flops,
            ),
        ),
        Drawing(
            section,
            f"baselines-{slug}",
            f"{analysis.label}: test error of the law and of other predictors. Where a predictor "
            "is unknown for some models, it is scored on the others.",
            partial(
                figures.draw_baselines,
                {_NAMES.get(k, k): f.mse_test for k, f in fits.items()},
                ours=_NAMES[HEADLINE],
                label=analysis.label,
                n_test=fits[HEADLINE].n_test,
            ),
        ),
    ]
    if result.backtest.n_test >= _FEWEST_TO_DRAW:
        drawings.append(
            Drawing(
                section,
                f"predicted-{slug}",
                f"{analysis.label}: predicted against measured on the models held out.",
                partial(figures.draw_backtest_predictions, result.backtest),
            )
        )
    return drawings


def _reach(label: str, curves: list[Reach]) -> Drawing:
    return Drawing(
        "reach",
        f"reach-{_slug(label)}",
        f"{label}: test error against the share of the strongest models held out.",
        partial(
            figures.draw_error_curves,
            {_NAMES[c.predictor]: (c.share, c.mse_test) for c in curves},
            label=label,
            ours=_NAMES[HEADLINE],
            areas={_NAMES[c.predictor]: c.area for c in curves},
        ),
    )


def _gain(result: GainResult, number: int) -> Drawing:
    return Drawing(
        "gain",
        f"gain-{number + 1}-{_slug(result.plan.label)}",
        f"{result.plan.label}: scores with and without, and the gain with its interval.",
        partial(figures.draw_gain_analysis, result.analysis, result.curves),
    )


def _gain_weights(results: Results) -> Drawing:
    rows = {}
    for gain in results.gains:
        rows[gain.plan.base] = gain.analysis.fit.weights.loc["base"]
        rows[gain.plan.treated] = gain.analysis.fit.weights.loc["treated"]
    weights, order = pd.DataFrame(rows).T, results.space.scores.columns
    return Drawing(
        "gain",
        "gain-weights",
        "Weights of the laws on each benchmark; laws of GSM8K leave GSM8K out of the space.",
        partial(figures.draw_weights, weights[[b for b in order if b in weights]]),
    )


def _selection(results: Results) -> Drawing:
    quality = results.quality
    known = ~np.isnan(quality.chosen)
    return Drawing(
        "selection",
        "selection",
        "Test error of laws fitted on chosen and on random families, geometric mean over GSM8K "
        "5-shot, CoT and CoT with self-consistency.",
        partial(
            figures.draw_selection,
            quality.budgets[known],
            quality.chosen[known],
            [r for r, k in zip(quality.random, known, strict=True) if k],
            everything=quality.everything,
        ),
    )


def _later(results: Results) -> list[Drawing]:
    return [
        Drawing(
            "preregistered",
            f"later-{_slug(a.case.analysis.label)}",
            f"{a.case.analysis.label}: the law of the earlier models on the pre-registered ones.",
            partial(
                figures.draw_predicted,
                a.later["truth"],
                a.later["prediction"],
                a.later["lower"],
                a.later["upper"],
                list(a.later["family"]),
                label=a.case.analysis.label,
                level=LEVEL,
            ),
        )
        for a in results.analyses
        if a.later is not None
    ]


def _slug(label: str) -> str:
    words = "".join(c if c.isalnum() else " " for c in label.lower()).split()
    return "-".join(words)

"""Draw a back-test: its law with both sides and the cutoff, and its predictions."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ..analyses._backtest import Backtest
from ..law.efficiency import FamilyLaw
from ..law.path import Curve
from .errors import draw_baselines, draw_predicted
from .law import draw_target
from .style import format_flops

__all__ = ["draw_backtest", "draw_backtest_baselines", "draw_backtest_predictions"]


def draw_backtest(
    result: Backtest,
    curve: Curve,
    *,
    reference: FamilyLaw | None = None,
    cutoff_flops: float | None = None,
) -> Figure:
    """Draw a backtest's law over its training and test models.

    Parameters
    ----------
    result : Backtest
        The fitted law and its models.
    curve : Curve
        From ``capspace.fit.law.path.fitted_curve`` on ``result.fitted``.
    reference : FamilyLaw, optional
        Line of the linear predictor in training FLOPs of a reference family, for the top axis.
    cutoff_flops : float, optional
        Where the split lies; drawn where there is a reference.

    See Also
    --------
    backtest : Makes what is drawn.
    draw_backtest_predictions, draw_backtest_baselines : Its other figures.

    Examples
    --------
    >>> from capspace.fit import JackknifePlus, backtest, by_rank, draw_backtest, fitted_curve
    >>> from capspace.fit import load_reference, target_problem
    >>> reference = load_reference()
    >>> families = ["Llama-2", "Llama-3", "Qwen1.5"]
    >>> table = reference.table.select(benchmarks=["MMLU", "ARC-C"], families=families)
    >>> problem = target_problem(table, reference.table.wide(["bbh"])["bbh"])
    >>> result = backtest(problem, by_rank(problem.truth, 0.2), n_components=1)
    >>> curve = fitted_curve(result.fitted, -3, 3, method=JackknifePlus(), n_points=20)
    >>> figure = draw_backtest(result, curve)

    """
    models = result.models
    cutoff = None
    if reference is not None and cutoff_flops is not None:
        cutoff = float(reference.predict(cutoff_flops)), f"{format_flops(cutoff_flops)} FLOPs"
    return draw_target(
        models["linear_predictor"],
        models["truth"],
        list(models["family"]),
        curve,
        label=result.target,
        is_test=(models["side"] == "test").to_numpy(),
        cutoff=cutoff,
        reference=reference,
        subtitle=f"{result.rule.replace('<=', '≤')}; test MSE {result.mse_test:.2g}",
    )


def draw_backtest_predictions(result: Backtest) -> Figure:
    """Draw predicted against measured scores of a backtest's test models.

    See Also
    --------
    backtest : Makes what is drawn.
    draw_predicted : Draws values that come from elsewhere.

    Examples
    --------
    >>> from capspace.fit import draw_backtest_predictions
    >>> from capspace.fit import backtest, by_rank, load_reference, target_problem
    >>> reference = load_reference()
    >>> families = ["Llama-2", "Llama-3", "Qwen1.5"]
    >>> table = reference.table.select(benchmarks=["MMLU", "ARC-C"], families=families)
    >>> problem = target_problem(table, reference.table.wide(["bbh"])["bbh"])
    >>> result = backtest(problem, by_rank(problem.truth, 0.2), n_components=1)
    >>> figure = draw_backtest_predictions(result)

    """
    test = result.models[result.models["side"] == "test"]
    return draw_predicted(
        test["truth"],
        test["prediction"],
        test["lower"],
        test["upper"],
        list(test["family"]),
        label=result.target,
        level=result.level,
    )


def draw_backtest_baselines(result: Backtest, *, name: str = "capability law") -> Figure:
    """Draw a backtest's error beside its baselines' errors.

    A baseline that lacks test models is named with the number it was scored on.

    See Also
    --------
    backtest : Makes what is drawn.
    draw_baselines : Draws errors that come from elsewhere.

    Examples
    --------
    >>> from capspace.fit import draw_backtest_baselines
    >>> from capspace.fit import backtest, by_rank, load_reference, target_problem
    >>> reference = load_reference()
    >>> families = ["Llama-2", "Llama-3", "Qwen1.5"]
    >>> table = reference.table.select(benchmarks=["MMLU", "ARC-C"], families=families)
    >>> problem = target_problem(table, reference.table.wide(["bbh"])["bbh"])
    >>> result = backtest(problem, by_rank(problem.truth, 0.2), n_components=1, baselines=["size"])
    >>> figure = draw_backtest_baselines(result)

    """
    errors = {name: result.mse_test}
    for baseline in result.baselines:
        short = baseline.n_test < result.n_test
        note = f" (on {baseline.n_test} of {result.n_test})" if short else ""
        errors[baseline.name + note] = baseline.mse_test if baseline.n_test else float(np.nan)
    return draw_baselines(errors, ours=name, label=result.target, n_test=result.n_test)

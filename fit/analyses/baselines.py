"""A law is compared with predictors from compute, size, and benchmarks directly."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import TooFewModelsError
from ..law._law import ScalingLaw
from ..law._refit import Fitted
from ..law.problem import Problem
from .splits import Split

__all__ = ["BASELINES", "BaselineResult", "expand_baselines", "fit_baseline"]

Array = NDArray[np.float64]

BASELINES = ("flops", "size", "benchmarks", "all-benchmarks")
"""Predictors a law is compared with; "benchmarks" is each benchmark alone."""

_FACT_OF = {"flops": "training_flops", "size": "parameters"}


@dataclass(frozen=True)
class BaselineResult:
    """Another predictor on the models of a backtest.

    Attributes
    ----------
    name : str
    n_train, n_test : int
    mse_train, mse_test, mae_test : float
    law_mse_test : float
        Of the law, on the same test models.
    without : tuple of str
        Test models this predictor cannot predict, for want of its input.

    See Also
    --------
    Backtest : Has one for each baseline.
    draw_backtest_baselines : Draws their errors beside the law's.

    """

    name: str
    n_train: int
    n_test: int
    mse_train: float
    mse_test: float
    mae_test: float
    law_mse_test: float
    without: tuple[str, ...]


def expand_baselines(baselines: Collection[str], benchmarks: Sequence[str]) -> list[str]:
    """Return the baselines with "benchmarks" written out."""
    out: list[str] = []
    for name in baselines:
        out.extend(benchmarks if name == "benchmarks" else [name])
    return out


def fit_baseline(
    problem: Problem,
    name: str,
    split: Split,
    fitted: Fitted,
    law_prediction: Array,
    delta: float,
) -> BaselineResult:
    """Fit the same form of law on another input, on the same models."""
    if name in _FACT_OF:
        x = np.log(problem.facts[_FACT_OF[name]].to_numpy(dtype=float))[:, None]
    else:
        x = fitted.spaces.fill(problem.scores.to_numpy(dtype=float))[0]
        if name != "all-benchmarks":
            x = x[:, [list(problem.scores.columns).index(name)]]
    usable = ~np.isnan(x).any(axis=1)
    truth = problem.truth.to_numpy(dtype=float)
    scale = problem.ceiling - problem.chance
    families = problem.families
    folds: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = (
        [(families != f, families == f) for f in np.unique(families)]
        if split.train is None
        else [(split.train, ~split.train)]
    )
    predicted = np.full(len(truth), np.nan)
    n_train, squares = 0, []
    for train, test in folds:
        fit_on = train & usable
        if not fit_on.any():
            raise TooFewModelsError(f"baseline {name}: it is known of no model to fit on")
        law = ScalingLaw(
            link=problem.link,
            floor=problem.chance,
            ceiling=problem.ceiling,
            loss="squared" if np.isinf(delta) else "huber",
            delta=delta if np.isfinite(delta) else 1.0,
        )
        try:
            law.fit(x[fit_on], truth[fit_on])
        except TooFewModelsError as error:
            raise TooFewModelsError(f"baseline {name}: {error}") from None
        n_train = max(n_train, int(fit_on.sum()))
        squares.append(float(np.mean(((law.predict(x[fit_on]) - truth[fit_on]) / scale) ** 2)))
        target = test & usable
        if target.any():
            predicted[target] = law.predict(x[target])
    tested = np.logical_or.reduce([test for _, test in folds])
    scored = tested & ~np.isnan(predicted)
    wrong = (predicted - truth)[scored] / scale
    law_wrong = (law_prediction - truth)[scored] / scale
    return BaselineResult(
        name=name,
        n_train=n_train,
        n_test=int(scored.sum()),
        mse_train=float(np.mean(squares)),
        mse_test=float(np.mean(wrong**2)) if scored.any() else float("nan"),
        mae_test=float(np.mean(np.abs(wrong))) if scored.any() else float("nan"),
        law_mse_test=float(np.mean(law_wrong**2)) if scored.any() else float("nan"),
        without=tuple(map(str, problem.truth.index[tested & ~usable])),
    )

"""How well a law predicts models it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import UnknownNameError
from ..law._refit import Fitted, fit_once, predict_with
from ..law.intervals import IntervalMethod, TwoView
from ..law.law import ScalingLaw
from ..law.problem import Problem, check_target, make_problem
from ._error_curve import ErrorCurve, error_curve
from .baselines import BASELINES, BaselineResult, expand_baselines, fit_baseline
from .splits import Split

__all__ = [
    "BASELINES",
    "Backtest",
    "BaselineResult",
    "ErrorCurve",
    "Problem",
    "backtest",
    "error_curve",
    "make_problem",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Backtest:
    """A law fitted on one side of a split and scored on the other.

    Attributes
    ----------
    target, rule, link, method : str
    level : float
    models : DataFrame by model
        family, side ("train" or "test"), truth, prediction, lower, upper, linear_predictor,
        training_flops; bounds are NaN on the training side of a split.
    mse_train, mse_test, mae_train, mae_test, rank_correlation : float
        On scores normalised to chance = 0 and ceiling = 1; the rank correlation (Spearman's) is of
        the test models, NaN for fewer than three.
    coverage, width : float
        Share of test models inside their interval, and its mean width in raw fractions.
    intercept, floor : float
    coefficients : mapping of component to β
    weights : mapping of benchmark to weight, logits per unit of score
    baselines : tuple of BaselineResult
    notes : tuple of str
        What was assumed or left out.
    fitted : Fitted
        Space and law of the training side; with leave-one-family-out, of all models.

    """

    target: str
    rule: str
    link: str
    method: str
    level: float
    models: pd.DataFrame
    mse_train: float
    mse_test: float
    mae_train: float
    mae_test: float
    rank_correlation: float
    coverage: float
    width: float
    intercept: float
    floor: float
    ceiling: float
    coefficients: dict[str, float]
    weights: dict[str, float]
    baselines: tuple[BaselineResult, ...]
    notes: tuple[str, ...]
    fitted: Fitted

    @property
    def n_train(self) -> int:
        """Models the law was fitted on."""
        return int((self.models["side"] == "train").sum()) or len(self.models)

    @property
    def n_test(self) -> int:
        """Models it was tested on."""
        return int((self.models["side"] == "test").sum())

    @property
    def law(self) -> ScalingLaw:
        """The law of the training side; with leave-one-family-out, of all models."""
        return ScalingLaw.of(self.fitted)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; what is unknown is null."""
        numbers = (
            "mse_train",
            "mse_test",
            "mae_train",
            "mae_test",
            "rank_correlation",
            "coverage",
            "width",
            "intercept",
            "floor",
            "ceiling",
        )
        rows = self.models.reset_index(names="model").to_dict("records")
        return {
            "target": self.target,
            "split": self.rule,
            "link": self.link,
            "method": self.method,
            "level": self.level,
            "n_train": self.n_train,
            "n_test": self.n_test,
            **{key: _safe(getattr(self, key)) for key in numbers},
            "coefficients": {k: _safe(v) for k, v in self.coefficients.items()},
            "weights": {k: _safe(v) for k, v in self.weights.items()},
            "baselines": {
                b.name: {
                    **{
                        key: _safe(getattr(b, key))
                        for key in ("n_train", "n_test", "mse_train", "mse_test", "mae_test")
                    },
                    "law_mse_test": _safe(b.law_mse_test),
                    "without": list(b.without),
                }
                for b in self.baselines
            },
            "models": [{k: _safe(v) for k, v in row.items()} for row in rows],
            "notes": list(self.notes),
        }


def backtest(
    problem: Problem,
    split: Split,
    *,
    n_components: int = 3,
    delta: float = np.inf,
    level: float = 0.9,
    method: IntervalMethod | None = None,
    baselines: Sequence[str] = (),
) -> Backtest:
    """Fit a law on one side of a split and score it on the other.

    Parameters
    ----------
    problem : Problem
        Target, scores and facts.
    split : Split
        See ``capspace.fit.analyses.splits``.
    n_components : int
        Coordinates of the capability space.
    delta : float
        Huber's δ, infinite for least squares.
    level : float
        Nominal coverage of the intervals.
    method : IntervalMethod
        ``TwoView()`` by default.
    baselines : sequence of str
        Some of ``BASELINES``.

    Raises
    ------
    TooFewModelsError, DegenerateError, NotConvergedError
        The training side does not determine the law.
    UnknownNameError
        No such baseline.

    """
    for name in baselines:
        if name not in BASELINES:
            raise UnknownNameError(f"unknown baseline {name!r}; known are {', '.join(BASELINES)}")
    method = TwoView() if method is None else method
    everyone = problem.training(problem.settings(n_components, delta=delta))
    train = np.ones(len(problem.truth), dtype=bool) if split.train is None else split.train
    training = everyone.part(train)
    check_target(problem.truth[train], problem.name, problem.chance, problem.ceiling)
    fitted = fit_once(training)
    at = predict_with(fitted, everyone.scores)
    n = len(train)
    prediction, lower, upper = at.copy(), np.full(n, np.nan), np.full(n, np.nan)
    if split.train is None:
        interval = method.leave_family_out(fitted, level=level)
        prediction, lower, upper = interval.mean, interval.lower, interval.upper
        test = np.ones(n, dtype=bool)
    else:
        test = ~train
        interval = method.predict(fitted, everyone.scores[test], level=level)
        prediction[test], lower[test], upper[test] = interval.mean, interval.lower, interval.upper

    truth = problem.truth.to_numpy(dtype=float)
    scale = problem.ceiling - problem.chance
    wrong_train = (at - truth)[train] / scale
    wrong_test = (prediction - truth)[test] / scale
    inside = (lower[test] <= truth[test]) & (truth[test] <= upper[test])
    beta = fitted.theta[1 : n_components + 1]
    components = fitted.spaces.components[0, :n_components]
    x = fitted.spaces.transform(everyone.scores, n_components)[0]
    levels = training.settings.form.levels(fitted.theta[None, n_components + 1 :])[:, 0]
    notes = [*problem.notes]
    if split.unknown:
        notes.append(f"tested on for want of the value to split by: {', '.join(split.unknown)}")
    return Backtest(
        target=problem.name,
        rule=split.rule,
        link=problem.link,
        method=method.name,
        level=level,
        models=pd.DataFrame(
            {
                "family": everyone.families,
                "side": np.where(test, "test", "train"),
                "truth": truth,
                "prediction": prediction,
                "lower": lower,
                "upper": upper,
                "linear_predictor": fitted.theta[0] + x @ beta,
                "training_flops": problem.facts["training_flops"].to_numpy(dtype=float),
            },
            index=problem.truth.index,
        ),
        mse_train=float(np.mean(wrong_train**2)),
        mse_test=float(np.mean(wrong_test**2)),
        mae_train=float(np.mean(np.abs(wrong_train))),
        mae_test=float(np.mean(np.abs(wrong_test))),
        rank_correlation=_rank_correlation(truth[test], prediction[test]),
        coverage=float(inside.mean()),
        width=float(np.mean(upper[test] - lower[test])),
        intercept=float(fitted.theta[0]),
        floor=float(levels[0]),
        ceiling=float(levels[1]),
        coefficients={f"PC-{j + 1}": float(b) for j, b in enumerate(beta)},
        weights=dict(zip(everyone.benchmarks, map(float, beta @ components), strict=True)),
        baselines=tuple(
            fit_baseline(problem, name, split, fitted, prediction, delta)
            for name in expand_baselines(baselines, everyone.benchmarks)
        ),
        notes=tuple(notes),
        fitted=fitted,
    )


def _rank_correlation(truth: Array, prediction: Array) -> float:
    if len(truth) < 3 or np.ptp(truth) == 0 or np.ptp(prediction) == 0:
        return float("nan")
    one, other = (pd.Series(v).rank().to_numpy(dtype=float) for v in (truth, prediction))
    return float(np.corrcoef(one, other)[0, 1])


def _safe(value: Any) -> Any:
    if isinstance(value, str | bool | int | None):
        return value
    number = float(value)
    return number if np.isfinite(number) else None

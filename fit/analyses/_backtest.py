"""Test how well a law predicts models that it was not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from .._display import frame_html
from .._json import json_dict
from ..errors import FitError, UnknownNameError
from ..law._law import ScalingLaw
from ..law._refit import Fitted, fewer_components_note, fit_once, predict_with
from ..law.efficiency import FamilyLaw
from ..law.intervals import IntervalMethod, TwoView
from ..law.path import Curve, fitted_curve
from ..law.problem import Problem, check_target
from ..prediction import reference_line
from .baselines import BASELINES, BaselineResult, expand_baselines, fit_baseline
from .splits import Split

__all__ = ["BASELINES", "Backtest", "BaselineResult", "backtest"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
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
    interval : IntervalMethod
        How the intervals were made.

    See Also
    --------
    backtest : Makes one.
    draw_backtest, draw_backtest_predictions, draw_backtest_baselines : Draw it.

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
    interval: IntervalMethod

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

    def curve(self) -> Curve:
        """Return the law over its models' linear predictors, with intervals of typical models."""
        c = self.models["linear_predictor"]
        return fitted_curve(
            self.fitted, float(c.min()), float(c.max()), method=self.interval, level=self.level
        )

    def compute_line(self) -> FamilyLaw | None:
        """Return the line of the linear predictor in the training FLOPs of Llama-2.

        None where fewer than two of its models, or of their FLOPs, are known.
        """
        return reference_line(self.models["linear_predictor"], self.models)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per model: family, side, truth, prediction and its interval."""
        return self.models[["family", "side", "truth", "prediction", "lower", "upper"]]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values; what is unknown is null."""
        errors = ("mse_train", "mse_test", "mae_train", "mae_test", "rank_correlation")
        law = ("coverage", "width", "intercept", "floor", "ceiling")
        of_baseline = ("n_train", "n_test", "mse_train", "mse_test", "mae_test", "law_mse_test")
        return json_dict(
            {
                "target": self.target,
                "split": self.rule,
                "link": self.link,
                "method": self.method,
                "level": self.level,
                "n_train": self.n_train,
                "n_test": self.n_test,
                **{name: getattr(self, name) for name in (*errors, *law)},
                "coefficients": self.coefficients,
                "weights": self.weights,
                "baselines": {
                    b.name: {
                        **{name: getattr(b, name) for name in of_baseline},
                        "without": b.without,
                    }
                    for b in self.baselines
                },
                "models": self.models.reset_index(names="model").to_dict("records"),
                "notes": self.notes,
            }
        )

    def __repr__(self) -> str:
        return (
            f"Backtest({self.target}, {self.rule}: test MSE {self.mse_test:.3g} on {self.n_test} "
            f"models, {self.coverage:.0%} inside {self.level:.0%} intervals)"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)


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
        Coordinates of the capability space; fewer where it has fewer benchmarks, which the notes
        say.
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
    FitError
        The split is of another number of models, or ``delta`` is not above 0.

    See Also
    --------
    target_problem : Makes a problem from a score table and a target.
    error_curve : Test error against how many of the best models are held out.

    Examples
    --------
    >>> from capspace.fit import backtest, load_reference, target_problem
    >>> from capspace.fit.analyses.splits import by_flops
    >>> table = load_reference().table.select(benchmarks=["MMLU", "ARC-C", "HellaSwag", "GSM8K"])
    >>> problem = target_problem(table, table.wide()["GSM8K"])
    >>> result = backtest(problem, by_flops(problem.facts, 1e23), n_components=2)
    >>> result.target, result.n_train > 20, result.mse_test < 0.1
    ('GSM8K', True, True)

    """
    for name in baselines:
        if name not in BASELINES:
            raise UnknownNameError(f"unknown baseline {name!r}; known are {', '.join(BASELINES)}")
    method = TwoView() if method is None else method
    everyone = problem.training(problem.settings(n_components, delta=delta))
    train = np.ones(len(problem.truth), dtype=bool) if split.train is None else split.train
    if train.shape != problem.truth.shape:
        raise FitError(f"the split is of {len(train)} models, the problem of {len(problem.truth)}")
    check_target(problem.truth[train], problem.name, problem.chance, problem.ceiling)
    training = everyone.part(train)
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
    k = fitted.training.settings.n_components
    beta = fitted.theta[1 : k + 1]
    components = fitted.spaces.components[0, :k]
    x = fitted.spaces.transform(everyone.scores, k)[0]
    levels = training.settings.form.levels(fitted.theta[None, k + 1 :])[:, 0]
    notes = [*problem.notes, *fewer_components_note(n_components, fitted)]
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
        interval=method,
    )


def _rank_correlation(truth: Array, prediction: Array) -> float:
    if len(truth) < 3 or np.ptp(truth) == 0 or np.ptp(prediction) == 0:
        return float("nan")
    return float(spearmanr(truth, prediction).statistic)

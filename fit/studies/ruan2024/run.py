"""Fit one analysis with one predictor, as the study does."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from ...errors import FitError, UnknownNameError
from ...law._law import ScalingLaw
from .data import Case

__all__ = ["CaseFit", "fit_case", "predictors", "single_start"]

Floats = NDArray[np.float64]

COMPONENTS = ("PC-1", "PC-1..2", "PC-1..3", "PC-1..4", "PC-1..5")
ALL_BENCHMARKS = "all benchmarks"


@dataclass(frozen=True)
class CaseFit:
    """The law of one analysis in one predictor.

    Attributes
    ----------
    predictor : str
    n_train, n_test : int
        Models that have the predictor.
    mse_train, mse_test, mae_train, mae_test : float
        On the scale of ``Case.truth``; NaN where the fit failed.
    intercept, coef, floor : float, (k,) array, float
        NaN or empty where the fit failed.
    linear_predictor, prediction : (n,) Series
        Of every model of the case; NaN where it lacks the predictor.
    without : tuple of str
        Test models that lack the predictor and are not scored.
    failure : str
        Why there is no fit; empty if there is.

    """

    predictor: str
    n_train: int
    n_test: int
    mse_train: float = float("nan")
    mse_test: float = float("nan")
    mae_train: float = float("nan")
    mae_test: float = float("nan")
    intercept: float = float("nan")
    coef: Floats = field(default_factory=lambda: np.empty(0))
    floor: float = float("nan")
    linear_predictor: pd.Series = field(default_factory=pd.Series)
    prediction: pd.Series = field(default_factory=pd.Series)
    without: tuple[str, ...] = ()
    failure: str = ""


def predictors(case: Case) -> list[str]:
    """Return all predictors of a case: components, and the baselines there are data for."""
    compute = [] if case.analysis.features == "instruct" else ["Model Size", "Training FLOPs"]
    return [*compute, *COMPONENTS, *case.scores.columns, ALL_BENCHMARKS]


def fit_case(case: Case, predictor: str, *, n_starts: int = 100) -> CaseFit:
    """Fit a case's law in one predictor on its training models, and score it on its test models.

    Notes
    -----
    Size and FLOPs enter by their logarithm. Models without the predictor are left out on both
    sides, as in the study, so that test sets differ between predictors; ``without`` names them.

    """
    x = _inputs(case, predictor)
    known = ~np.isnan(x).any(axis=1)
    train, test = case.train & known, ~case.train & known
    truth = case.truth.to_numpy(dtype=float)
    without = tuple(map(str, case.truth.index[~case.train & ~known]))
    law = ScalingLaw(link=case.analysis.link, n_starts=n_starts)
    try:
        law.fit(x[train], truth[train])
    except FitError as error:
        return CaseFit(
            predictor, int(train.sum()), int(test.sum()), without=without, failure=str(error)
        )
    c = np.full(len(x), np.nan)
    c[known] = law.linear_predictor(x[known])
    fitted = law.curve(c)
    wrong = fitted - truth
    return CaseFit(
        predictor=predictor,
        n_train=int(train.sum()),
        n_test=int(test.sum()),
        mse_train=float(np.mean(wrong[train] ** 2)),
        mse_test=float(np.mean(wrong[test] ** 2)),
        mae_train=float(np.mean(np.abs(wrong[train]))),
        mae_test=float(np.mean(np.abs(wrong[test]))),
        intercept=law.intercept_,
        coef=law.coef_,
        floor=law.floor_,
        linear_predictor=pd.Series(c, index=case.truth.index),
        prediction=pd.Series(fitted, index=case.truth.index),
        without=without,
    )


def single_start(case: Case, predictor: str) -> tuple[float, float]:
    """Return train and test MSE of a fit from the study's one start, by its optimisers.

    Notes
    -----
    β₀ = 0, βⱼ = 0.03, no floor; BFGS for the plain sigmoid, L-BFGS-B with the floor in [0, 0.2],
    numerical gradients, convergence not looked at. It tells a better optimum from a miss where the
    study's training errors are not published.

    """
    x = _inputs(case, predictor)
    known = ~np.isnan(x).any(axis=1)
    train, test = case.train & known, ~case.train & known
    truth = case.truth.to_numpy(dtype=float)
    with_floor = case.analysis.link == "sigmoid-floor"
    k = x.shape[1]

    def predict(theta: Floats, rows: NDArray[np.bool_]) -> Floats:
        floor = theta[-1] if with_floor else 0.0
        return np.asarray(floor + (1 - floor) * expit(theta[0] + x[rows] @ theta[1 : k + 1]))

    def loss(theta: Floats) -> float:
        return float(0.5 * np.sum((predict(theta, train) - truth[train]) ** 2))

    start = np.r_[0.0, np.full(k, 0.03), np.zeros(int(with_floor))]
    bounds = [(None, None)] * (k + 1) + [(0.0, 0.2)] * int(with_floor)
    solution = minimize(
        loss,
        start,
        method="L-BFGS-B" if with_floor else "BFGS",
        bounds=bounds if with_floor else None,
    ).x
    errors = [
        float(np.mean((predict(solution, rows) - truth[rows]) ** 2)) for rows in (train, test)
    ]
    return errors[0], errors[1]


def _inputs(case: Case, predictor: str) -> Floats:
    if predictor == "Model Size":
        return np.asarray(np.log(case.facts[["parameters"]].to_numpy(dtype=float) / 1e9))
    if predictor == "Training FLOPs":
        return np.asarray(np.log(case.facts[["training_flops"]].to_numpy(dtype=float) / 1e21))
    scores: Floats = case.scores.to_numpy(dtype=float)
    if predictor in COMPONENTS:
        return np.asarray(case.space.transform(scores, COMPONENTS.index(predictor) + 1)[0])
    filled: Floats = np.asarray(case.space.fill(scores)[0])
    if predictor == ALL_BENCHMARKS:
        return filled
    columns = list(case.scores.columns)
    if predictor not in columns:
        raise UnknownNameError(f"unknown predictor {predictor!r}")
    return filled[:, [columns.index(predictor)]]

"""Test error against how many of the best models are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from ..errors import DegenerateError, FitError
from ..law._refit import fit_once, predict_with
from ..law.problem import Problem
from .splits import by_rank

__all__ = ["ErrorCurve", "error_curve"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ErrorCurve:
    """Test error as more of the best models are held out.

    Attributes
    ----------
    held_out : (m,) share of the models that are tested on, falling
    mse_test : (m,) on normalised scores; NaN where the law could not be fitted
    area : float
        Trapezoidal integral of mse_test over held_out (not divided by its range).
    failures : mapping of held-out share to the reason

    """

    held_out: Array
    mse_test: Array
    area: float
    failures: dict[float, str]


def error_curve(
    problem: Problem,
    *,
    n_components: int = 3,
    delta: float = np.inf,
    held_out: Sequence[float] | None = None,
) -> ErrorCurve:
    """Fit on all but the best models, for a range of how many, and test on those.

    ``held_out`` defaults to 30 shares from 0.6 down to 0.05, as in the study.
    """
    shares = np.linspace(0.6, 0.05, 30) if held_out is None else np.asarray(held_out, dtype=float)
    everyone = problem.training(problem.settings(n_components, delta=delta))
    mse = np.full(len(shares), np.nan)
    failures = {}
    for i, share in enumerate(shares):
        try:
            train = by_rank(problem.truth, float(share)).train
            assert train is not None  # noqa: S101 - by_rank always splits
            fitted = fit_once(everyone.part(train))
        except FitError as error:
            failures[float(share)] = str(error)
            continue
        wrong = predict_with(fitted, everyone.scores[~train]) - everyone.target[~train]
        mse[i] = float(np.mean((wrong / (problem.ceiling - problem.chance)) ** 2))
    known = ~np.isnan(mse)
    if known.sum() < 2:
        raise DegenerateError(
            f"{problem.name}: a law could be fitted for {known.sum()} of {len(shares)} cutoffs; "
            f"the first failed with: {next(iter(failures.values()))}"
        )
    area = abs(float(trapezoid(mse[known], shares[known])))
    return ErrorCurve(shares, mse, area, failures)

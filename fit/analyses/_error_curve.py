"""Compute the test error against how many of the best models are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from .._display import frame_html
from .._json import json_dict
from ..errors import DegenerateError, FitError
from ..law._refit import fit_once, predict_with
from ..law.problem import Problem
from .splits import by_rank

__all__ = ["ErrorCurve", "error_curve"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ErrorCurve:
    """Test error as more of the best models are held out.

    Attributes
    ----------
    held_out : (m,) share of the models that are tested on, falling
    mse_test : (m,) on normalised scores; NaN where the law could not be fitted
    area : float
        Trapezoidal integral of mse_test over held_out (not divided by its range).
    failures : mapping of held-out share to the reason

    See Also
    --------
    error_curve : Makes one.
    draw_error_curves : Draws it.

    """

    held_out: Array
    mse_test: Array
    area: float
    failures: dict[float, str]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per share of models held out: the test error, or why there is none."""
        reasons = [self.failures.get(float(share), "") for share in self.held_out]
        return pd.DataFrame(
            {"held_out": self.held_out, "mse_test": self.mse_test, "failure": reasons}
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values; the error is null where the law could not be fitted."""
        return json_dict({"held_out": self.held_out, "mse_test": self.mse_test, "area": self.area})

    def __repr__(self) -> str:
        return (
            f"ErrorCurve({self.held_out.max():.0%} to {self.held_out.min():.0%} held out: test MSE "
            f"{np.nanmax(self.mse_test):.2g} to {np.nanmin(self.mse_test):.2g}, "
            f"area {self.area:.2g})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)


def error_curve(
    problem: Problem,
    *,
    n_components: int = 3,
    delta: float = np.inf,
    held_out: Sequence[float] | None = None,
) -> ErrorCurve:
    """Fit on all but the best models, for a range of how many, and test on those.

    Parameters
    ----------
    problem : Problem
        Target, scores and facts.
    n_components : int
        Coordinates of the capability space.
    delta : float
        Huber's δ, infinite for least squares.
    held_out : sequence of float, optional
        Shares of models that are tested on; by default 30 from 0.6 down to 0.05, as in the study.

    Raises
    ------
    DegenerateError
        The law can be fitted for fewer than two of the shares.

    See Also
    --------
    backtest : One split, with intervals.
    draw_error_curves : Draws the errors of several predictors.

    Examples
    --------
    >>> from capspace.fit import error_curve, load_reference, target_problem
    >>> table = load_reference().table.select(benchmarks=["MMLU", "ARC-C", "HellaSwag", "GSM8K"])
    >>> problem = target_problem(table, table.wide()["GSM8K"])
    >>> error_curve(problem, n_components=2, held_out=[0.5, 0.2]).to_frame()["failure"].tolist()
    ['', '']

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

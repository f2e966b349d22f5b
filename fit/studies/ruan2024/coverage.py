"""Measure how often intervals hold, and how wide they are, at three cutoffs per target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...analyses._backtest import backtest
from ...analyses.splits import Split
from ...errors import DegenerateError, FitError, NotConvergedError, TooFewModelsError
from ...law._calibration import scale_of
from ...law._refit import fit_once
from ...law.conformal import Conformal, relative_errors
from ...law.intervals import IntervalMethod
from .data import Case, Study

__all__ = ["Coverage", "SharedScale", "conformal_coverage", "interval_coverage", "three_splits"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Coverage:
    """The intervals of one target under one split.

    Attributes
    ----------
    label, split : str
    n_train, n_test : int
    coverage, width : float
        Share of test models inside, and mean width; NaN where there is no fit.
    mse_test : float
    failure : str
        Why there is no fit; empty if there is.

    """

    label: str
    split: str
    n_train: int
    n_test: int
    coverage: float = float("nan")
    width: float = float("nan")
    mse_test: float = float("nan")
    failure: str = ""


def three_splits(case: Case) -> list[Split]:
    """Return the study's split, and those at the median and 70th percentile of known compute."""
    flops = case.facts["training_flops"].to_numpy(dtype=float)
    splits = [case.split]
    for share, words in ((0.5, "median compute"), (0.7, "70th percentile of compute")):
        cutoff = float(np.nanquantile(flops, share))
        splits.append(Split(flops <= cutoff, f"{words}, {cutoff:.2g} FLOPs"))
    return splits


def interval_coverage(
    study: Study, method: IntervalMethod, *, level: float = 0.9
) -> list[Coverage]:
    """Return coverage and width of a method's intervals for all targets and cutoffs."""
    rows = []
    for analysis in study.plan.analyses:
        case = study.case(analysis)
        for split in three_splits(case):
            rows.append(_row(case, split, method, level))
    return rows


class SharedScale:
    """The scale of conformal intervals that all targets of the study teach, up to a cutoff."""

    def __init__(self, study: Study) -> None:
        self.cases = [study.case(analysis) for analysis in study.plan.analyses]
        self._learned: dict[tuple[str, bytes], tuple[Floats, Floats]] = {}

    def of(self, case: Case, split: Split) -> float:
        """Return the scale for a split of a case, from every target's models at or below it.

        Raises
        ------
        DegenerateError
            No target has a law of so few models.

        """
        groups = []
        for other in self.cases:
            train = _at_or_below(case, split, other)
            key = (other.analysis.key, train.tobytes())
            if key not in self._learned:
                self._learned[key] = _relative_errors(other, train)
            groups.append(self._learned[key])
        try:
            return scale_of(*(np.concatenate(part) for part in zip(*groups, strict=True)))
        except DegenerateError:
            raise DegenerateError(
                f"{case.analysis.label}, {split.rule}: no target teaches a scale of intervals, as "
                "none has a law of the models up to this cutoff"
            ) from None


def conformal_coverage(study: Study, *, level: float = 0.9) -> list[Coverage]:
    """Return coverage and width of conformal intervals whose scale all targets share.

    The scale of each cutoff is learned from every target's models at or below it.
    """
    shared = SharedScale(study)
    return [
        _row(case, split, Conformal(scale=shared.of(case, split)), level)
        for case in shared.cases
        for split in three_splits(case)
    ]


def _at_or_below(case: Case, split: Split, other: Case) -> NDArray[np.bool_]:
    """Return which models of another case a split of this one may be calibrated on."""
    train = np.zeros(len(case.truth), bool) if split.train is None else split.train
    limit = case.facts["training_flops"][train].max()
    tested = case.truth.index[~train]
    flops: pd.Series = other.facts["training_flops"]
    return np.asarray((flops <= limit) & ~flops.index.isin(tested))


def _relative_errors(case: Case, train: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return what a target tells of the scale; nothing where it has no law or is refused."""
    problem = case.problem.select(train)
    try:
        return relative_errors(fit_once(problem.training(problem.settings(3))))
    except (DegenerateError, NotConvergedError, TooFewModelsError):
        return np.empty(0), np.empty(0)


def _row(case: Case, split: Split, method: IntervalMethod, level: float) -> Coverage:
    train = np.zeros(len(case.truth), bool) if split.train is None else split.train
    sides = int(train.sum()), int((~train).sum())
    try:
        result = backtest(case.problem, split, level=level, method=method)
    except FitError as error:
        return Coverage(case.analysis.label, split.rule, *sides, failure=str(error))
    return Coverage(
        case.analysis.label, split.rule, *sides, result.coverage, result.width, result.mse_test
    )

"""How well a law predicts models it has not seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capspace.fit._refit import Fitted, LawSettings, Training, fit_once, predict_with
from capspace.fit.errors import DegenerateError, FitError, TooFewModelsError, UnknownNameError
from capspace.fit.intervals import IntervalMethod, TwoView
from capspace.fit.law import Form, LinkName, ScalingLaw
from capspace.fit.splits import Split, by_rank

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

BASELINES = ("flops", "size", "benchmarks", "all-benchmarks")
"""Predictors a law is compared with; "benchmarks" is each benchmark alone."""

_FACT_OF = {"flops": "training_flops", "size": "parameters"}


@dataclass(frozen=True)
class Problem:
    """A target to predict from benchmark scores.

    Attributes
    ----------
    name : str
    scores : (n × p) DataFrame
        Fractions, NaN where not measured.
    truth : (n,) Series
        Target scores, fractions of the perfect score.
    facts : (n × ...) DataFrame
        family, parameters, training_flops, release_date.
    chance : float
        Target score of guessing, the law's floor; errors are in units of 1 − chance.
    benchmark_chance : (p,) array
    ceiling : float
        Best possible target score.
    link : str
    lowest : float
        The lowest score that is no mistake.
    notes : tuple of str
        What was left out in making it, and why.

    """

    name: str
    scores: pd.DataFrame
    truth: pd.Series
    facts: pd.DataFrame
    benchmark_chance: Array
    chance: float = 0.0
    ceiling: float = 1.0
    link: LinkName = "sigmoid"
    lowest: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def families(self) -> NDArray[np.str_]:
        """Family of each model; one without a known family is its own."""
        family = self.facts["family"].replace("", None)
        return family.where(family.notna(), family.index.to_series()).to_numpy(dtype=str)

    def select(self, keep: NDArray[np.bool_]) -> Problem:
        """Return the models of ``keep`` (n,) only."""
        return Problem(
            self.name,
            self.scores[keep],
            self.truth[keep],
            self.facts[keep],
            self.benchmark_chance,
            self.chance,
            self.ceiling,
            self.link,
            self.lowest,
            self.notes,
        )

    def training(self, settings: LawSettings) -> Training:
        """Return what a law is fitted on."""
        return Training(
            scores=self.scores.to_numpy(dtype=float),
            target=self.truth.to_numpy(dtype=float),
            families=self.families,
            chance=self.benchmark_chance,
            benchmarks=tuple(map(str, self.scores.columns)),
            settings=settings,
        )


def make_problem(
    scores: pd.DataFrame,
    truth: pd.Series,
    facts: pd.DataFrame,
    *,
    name: str,
    drop: Collection[str] = (),
    chance: float = 0.0,
    ceiling: float = 1.0,
    link: LinkName = "sigmoid",
    lowest: float = 0.0,
    benchmark_chance: Mapping[str, float] | None = None,
) -> Problem:
    """Join scores, a target and facts by model, and check that a law can be fitted.

    Parameters
    ----------
    scores : (n × p) DataFrame
        Benchmark scores by model.
    truth : Series
        Target scores by model, fractions of the perfect score.
    facts : DataFrame
        By model, as in ``ScoreTable.models``.
    name : str
        Of the target; a column of this name is dropped from the space.
    drop : collection of str
        Benchmarks left out of the space.
    chance, ceiling : float
        Target score of guessing, and the best possible.
    link : str
        Form of the law.
    lowest : float
        The lowest score that is no mistake; below 0 for scores already corrected for chance.
    benchmark_chance : mapping
        Score of guessing of each benchmark; 0 where not given.

    Raises
    ------
    UnknownNameError
        A benchmark to drop is not there.
    DegenerateError
        No model joins, or the target does not vary, or lies at floor or ceiling throughout.
    FitError
        A target score is outside [0, 1].

    """
    notes = []
    for benchmark in drop:
        if benchmark not in scores.columns:
            raise UnknownNameError(
                f"{benchmark!r} is to be dropped but is no benchmark; there are "
                f"{', '.join(map(str, scores.columns))}"
            )
    columns = [c for c in scores.columns if c not in set(drop)]
    if name in columns:
        columns.remove(name)
        notes.append(f"{name} is the target and was dropped from the space")
    blank = [c for c in columns if scores[c].isna().all()]
    if blank:
        raise DegenerateError(
            f"benchmark {blank[0]} is missing for every model; drop it from the space"
        )
    known = truth.dropna()
    joined = [m for m in scores.index if m in known.index]
    if not joined:
        raise DegenerateError(
            f"no model of the target {name} is among the models with scores "
            f"(as in {_some(known.index)} against {_some(scores.index)})"
        )
    left = [str(m) for m in known.index if m not in scores.index]
    if left:
        notes.append(f"{len(left)} models have the target but no scores: {', '.join(left)}")
    x = scores.loc[joined, columns]
    empty = x.isna().all(axis=1)
    if empty.any():
        notes.append(f"left out for want of any benchmark: {', '.join(map(str, x.index[empty]))}")
    x = x[~empty]
    y = known.loc[x.index].astype(float)
    _check_range(y, name, lowest)
    _check_target(y, name, chance, ceiling)
    levels = benchmark_chance or {}
    return Problem(
        name,
        x,
        y,
        facts.reindex(x.index),
        np.array([levels.get(str(c), 0.0) for c in columns]),
        chance,
        ceiling,
        link,
        lowest,
        tuple(notes),
    )


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

    """

    name: str
    n_train: int
    n_test: int
    mse_train: float
    mse_test: float
    mae_test: float
    law_mse_test: float
    without: tuple[str, ...]


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
        See ``capspace.fit.splits``.
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
    form = Form(problem.link, problem.chance, problem.ceiling)
    settings = LawSettings(n_components=n_components, form=form, delta=delta)
    everyone = problem.training(settings)
    train = np.ones(len(problem.truth), dtype=bool) if split.train is None else split.train
    training = everyone.part(train)
    _check_target(problem.truth[train], problem.name, problem.chance, problem.ceiling)
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
    levels = form.levels(fitted.theta[None, n_components + 1 :])[:, 0]
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
            _baseline(problem, name, split, fitted, prediction, delta)
            for name in _expand(baselines, everyone.benchmarks)
        ),
        notes=tuple(notes),
        fitted=fitted,
    )


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
    settings = LawSettings(
        n_components=n_components,
        form=Form(problem.link, problem.chance, problem.ceiling),
        delta=delta,
    )
    everyone = problem.training(settings)
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
    area = abs(float(np.trapezoid(mse[known], shares[known])))
    return ErrorCurve(shares, mse, area, failures)


def _expand(baselines: Collection[str], benchmarks: Sequence[str]) -> list[str]:
    out: list[str] = []
    for name in baselines:
        out.extend(benchmarks if name == "benchmarks" else [name])
    return out


def _baseline(
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


def _check_range(y: pd.Series, name: str, lowest: float) -> None:
    outside = y[~((y >= lowest) & (y <= 1))]
    if len(outside):
        percent = y.min() >= lowest and y.max() <= 100
        hint = "these look like percentages: divide by 100" if percent else "give fractions"
        raise FitError(
            f"{outside.index[0]}: {name} is {outside.iloc[0]:g}, outside [{lowest:g}, 1]; {hint}"
        )


def _check_target(y: pd.Series, name: str, chance: float, ceiling: float) -> None:
    if np.ptp(y.to_numpy()) <= 1e-12:
        where = (
            "at the floor"
            if y.iloc[0] <= chance
            else "at the ceiling"
            if y.iloc[0] >= ceiling
            else "constant"
        )
        raise DegenerateError(
            f"{name} is {where} ({y.iloc[0]:g}) for all {len(y)} models to fit on; a law needs "
            "scores that vary"
        )
    if (y <= chance).all():
        raise DegenerateError(
            f"{name} is at or below chance ({chance:g}) for all {len(y)} models to fit on; there "
            "is nothing to fit"
        )
    if (y >= ceiling).all():
        raise DegenerateError(
            f"{name} is at its ceiling ({ceiling:g}) for all {len(y)} models to fit on; there is "
            "nothing to fit"
        )


def _rank_correlation(truth: Array, prediction: Array) -> float:
    if len(truth) < 3 or np.ptp(truth) == 0 or np.ptp(prediction) == 0:
        return float("nan")
    one, other = (pd.Series(v).rank().to_numpy(dtype=float) for v in (truth, prediction))
    return float(np.corrcoef(one, other)[0, 1])


def _some(names: pd.Index) -> str:
    return ", ".join(map(str, names[:2]))


def _safe(value: Any) -> Any:
    if isinstance(value, str | bool | int | None):
        return value
    number = float(value)
    return number if np.isfinite(number) else None

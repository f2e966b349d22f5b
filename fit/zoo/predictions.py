"""Predict the scores of a zoo's models by laws that were fitted without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import FitError, TableError
from ..law._form import Form
from ..law._law import ScalingLaw
from ..law._refit import LawSettings, Training, fit_once
from ..law.intervals import TwoView
from ..table._table import ScoreTable
from ..table.columns import same_as_target
from ..table.names import spelled_twice

__all__ = ["ZooPrediction", "predict_held_out", "predict_targets", "training_runs"]


@dataclass(frozen=True)
class ZooPrediction:
    """A score of a model, predicted by a law fitted to other models, and what was measured.

    Attributes
    ----------
    model, benchmark : str
    measured : float
        NaN where it was not measured.
    mean, lower, upper : float
        Predicted from the model's other scores.
    compute_only : float
        Predicted from its training compute alone, by its own family; NaN where that is unknown.

    See Also
    --------
    ZooFit : Has them of its largest models.
    fit_zoo : Makes them.

    """

    model: str
    benchmark: str
    measured: float
    mean: float
    lower: float
    upper: float
    compute_only: float

    @property
    def is_inside(self) -> bool:
        """Whether the measured score lies within the interval."""
        return self.lower <= self.measured <= self.upper

    def __repr__(self) -> str:
        measured = "" if np.isnan(self.measured) else f", measured {self.measured:.3f}"
        return (
            f"ZooPrediction({self.model}, {self.benchmark}: {self.mean:.3f} "
            f"[{self.lower:.3f}, {self.upper:.3f}]{measured})"
        )


def training_runs(facts: pd.DataFrame) -> NDArray[np.str_]:
    """Return each model's training run (n,): family and size, or its own name if unknown."""
    named = [
        f"{family} {size:.4g}" if family and not np.isnan(size) else str(model)
        for model, family, size in zip(
            facts.index, facts["family"], facts["parameters"].astype(float), strict=True
        )
    ]
    return np.array(named)


def predict_held_out(
    scores: pd.DataFrame,
    facts: pd.DataFrame,
    held_out: tuple[str, ...],
    benchmark: str,
    chance: Mapping[str, float],
    level: float,
    n_components: int,
) -> list[ZooPrediction]:
    """Predict a benchmark of the held-out models by a law of the smaller models.

    The law predicts it from the scores of the other benchmarks.

    Parameters
    ----------
    scores : (n × m) DataFrame
        Scores, NaN where not measured.
    facts : DataFrame
        Facts of the same models.
    held_out : tuple of str
        Models whose scores of the benchmark no law sees.
    benchmark : str
        What is predicted.
    chance : mapping
        Score of guessing per benchmark.
    level : float
        Nominal coverage of the intervals.
    n_components : int
        Coordinates of the space.

    Raises
    ------
    FitError
        As the fits that it makes.

    """
    others = scores.drop(columns=benchmark)
    small = ~scores.index.isin(held_out) & scores[benchmark].notna() & others.notna().any(axis=1)
    new = others[scores.index.isin(held_out) & others.notna().any(axis=1)]
    if not len(new):
        return []
    fitted = fit_once(
        _training(
            others[small],
            scores.loc[small, benchmark],
            facts[small],
            chance,
            chance[benchmark],
            n_components,
        )
    )
    interval = TwoView().predict(fitted, new.to_numpy(dtype=float), level=level)
    truth = scores[benchmark].astype(float)
    by_compute = {
        family: _law_of_compute(scores[benchmark][small], facts[small], family, chance[benchmark])
        for family in facts.loc[new.index, "family"].unique()
    }
    return [
        ZooPrediction(
            model=str(model),
            benchmark=benchmark,
            measured=float(truth.loc[model]),
            mean=float(interval.mean[i]),
            lower=float(interval.lower[i]),
            upper=float(interval.upper[i]),
            compute_only=_from_compute(by_compute, facts.loc[model]),
        )
        for i, model in enumerate(new.index)
    ]


def predict_targets(
    scores: pd.DataFrame,
    facts: pd.DataFrame,
    table: ScoreTable,
    chance: Mapping[str, float],
    level: float,
    n_components: int,
    notices: list[str],
) -> list[ZooPrediction]:
    """Predict targets of the user's own for the models of the zoo that have no score there.

    Parameters
    ----------
    scores, facts, chance, level, n_components
        As for ``predict_held_out``.
    table : ScoreTable
        Scores of some of the models on the targets.
    notices : list of str
        A line is appended for each target that is not predicted.

    Raises
    ------
    TableError
        No model of the table is in the zoo.

    """
    wide = table.require_fractions().wide()
    known = wide.index.intersection(scores.index)
    if not len(known):
        raise TableError(
            f"no model with a target's score ({', '.join(map(str, wide.index[:3]))}) is in the "
            "zoo; names must be those of `zoo status`"
        )
    unknown = [str(m) for m in wide.index if m not in scores.index]
    notices += [
        f"{name} of the targets is {other} of the zoo in another spelling: use one name"
        for name, other in spelled_twice(unknown, map(str, scores.index)).items()
    ]
    predictions: list[ZooPrediction] = []
    for target in wide.columns:
        truth = wide[target].reindex(scores.index)
        same = same_as_target(scores, truth, str(target))
        notices += [
            f"{column} was not used to predict {target}: {why}" for column, why in same.items()
        ]
        others = scores.drop(columns=[c for c in scores.columns if c == target or str(c) in same])
        has = truth.notna()
        try:
            fitted = fit_once(
                _training(others[has], truth[has], facts[has], chance, 0.0, n_components)
            )
            new = others[~has]
            if not len(new):
                notices.append(f"{target}: every model of the zoo has a score")
                continue
            interval = TwoView().predict(fitted, new.to_numpy(dtype=float), level=level)
        except FitError as error:
            notices.append(f"{target}: not predicted: {error}")
            continue
        predictions += [
            ZooPrediction(
                str(model),
                str(target),
                float("nan"),
                float(interval.mean[i]),
                float(interval.lower[i]),
                float(interval.upper[i]),
                float("nan"),
            )
            for i, model in enumerate(new.index)
        ]
    return predictions


def _training(
    scores: pd.DataFrame,
    target: pd.Series,
    facts: pd.DataFrame,
    chance: Mapping[str, float],
    floor: float,
    n_components: int,
) -> Training:
    benchmarks = tuple(map(str, scores.columns))
    return Training(
        scores=scores.to_numpy(dtype=float),
        target=target.to_numpy(dtype=float),
        families=training_runs(facts),
        chance=np.array([chance[b] for b in benchmarks]),
        benchmarks=benchmarks,
        settings=LawSettings(n_components=n_components, form=Form("sigmoid", floor, 1.0)),
    )


def _law_of_compute(
    truth: pd.Series, facts: pd.DataFrame, family: str, floor: float
) -> ScalingLaw | None:
    """Return a sigmoid in log10 FLOPs of one family's models, None where there is no fit."""
    own = (facts["family"] == family) & facts["training_flops"].notna()
    if own.sum() < 4:
        return None
    x = np.log10(facts.loc[own, "training_flops"].to_numpy(dtype=float))
    try:
        return ScalingLaw(floor=floor).fit(x[:, None], truth[own].to_numpy(dtype=float))
    except FitError:
        return None  # a baseline that cannot be fitted is shown as unknown


def _from_compute(laws: Mapping[str, ScalingLaw | None], model: pd.Series) -> float:
    """Return a score predicted by the law of a model's family, NaN where FLOPs or law are none."""
    law, flops = laws[model["family"]], model["training_flops"]
    if law is None or np.isnan(flops):
        return float("nan")
    return float(law.predict(np.log10([[float(flops)]]))[0])

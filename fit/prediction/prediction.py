"""Predict a target for new models, with an interval and with what it rests on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import FitError, TooFewModelsError, UnknownNameError, near_matches
from ..law._refit import Fitted, LawSettings, Training, fit_once
from ..law.intervals import IntervalMethod, TwoView
from ..law.law import Form, ScalingLaw
from ..reference import Reference, Target, target_training_table
from ..reference.overlap import find_overlap
from ..space.space import CapabilitySpace
from ..table.doubtful import rows_without_doubtful
from ._completion import complete
from .support import Support, support_of

__all__ = ["Prediction", "Support", "TargetFit", "fit_target", "predict_target"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Prediction:
    """A predicted score with its interval and what it rests on.

    Attributes
    ----------
    target, label : str
        Name of the target, and what tables call it.
    model : str
    mean, lower, upper : float
        Fractions of the perfect score; NaN where nothing can be said.
    level : float
        Nominal coverage of (lower, upper).
    support : Support
    linear_predictor : float
        Where the model lies on the law's axis, in logits.
    missing : tuple of str
        Benchmarks of the space that the model lacks; their scores were inferred from the others,
        and the interval is wider for it.
    models, families : tuple of str
        What the law was fitted on.
    method : str
        Interval method.
    notes : tuple of str
        Which models of the reference were left out of the fit because they are, or likely are,
        this model, and which of its scores were left out as doubtful, and why.

    """

    target: str
    label: str
    model: str
    mean: float
    lower: float
    upper: float
    level: float
    support: Support
    linear_predictor: float
    missing: tuple[str, ...]
    models: tuple[str, ...]
    families: tuple[str, ...]
    method: str
    notes: tuple[str, ...] = ()

    @property
    def n_models(self) -> int:
        """How many models the law was fitted on."""
        return len(self.models)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; what is unknown is null."""
        return {
            "target": self.target,
            "label": self.label,
            "model": self.model,
            "mean": _number(self.mean),
            "lower": _number(self.lower),
            "upper": _number(self.upper),
            "level": self.level,
            "support": {
                "inside": self.support.inside,
                "distance": _number(self.support.distance),
                "summary": self.support.summary,
            },
            "linear_predictor": _number(self.linear_predictor),
            "missing": list(self.missing),
            "n_models": self.n_models,
            "models": list(self.models),
            "families": list(self.families),
            "method": self.method,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class TargetFit:
    """The law of one target on the reference, ready to predict and to draw.

    Attributes
    ----------
    target : Target
    space : CapabilitySpace
        Fitted on the training models' benchmarks, the study's estimator.
    law : ScalingLaw
    scores : (n × p) DataFrame
        Training models' benchmark scores.
    truth : (n,) Series
        Their scores on the target, fractions of the perfect score.
    families : (n,) Series
    capabilities : (n, k) array
    linear_predictor : (n,) Series
        C of each training model; the curve is ``law.curve(C)``.
    fitted : Fitted
        The joint fit that interval methods refit.

    """

    target: Target
    space: CapabilitySpace
    law: ScalingLaw
    scores: pd.DataFrame
    truth: pd.Series
    families: pd.Series
    capabilities: Array
    linear_predictor: pd.Series
    fitted: Fitted

    def predict(
        self,
        scores: pd.DataFrame,
        *,
        level: float = 0.9,
        stderr: pd.DataFrame | None = None,
        method: IntervalMethod | None = None,
    ) -> list[Prediction]:
        """Predict models by their scores (models × some benchmarks); see ``predict_target``."""
        method = TwoView() if method is None else method
        benchmarks = list(self.scores.columns)
        given = scores.reindex(columns=benchmarks)
        x = given.to_numpy(dtype=float)
        placed = ~np.isnan(x).all(axis=1)
        mean, lower, upper, c = (np.full(len(x), np.nan) for _ in range(4))
        k = self.space.n_components_
        capabilities = np.full((len(x), k), np.nan)
        if placed.any():
            errors = np.zeros_like(x[placed])
            if stderr is not None:
                aligned = stderr.reindex(index=scores.index, columns=benchmarks)
                errors = np.nan_to_num(aligned.to_numpy(dtype=float)[placed])
            filled, spread = complete(self.fitted.training, x[placed], errors)
            interval = method.predict(self.fitted, filled, level=level, spread=spread)
            mean[placed], lower[placed], upper[placed] = (
                interval.mean,
                interval.lower,
                interval.upper,
            )
            capabilities[placed] = self.space.transform(pd.DataFrame(filled, columns=benchmarks))
            c[placed] = self.law.linear_predictor(capabilities[placed])
        return [
            Prediction(
                target=self.target.name,
                label=self.target.label,
                model=str(model),
                mean=float(mean[i]),
                lower=float(lower[i]),
                upper=float(upper[i]),
                level=level,
                support=support_of(capabilities[i], self.capabilities, self.scores.index),
                linear_predictor=float(c[i]),
                missing=tuple(b for b, v in zip(benchmarks, x[i], strict=True) if np.isnan(v)),
                models=tuple(map(str, self.scores.index)),
                families=tuple(map(str, dict.fromkeys(self.families))),
                method=method.name,
            )
            for i, model in enumerate(scores.index)
        ]


def fit_target(
    reference: Reference,
    target: str | Target,
    *,
    n_components: int = 3,
    exclude: Collection[str] = (),
) -> TargetFit:
    """Fit the law of a target on the reference.

    Parameters
    ----------
    reference : Reference
        Models to fit on.
    target : str or Target
        A target, or its name or label.
    n_components : int
        Coordinates of the capability space.
    exclude : collection of str
        Models to leave out.

    Raises
    ------
    UnknownNameError
        No such target.
    TooFewModelsError, DegenerateError, NotConvergedError
        The models left do not determine the law.

    """
    target = reference.target(target) if isinstance(target, str) else target
    scores, truth, families = target_training_table(reference, target, exclude=exclude)
    form = Form(target.link, target.chance, target.perfect)
    training = Training(
        scores=scores.to_numpy(dtype=float),
        target=truth.to_numpy(dtype=float),
        families=families.to_numpy(dtype=str),
        chance=reference.chance(scores.columns),
        benchmarks=tuple(scores.columns),
        settings=LawSettings(n_components=n_components, form=form),
    )
    if len(truth) < training.n_parameters:
        raise TooFewModelsError(
            f"{target.name}: {len(truth)} models in the reference for the "
            f"{training.n_parameters} parameters of its law; take a reference of more models"
        )
    fitted = fit_once(training)
    space = CapabilitySpace(n_components=n_components, estimator="pca", clip=(0.0, 1.0)).fit(scores)
    capabilities = space.transform(scores)
    law = ScalingLaw.of(fitted)
    return TargetFit(
        target=target,
        space=space,
        law=law,
        scores=scores,
        truth=truth,
        families=families,
        capabilities=capabilities,
        linear_predictor=pd.Series(law.linear_predictor(capabilities), index=scores.index),
        fitted=fitted,
    )


def predict_target(
    reference: Reference,
    target: str | Target,
    scores: pd.DataFrame,
    *,
    level: float = 0.9,
    n_components: int = 3,
    stderr: pd.DataFrame | None = None,
    method: IntervalMethod | None = None,
    keep: bool = False,
) -> list[Prediction]:
    """Predict a target for models, from their benchmark scores.

    Parameters
    ----------
    reference : Reference
        Models to fit on.
    target : str or Target
        A target, or its name or label.
    scores : (models × benchmarks) DataFrame
        Fractions, NaN where not measured; benchmarks outside the target's space are ignored.
    level : float
        Nominal coverage of the intervals.
    n_components : int
        Coordinates of the capability space.
    stderr : DataFrame like ``scores``
        Standard errors; where given, they widen the interval.
    method : IntervalMethod
        ``TwoView()`` by default.
    keep : bool
        Predict from scores far below chance, too, which otherwise count as not measured.

    Returns
    -------
    list of Prediction
        One per row, in order; all NaN for a model without any benchmark of the space.

    Raises
    ------
    UnknownNameError
        No such target, or no benchmark of its space among the columns.
    FitError
        A score outside [0, 1]; or see ``fit_target``.

    Notes
    -----
    Each model is predicted by a law fitted without the reference models that it is or likely is
    (see ``capspace.fit.reference.overlap``), so that its prediction does not depend on its company.

    """
    target = reference.target(target) if isinstance(target, str) else target
    benchmarks = reference.space_benchmarks(target)
    if not set(benchmarks) & set(scores.columns):
        first = str(scores.columns[0]) if len(scores.columns) else ""
        raise UnknownNameError(
            f"{target.name}: none of its benchmarks ({', '.join(benchmarks)}) is among the columns"
            f"{near_matches(first, benchmarks)}"
        )
    known = scores[[b for b in benchmarks if b in scores.columns]]
    rows, columns = np.nonzero(((known < 0) | (known > 1) | np.isinf(known)).to_numpy())
    if len(rows):
        value = known.iloc[rows[0], columns[0]]
        raise FitError(
            f"{known.index[rows[0]]!s}: {known.columns[columns[0]]!s} is {value!s}, "
            "outside [0, 1]; give fractions"
        )
    chance = {b: reference.chance_levels.get(b, 0.0) for b in known.columns}
    scores, doubts = (scores, [()] * len(scores)) if keep else rows_without_doubtful(scores, chance)
    fitted_on = target_training_table(reference, target)[0].index
    published = reference.scores()
    overlaps = [find_overlap(str(model), row, published) for model, row in scores.iterrows()]
    groups: dict[frozenset[str], list[int]] = {}
    for i, overlap in enumerate(overlaps):
        groups.setdefault(frozenset(fitted_on).intersection(overlap.reasons), []).append(i)
    predictions: dict[int, Prediction] = {}
    for exclude, members in groups.items():
        fit = fit_target(reference, target, n_components=n_components, exclude=exclude)
        errors = None if stderr is None else stderr.reindex(index=scores.index).iloc[members]
        found = fit.predict(scores.iloc[members], level=level, stderr=errors, method=method)
        for i, prediction in zip(members, found, strict=True):
            lines = (*doubts[i], overlaps[i].note(exclude))
            predictions[i] = replace(prediction, notes=tuple(line for line in lines if line))
    return [predictions[i] for i in range(len(scores))]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

"""How well study-2024 predicts its targets: families left out, and models of more compute.

The other references' rule is used as it is, with two words changed, as models of this study state
training compute and no date: a model's family is left out instead of its provider, and "forward" is
from models of little compute to those of more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capspace.fit.completion._evaluate import judge_target
from capspace.fit.errors import DegenerateError, TooFewModelsError
from capspace.fit.law._refit import Fitted, Training, fit_once, predict_with
from capspace.fit.law.conformal import Conformal, conformal_scale
from capspace.fit.prediction import TargetLaw
from capspace.fit.reference import Reference

Floats = NDArray[np.float64]

CUTS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of all models, in order of training compute, that a forward test is fitted on."""
_LEVEL = 0.9


def evaluated(reference: Reference) -> pd.DataFrame:
    """Return a row per target, with the fields of ``Evaluation``."""
    laws = {name: TargetLaw(name).fit(reference).fitted_ for name in reference.targets}
    covered = _forward(laws)
    scale = None if reference.about is None else reference.about.interval_scale
    rows = []
    for name, fitted in laws.items():
        row: dict[str, Any] = {"target": name, **_families_out(fitted, scale)}
        inside = np.concatenate(covered[name]) if covered[name] else np.empty(0)
        row["forward_coverage"] = float(inside.mean()) if len(inside) else float("nan")
        row["status"], row["reason"] = judge_target(row)
        rows.append(row | {"k": scale, "date": reference.date})
    return pd.DataFrame(rows).rename(columns={"forward_coverage": "coverage"})


def _families_out(fitted: Fitted, scale: float | None) -> dict[str, Any]:
    """Return the errors of the law and of the best baseline, each model's family left out."""
    training = fitted.training
    try:
        predicted = Conformal(scale=scale).leave_family_out(fitted, level=_LEVEL).mean
    except DegenerateError:  # no interval can hold, but the law's own errors can be stated
        predicted = _refitted(training)
    naive = {"mean": _means(training), "compute trend": _trend(training)}
    known = ~np.isnan(predicted)
    truth = training.target
    errors = {name: float(np.abs(p - truth)[known].mean()) for name, p in naive.items()}
    best = min(errors, key=errors.__getitem__)
    mae = float(np.abs(predicted - truth)[known].mean())
    return {
        "n": int(known.sum()),
        "mae": mae,
        "baseline": best,
        "baseline_mae": errors[best],
        "ratio": mae / errors[best],
    }


def _forward(laws: dict[str, Fitted]) -> dict[str, list[NDArray[np.bool_]]]:
    """Return whether models of more compute than a cut lie in the intervals, by target."""
    every = np.concatenate([_order(fitted.training) for fitted in laws.values()])
    covered: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in laws}
    for cut in np.nanquantile(every, CUTS):
        earlier = {name: _fitted_below(fitted.training, cut) for name, fitted in laws.items()}
        known = {name: fitted for name, fitted in earlier.items() if fitted is not None}
        method = Conformal(scale=conformal_scale(known.values()))
        for name, fitted in known.items():
            training = laws[name].training
            later = _order(training) > cut
            if not later.any():
                continue
            try:
                interval = method.predict(fitted, training.scores[later], level=_LEVEL)
            except DegenerateError:
                continue
            truth = training.target[later]
            covered[name].append((interval.lower <= truth) & (truth <= interval.upper))
    return covered


def _fitted_below(training: Training, cut: float) -> Fitted | None:
    """Return the law of the models up to a cut; None where no family could be left out of it."""
    part = training.part(_order(training) <= cut)
    counts = np.unique(part.families, return_counts=True)[1]
    if len(counts) < 2 or len(part.target) - counts.max() < part.n_parameters:
        return None
    try:
        return fit_once(part)
    except (DegenerateError, TooFewModelsError):
        return None


def _order(training: Training) -> Floats:
    return np.full(len(training.target), np.nan) if training.order is None else training.order


def _refitted(training: Training) -> Floats:
    predicted = np.full(len(training.target), np.nan)
    for own in _families(training):
        predicted[own] = predict_with(fit_once(training.part(~own)), training.scores[own])
    return predicted


def _means(training: Training) -> Floats:
    predicted = np.empty(len(training.target))
    for own in _families(training):
        predicted[own] = training.target[~own].mean()
    return predicted


def _trend(training: Training) -> Floats:
    """Return the line over log compute of other families; their mean where compute is unknown."""
    predicted, order = _means(training), np.log(_order(training))
    known = ~np.isnan(order)
    for own in _families(training):
        others = known & ~own
        if others.sum() > 2:
            slope, intercept = np.polyfit(order[others], training.target[others], 1)
            line = np.clip(intercept + slope * order[own & known], 0, 1)
            predicted[own & known] = line
    return predicted


def _families(training: Training) -> Iterable[NDArray[np.bool_]]:
    return (training.families == name for name in np.unique(training.families))

"""Compare one analysis with the study's: errors, equivalent compute, and weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit

from ...law.efficiency import fit_family_law
from ...law.equivalent import equivalent_scale
from .compare import Comparison, compare_fit, lookup
from .data import Analysis, Case
from .run import CaseFit
from .space import THEIR_NAMES

__all__ = ["compare_analysis"]

Numbers = Mapping[str, Any]

_FLAT = "along a flat direction: the errors agree, and the training error here is the lower"


def compare_analysis(
    case: Case, fits: Mapping[str, CaseFit], published: Numbers
) -> list[Comparison]:
    """Compare the law in every predictor, and where the errors agree all that is read off it."""
    theirs = _published(case.analysis, published)
    if theirs is None:
        return []
    weights = _weights(case.analysis, published) or {}
    out = []
    for name, fit in fits.items():
        numbers = _predictor(theirs, name)
        errors = compare_fit(case.analysis.label, fit, numbers)
        out += errors
        if numbers is None or not name.startswith("PC-") or errors[0].verdict != "same":
            continue
        if "equiv" in numbers:
            out.append(_compare_equivalent(case, fit, numbers))
        if name in weights:
            out += _compare_weights(case, fit, numbers, weights[name])
    return out


def _compare_equivalent(case: Case, fit: CaseFit, numbers: Numbers) -> Comparison:
    """Compare equivalent FLOPs by the model whose two figures are farthest apart.

    Predictions of the study are rounded to eight digits, so that models near the floor, whose
    linear predictor cannot be told back from them, are left out.
    """
    family = case.analysis.reference_family
    own = (case.facts["family"] == family).to_numpy()
    law = fit_family_law(
        fit.linear_predictor[own], case.facts.loc[own, "training_flops"], family=family
    )
    height, floor = numbers.get("nonlinear_params_a_b") or [1.0, 0.0]
    fitted = pd.Series({p["model"]: p["yhat"] for p in numbers.get("predictions", [])}, dtype=float)
    share = (fitted - floor) / height
    share = share[(share > 1e-4) & (share < 1 - 1e-4)]
    c = pd.Series(logit(share)) if len(share) else fit.linear_predictor
    flops = 10 ** ((c - numbers["equiv"]["b"]) / numbers["equiv"]["w"]) * 1e21
    ratio = equivalent_scale(fit.linear_predictor[c.index], law).scale / flops.to_numpy()
    worst = float(ratio[np.argmax(np.abs(np.log(ratio)))])
    return _read_off(case, fit, numbers, "equivalent FLOPs, ours to theirs", worst, 1.0, room=0.01)


def _compare_weights(
    case: Case, fit: CaseFit, numbers: Numbers, weights: Numbers
) -> list[Comparison]:
    """Compare the weights of the benchmarks, to 1% of the largest."""
    ours = fit.coef @ case.space.components[0, : len(fit.coef)]
    names = [str(name) for name in case.scores.columns]
    theirs = [float(weights.get(n, weights.get(THEIR_NAMES.get(n, "")))) for n in names]
    room = 0.01 * max(abs(w) for w in theirs)
    return [
        _read_off(case, fit, numbers, f"weight of {n}", float(w), their, room=room)
        for n, w, their in zip(names, ours, theirs, strict=True)
    ]


def _read_off(
    case: Case,
    fit: CaseFit,
    numbers: Numbers,
    quantity: str,
    ours: float,
    published: float,
    *,
    room: float,
) -> Comparison:
    """Compare a number read off a law whose errors agree with the study's."""
    label, name = case.analysis.label, fit.predictor
    if abs(ours - published) <= room:
        return Comparison(label, name, quantity, ours, published, "same")
    if fit.mse_train < numbers["mse_train"]:
        return Comparison(label, name, quantity, ours, published, "better", _FLAT)
    return Comparison(label, name, quantity, ours, published, "differs")


def _published(analysis: Analysis, published: Numbers) -> Numbers | None:
    if analysis.group == "emergent":
        return _mapping(lookup(published, "emergent", "tasks", analysis.column))
    if analysis.group == "agentic":
        numbers = lookup(published, "agentic", analysis.label)
        return None if numbers is None else _mapping(next(iter(numbers.values())))
    key = "gsm8k" if analysis.column.startswith("gsm8k") else "bbh_overall"
    return _mapping(lookup(published, "post_training", key, analysis.column))


def _weights(analysis: Analysis, published: Numbers) -> Numbers | None:
    if analysis.group == "agentic":
        return _mapping(lookup(published, "agentic", f"{analysis.label}_weights"))
    key = "gsm8k_weights" if analysis.column.startswith("gsm8k") else "bbh_overall_weights"
    return _mapping(lookup(published, "post_training", key, analysis.column))


def _predictor(theirs: Numbers, name: str) -> Numbers | None:
    if name == "all benchmarks":
        return _mapping(theirs.get("all_benchmarks_EXTRA"))
    single = _mapping(theirs.get("single_benchmarks_EXTRA")) or {}
    return _mapping(theirs.get(name) or single.get(name) or single.get(THEIR_NAMES.get(name, "")))


def _mapping(numbers: Any) -> Numbers | None:
    return numbers if isinstance(numbers, Mapping) else None

"""Measure test errors of laws as more and more of the strongest models are held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from .compare import Comparison, Verdict, lookup
from .data import Analysis, Study, top_out
from .run import fit_case, single_start

__all__ = ["PREDICTORS", "Reach", "compare_reach", "error_by_reach"]

Floats = NDArray[np.float64]

PREDICTORS = ("Model Size", "Training FLOPs", "PC-1", "PC-1..2", "PC-1..3", "PC-1..4")
SHARES = np.linspace(0.6, 0.05, 30)
_AREA_TOLERANCE = 0.01


@dataclass(frozen=True)
class Reach:
    """Test error of one predictor as the share of held-out models falls.

    Attributes
    ----------
    predictor : str
    share : (m,) array
        Of models held out, best first.
    mse_train, mse_test : (m,) arrays
        NaN where the law could not be fitted.
    area : float
        Trapezoidal integral of the test error over the share; NaN where fewer than two are known.

    """

    predictor: str
    share: Floats
    mse_train: Floats
    mse_test: Floats
    area: float


def error_by_reach(
    study: Study, analysis: Analysis, names: Sequence[str] = PREDICTORS
) -> list[Reach]:
    """Return error curves of an analysis, one per predictor.

    References
    ----------
    Ruan et al. 2024, arXiv 2405.10938, appendix on the choice of the cutoff.

    """
    case = study.case(analysis)
    splits = [case.with_train(top_out(case.truth, share)) for share in SHARES]
    out = []
    for name in names:
        fits = [fit_case(split, name, n_starts=40) for split in splits]
        train, test = (np.array([getattr(f, q) for f in fits]) for q in ("mse_train", "mse_test"))
        known = ~np.isnan(test)
        area = abs(float(trapezoid(test[known], SHARES[known]))) if known.sum() > 1 else np.nan
        out.append(Reach(name, SHARES, train, test, float(area)))
    return out


def compare_reach(
    study: Study, analysis: Analysis, curves: Sequence[Reach], published: Mapping[str, Any]
) -> list[Comparison]:
    """Compare the areas; where they differ, tell whether the study's fits were the optimum.

    At every cutoff where the test error is another than the study's, its single start is repeated:
    the area counts as better if at none of them that start reached a lower training error.
    """
    section = "aue_emergent" if analysis.group == "emergent" else "aue_post_training"
    case = study.case(analysis)
    out = []
    for curve in curves:
        theirs = lookup(published, section, "tasks", analysis.column, curve.predictor)
        if theirs is None:
            continue
        area, values = float(theirs["aue"]), np.array(theirs["mse_curve"], dtype=float)
        verdict: Verdict = "same"
        note = ""
        if abs(curve.area - area) > _AREA_TOLERANCE * area:
            apart = np.flatnonzero(
                ~(np.abs(curve.mse_test - values) <= np.maximum(0.01 * values, 1e-5))
            )
            reached = [
                single_start(case.with_train(top_out(case.truth, SHARES[i])), curve.predictor)[0]
                for i in apart
            ]
            lower = np.array(reached) < curve.mse_train[apart] * (1 - 1e-6)
            verdict = "differs" if lower.any() else "better"
            note = (
                f"the test error differs at {len(apart)} of {len(values)} cutoffs; the study's "
                f"single start, repeated there, reaches a lower training error at {lower.sum()}"
            )
        out.append(
            Comparison(
                f"error by reach, {analysis.label}",
                curve.predictor,
                "area",
                curve.area,
                area,
                verdict,
                note,
            )
        )
    return out

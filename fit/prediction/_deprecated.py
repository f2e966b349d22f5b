"""The former names of ``TargetLaw`` warn and still work."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any

import pandas as pd

from ..law.intervals import IntervalMethod
from ..reference import Reference, Target
from ._prediction import Prediction
from ._target_law import TargetLaw

__all__ = ["TargetFit", "fit_target", "predict_target"]


class TargetFit(TargetLaw):
    """A fitted ``TargetLaw`` whose attributes can be read under their former names."""

    def __getattr__(self, name: str) -> Any:
        learned = f"{name}_"
        if name.endswith("_") or learned not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        _warn(f"the attribute {name}", learned)
        return self.__dict__[learned]

    def predict(  # type: ignore[override] # the former method returned a list
        self,
        scores: pd.DataFrame,
        *,
        level: float = 0.9,
        stderr: pd.DataFrame | None = None,
        keep: bool = True,
        method: IntervalMethod | None = None,
    ) -> list[Prediction]:
        """Predict models as the former method did: from all scores, those below chance too.

        ``method`` is now a parameter of the estimator; here it counts for this call alone.
        """
        law = TargetLaw.__new__(TargetLaw)
        law.__dict__.update(self.__dict__)
        if method is not None:
            _warn("predict(..., method=...)", "TargetLaw(target, method=...)")
            law.method = method
        return list(law.predict(scores, level=level, stderr=stderr, keep=keep))


def fit_target(
    reference: Reference,
    target: str | Target,
    *,
    n_components: int = 3,
    exclude: Collection[str] = (),
) -> TargetFit:
    """Fit the law of a target: the former name of ``TargetLaw(target).fit(reference)``."""
    _warn("fit_target(reference, target)", "TargetLaw(target).fit(reference)")
    known = reference.target(target) if isinstance(target, str) else target
    return TargetFit(known, n_components=n_components).fit(reference, exclude=exclude)


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
    """Predict a target: the former name of ``TargetLaw(target).fit(reference).predict(scores)``."""
    _warn(
        "predict_target(reference, target, scores)",
        "TargetLaw(target).fit(reference).predict(scores)",
    )
    law = TargetLaw(target, n_components=n_components, method=method).fit(reference)
    return list(law.predict(scores, level=level, stderr=stderr, keep=keep))


def _warn(former: str, now: str) -> None:
    warnings.warn(f"{former} is now {now}", DeprecationWarning, stacklevel=3)

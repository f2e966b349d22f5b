"""Numbers only: score table, capability space, scaling laws, intervals, figures, report."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capspace.fit.intervals import JackknifePlus, TwoView
    from capspace.fit.law import ScalingLaw
    from capspace.fit.prediction import Prediction, TargetFit, fit_target, predict_target
    from capspace.fit.read import read_table
    from capspace.fit.reference import Reference, load_reference
    from capspace.fit.space import CapabilitySpace, Place
    from capspace.fit.table import ScoreTable

__all__ = [
    "CapabilitySpace",
    "JackknifePlus",
    "Place",
    "Prediction",
    "Reference",
    "ScalingLaw",
    "ScoreTable",
    "TargetFit",
    "TwoView",
    "fit_target",
    "load_reference",
    "predict_target",
    "read_table",
]

# Imported on first use: scikit-learn and scipy take a second, and every command passes here.
_HOME = {
    "CapabilitySpace": "space",
    "JackknifePlus": "intervals",
    "Place": "space",
    "Prediction": "prediction",
    "Reference": "reference",
    "ScalingLaw": "law",
    "ScoreTable": "table",
    "TargetFit": "prediction",
    "TwoView": "intervals",
    "fit_target": "prediction",
    "load_reference": "reference",
    "predict_target": "prediction",
    "read_table": "read",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

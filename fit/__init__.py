"""Numbers only: score table, capability space, scaling laws, intervals, figures, report.

Names are loaded when they are first used, so that a light command stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capspace.fit._backtest import Backtest, backtest, make_problem
    from capspace.fit.intervals import JackknifePlus, TwoView
    from capspace.fit.law import ScalingLaw
    from capspace.fit.placement import Placement, place_model
    from capspace.fit.prediction import Prediction, TargetFit, fit_target, predict_target
    from capspace.fit.read import read_table
    from capspace.fit.reference import Reference, load_reference
    from capspace.fit.report import write_report
    from capspace.fit.space import CapabilitySpace, Place
    from capspace.fit.table import ScoreTable

__all__ = [
    "Backtest",
    "CapabilitySpace",
    "JackknifePlus",
    "Place",
    "Placement",
    "Prediction",
    "Reference",
    "ScalingLaw",
    "ScoreTable",
    "TargetFit",
    "TwoView",
    "backtest",
    "fit_target",
    "load_reference",
    "make_problem",
    "place_model",
    "predict_target",
    "read_table",
    "write_report",
]

_MODULES = {
    "Backtest": "_backtest",
    "CapabilitySpace": "space",
    "JackknifePlus": "intervals",
    "Place": "space",
    "Placement": "placement",
    "Prediction": "prediction",
    "Reference": "reference",
    "ScalingLaw": "law",
    "ScoreTable": "table",
    "TargetFit": "prediction",
    "TwoView": "intervals",
    "backtest": "_backtest",
    "fit_target": "prediction",
    "load_reference": "reference",
    "make_problem": "_backtest",
    "place_model": "placement",
    "predict_target": "prediction",
    "read_table": "read",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)

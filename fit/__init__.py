"""Numbers only: score table, capability space, scaling laws, intervals, figures, report.

Names are loaded when they are first used, so that a light command stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if __name__ != "capspace.fit":
    raise ImportError(
        f"this package is capspace.fit, not {__name__}: install it (pip install -e .)"
    )

if TYPE_CHECKING:
    from .analyses._backtest import Backtest, backtest, make_problem
    from .law.intervals import JackknifePlus, TwoView
    from .law.law import ScalingLaw
    from .prediction.placement import Placement, place_model
    from .prediction.prediction import Prediction, TargetFit, fit_target, predict_target
    from .reference import Reference, load_reference
    from .report import write_report
    from .space.space import CapabilitySpace, Place
    from .table.readers import read_table
    from .table.table import ScoreTable

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
    "Backtest": "analyses._backtest",
    "CapabilitySpace": "space.space",
    "JackknifePlus": "law.intervals",
    "Place": "space.space",
    "Placement": "prediction.placement",
    "Prediction": "prediction.prediction",
    "Reference": "reference",
    "ScalingLaw": "law.law",
    "ScoreTable": "table.table",
    "TargetFit": "prediction.prediction",
    "TwoView": "law.intervals",
    "backtest": "analyses._backtest",
    "fit_target": "prediction.prediction",
    "load_reference": "reference",
    "make_problem": "analyses._backtest",
    "place_model": "prediction.placement",
    "predict_target": "prediction.prediction",
    "read_table": "table.readers",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)

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
    from ._backtest import Backtest, backtest, make_problem
    from .intervals import JackknifePlus, TwoView
    from .law import ScalingLaw
    from .placement import Placement, place_model
    from .prediction import Prediction, TargetFit, fit_target, predict_target
    from .read import read_table
    from .reference import Reference, load_reference
    from .report import write_report
    from .space import CapabilitySpace, Place
    from .table import ScoreTable

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

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
    from .analyses import (
        BASELINES,
        Backtest,
        BaselineResult,
        BudgetCurve,
        EfficiencyAnalysis,
        ErrorCurve,
        FrozenLaw,
        GainAnalysis,
        Ledger,
        Scoring,
        Selection,
        SpaceAnalysis,
        Split,
        analyse_efficiency,
        analyse_gain,
        analyse_space,
        backtest,
        by_date,
        by_family,
        by_flops,
        by_rank,
        by_size,
        by_value,
        error_curve,
        randomly,
        read_costs,
        select_models,
        target_problem,
        up_to_size,
    )
    from .law.intervals import JackknifePlus, TwoView
    from .law.law import ScalingLaw
    from .law.problem import make_problem
    from .prediction.placement import Placement, place_model
    from .prediction.prediction import Prediction, TargetFit, fit_target, predict_target
    from .reference import Reference, load_reference
    from .report import write_report
    from .space.space import CapabilitySpace, Place
    from .table.readers import read_table
    from .table.table import ScoreTable
    from .zoo import ZooFit, ZooPrediction, fit_zoo

__all__ = [
    "BASELINES",
    "Backtest",
    "BaselineResult",
    "BudgetCurve",
    "CapabilitySpace",
    "EfficiencyAnalysis",
    "ErrorCurve",
    "FrozenLaw",
    "GainAnalysis",
    "JackknifePlus",
    "Ledger",
    "Place",
    "Placement",
    "Prediction",
    "Reference",
    "ScalingLaw",
    "ScoreTable",
    "Scoring",
    "Selection",
    "SpaceAnalysis",
    "Split",
    "TargetFit",
    "TwoView",
    "ZooFit",
    "ZooPrediction",
    "analyse_efficiency",
    "analyse_gain",
    "analyse_space",
    "backtest",
    "by_date",
    "by_family",
    "by_flops",
    "by_rank",
    "by_size",
    "by_value",
    "error_curve",
    "fit_target",
    "fit_zoo",
    "load_reference",
    "make_problem",
    "place_model",
    "predict_target",
    "randomly",
    "read_costs",
    "read_table",
    "select_models",
    "target_problem",
    "up_to_size",
    "write_report",
]

_MODULES = {
    "BASELINES": "analyses",
    "Backtest": "analyses",
    "BaselineResult": "analyses",
    "BudgetCurve": "analyses",
    "CapabilitySpace": "space.space",
    "EfficiencyAnalysis": "analyses",
    "ErrorCurve": "analyses",
    "FrozenLaw": "analyses",
    "GainAnalysis": "analyses",
    "JackknifePlus": "law.intervals",
    "Ledger": "analyses",
    "Place": "space.space",
    "Placement": "prediction.placement",
    "Prediction": "prediction.prediction",
    "Reference": "reference",
    "ScalingLaw": "law.law",
    "ScoreTable": "table.table",
    "Scoring": "analyses",
    "Selection": "analyses",
    "SpaceAnalysis": "analyses",
    "Split": "analyses",
    "TargetFit": "prediction.prediction",
    "TwoView": "law.intervals",
    "ZooFit": "zoo",
    "ZooPrediction": "zoo",
    "analyse_efficiency": "analyses",
    "analyse_gain": "analyses",
    "analyse_space": "analyses",
    "backtest": "analyses",
    "by_date": "analyses",
    "by_family": "analyses",
    "by_flops": "analyses",
    "by_rank": "analyses",
    "by_size": "analyses",
    "by_value": "analyses",
    "error_curve": "analyses",
    "fit_target": "prediction.prediction",
    "fit_zoo": "zoo",
    "load_reference": "reference",
    "make_problem": "law.problem",
    "place_model": "prediction.placement",
    "predict_target": "prediction.prediction",
    "randomly": "analyses",
    "read_costs": "analyses",
    "read_table": "table.readers",
    "select_models": "analyses",
    "target_problem": "analyses",
    "up_to_size": "analyses",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)

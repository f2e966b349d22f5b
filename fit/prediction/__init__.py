"""Predict what a model would score on targets that nobody has measured."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._compare_models import compare_models
    from ._comparison import Comparison, PairComparison
    from ._filled_table import complete_table
    from ._place_model import place_model
    from ._placement import NextBenchmark, Placement
    from ._prediction import Prediction, Predictions
    from ._reference_laws import TargetPrediction, predict_targets
    from ._reference_line import reference_line
    from ._support import Support
    from ._target_law import TargetLaw

# Stored laws predict without scikit-learn: a module is imported when a name of it is used.
_MODULES = {
    "Comparison": "_comparison",
    "NextBenchmark": "_placement",
    "PairComparison": "_comparison",
    "Placement": "_placement",
    "Prediction": "_prediction",
    "Predictions": "_prediction",
    "Support": "_support",
    "TargetLaw": "_target_law",
    "TargetPrediction": "_reference_laws",
    "compare_models": "_compare_models",
    "complete_table": "_filled_table",
    "place_model": "_place_model",
    "predict_targets": "_reference_laws",
    "reference_line": "_reference_line",
}

__all__ = [
    "Comparison",
    "NextBenchmark",
    "PairComparison",
    "Placement",
    "Prediction",
    "Predictions",
    "Support",
    "TargetLaw",
    "TargetPrediction",
    "compare_models",
    "complete_table",
    "place_model",
    "predict_targets",
    "reference_line",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

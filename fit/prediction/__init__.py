"""Predict what a model would score on targets that nobody has measured."""

from ._comparison import Comparison, PairComparison, compare_models
from ._place_model import place_model
from ._placement import NextBenchmark, Placement
from ._prediction import Prediction, Predictions
from ._reference_line import reference_line
from ._support import Support
from ._target_law import TargetLaw

__all__ = [
    "Comparison",
    "NextBenchmark",
    "PairComparison",
    "Placement",
    "Prediction",
    "Predictions",
    "Support",
    "TargetLaw",
    "compare_models",
    "place_model",
    "reference_line",
]

"""Predict what a model would score on targets that nobody has measured."""

from ._place_model import place_model
from ._placement import NextBenchmark, Placement
from ._prediction import Prediction, Predictions
from ._reference_line import reference_line
from ._support import Support
from ._target_law import TargetLaw

__all__ = [
    "NextBenchmark",
    "Placement",
    "Prediction",
    "Predictions",
    "Support",
    "TargetLaw",
    "place_model",
    "reference_line",
]

"""What a model would score on targets that nobody has measured, and where it is placed."""

from ._place_model import place_model
from ._reference_line import reference_line
from ._target_law import TargetLaw
from .placement import NextBenchmark, Placement
from .prediction import Prediction, Predictions
from .support import Support

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

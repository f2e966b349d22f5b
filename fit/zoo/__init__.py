"""The law of a zoo: any score table with facts, its largest models predicted from the others."""

from .fitting import ZooFit, fit_zoo
from .predictions import ZooPrediction

__all__ = ["ZooFit", "ZooPrediction", "fit_zoo"]

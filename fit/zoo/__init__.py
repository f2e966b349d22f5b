"""Fit the law of any score table with facts; predict its largest models from the others."""

from .fitting import ZooFit, fit_zoo
from .predictions import ZooPrediction

__all__ = ["ZooFit", "ZooPrediction", "fit_zoo"]

"""Numbers only: score table, capability space, scaling laws, intervals, figures, report."""

from capspace.fit.intervals import JackknifePlus, TwoView
from capspace.fit.law import ScalingLaw
from capspace.fit.prediction import Prediction, TargetFit, fit_target, predict_target
from capspace.fit.read import read_table
from capspace.fit.reference import Reference, load_reference
from capspace.fit.space import CapabilitySpace, Place
from capspace.fit.table import ScoreTable

__all__ = [
    "CapabilitySpace",
    "JackknifePlus",
    "Place",
    "Prediction",
    "Reference",
    "ScalingLaw",
    "ScoreTable",
    "TargetFit",
    "TwoView",
    "fit_target",
    "load_reference",
    "predict_target",
    "read_table",
]

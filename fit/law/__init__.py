"""A law predicts a target from capabilities, with intervals, or capability from compute."""

from ._form import Form
from ._law import ScalingLaw
from ._refit import Fitted, LawSettings, Training
from .conformal import Conformal, conformal_scale
from .efficiency import Efficiency, FamilyLaw, fit_efficiency, fit_family_law
from .equivalent import EquivalentScale, equivalent_scale
from .intervals import Interval, IntervalMethod, JackknifePlus, TwoView
from .path import Curve, fitted_curve
from .problem import Problem, make_problem

__all__ = [
    "Conformal",
    "Curve",
    "Efficiency",
    "EquivalentScale",
    "FamilyLaw",
    "Fitted",
    "Form",
    "Interval",
    "IntervalMethod",
    "JackknifePlus",
    "LawSettings",
    "Problem",
    "ScalingLaw",
    "Training",
    "TwoView",
    "conformal_scale",
    "equivalent_scale",
    "fit_efficiency",
    "fit_family_law",
    "fitted_curve",
    "make_problem",
]

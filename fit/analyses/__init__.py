"""Analyse score tables: back-tests, gains, the choice of models to measure, the ledger."""

from ._backtest import BASELINES, Backtest, backtest
from ._candidates import Candidates, Choice
from ._error_curve import ErrorCurve, error_curve
from .baselines import BaselineResult
from .budget_curve import BudgetCurve
from .design import choose_models, choose_over_budgets, random_choices
from .efficiency import EfficiencyAnalysis, analyse_efficiency
from .gain import GainAnalysis, GainCurves, analyse_gain, predict_gain
from .ledger import FrozenLaw, Ledger, LedgerError, Scoring
from .paired_laws import GainFit, GainPrediction, fit_gain
from .preregistration import fit_unseen
from .problems import gain_problem, target_problem
from .selection import Selection, read_costs, select_models, up_to_size
from .space import SpaceAnalysis, analyse_space
from .splits import Split, by_date, by_family, by_flops, by_rank, by_size, by_value, randomly

__all__ = [
    "BASELINES",
    "Backtest",
    "BaselineResult",
    "BudgetCurve",
    "Candidates",
    "Choice",
    "EfficiencyAnalysis",
    "ErrorCurve",
    "FrozenLaw",
    "GainAnalysis",
    "GainCurves",
    "GainFit",
    "GainPrediction",
    "Ledger",
    "LedgerError",
    "Scoring",
    "Selection",
    "SpaceAnalysis",
    "Split",
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
    "choose_models",
    "choose_over_budgets",
    "error_curve",
    "fit_gain",
    "fit_unseen",
    "gain_problem",
    "predict_gain",
    "random_choices",
    "randomly",
    "read_costs",
    "select_models",
    "target_problem",
    "up_to_size",
]

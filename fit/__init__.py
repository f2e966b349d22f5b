"""Fit and predict from numbers alone: score table, space, laws, intervals, figures, report.

Everything public is imported from here, ``from capspace.fit import TargetLaw``. A name is loaded
when it is first used, so that a light command stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if __name__ != "capspace.fit":
    raise ImportError(
        f"this package is capspace.fit, not {__name__}: install it (pip install -e .)"
    )

if TYPE_CHECKING:
    from .analyses import *
    from .completion import *
    from .errors import *
    from .figures import *
    from .importing import *
    from .law import *
    from .prediction import *
    from .prediction._deprecated import *
    from .reference import *
    from .report import *
    from .space import *
    from .table import *
    from .zoo import *

    __version__: str

# Every public name, by the module that it is loaded from.
# fmt: off
_NAMES = {
    "analyses": (
        "BASELINES", "Backtest", "BaselineResult", "BudgetCurve", "Candidates", "Choice",
        "EfficiencyAnalysis", "ErrorCurve", "FrozenLaw", "GainAnalysis", "GainCurves", "GainFit",
        "GainPrediction", "Ledger", "LedgerError", "Scoring", "Selection", "SpaceAnalysis",
        "Split", "analyse_efficiency", "analyse_gain", "analyse_space", "backtest", "by_date",
        "by_family", "by_flops", "by_rank", "by_size", "by_value", "choose_models",
        "choose_over_budgets", "error_curve", "fit_gain", "fit_unseen", "gain_problem",
        "predict_gain", "random_choices", "randomly", "read_costs", "select_models",
        "target_problem", "up_to_size",
    ),
    "completion": (
        "BayesianFactorModel", "BestSingleBenchmark", "BlendedPredictor", "Completion",
        "Expected", "FittedPredictor", "GaussianProcessLaw", "evaluate_targets", "score_to_z",
        "z_to_score",
    ),
    "errors": (
        "DegenerateError", "FitError", "NotConvergedError", "TableError", "TooFewModelsError",
        "UnknownNameError",
    ),
    "figures": (
        "NewModel", "Treatment", "draw_backtest", "draw_backtest_baselines",
        "draw_backtest_predictions", "draw_baselines", "draw_budget_curve", "draw_efficiency",
        "draw_error_curves", "draw_gain", "draw_gain_analysis", "draw_map", "draw_predicted",
        "draw_predictions", "draw_scores", "draw_selection", "draw_space", "draw_target",
        "draw_weights", "save",
    ),
    "importing": (
        "BuiltReference", "ImportedTable", "JoinedModel", "SourceTerms", "build_reference",
        "read_published", "update_reference", "write_reference",
    ),
    "law": (
        "Conformal", "Curve", "Efficiency", "EquivalentScale", "FamilyLaw", "Fitted", "Form",
        "Interval", "IntervalMethod", "JackknifePlus", "LawSettings", "Problem", "ScalingLaw",
        "Training", "TwoView", "conformal_scale", "equivalent_scale", "fit_efficiency",
        "fit_family_law", "fitted_curve", "make_problem",
    ),
    "prediction": (
        "Comparison", "NextBenchmark", "PairComparison", "Placement", "Prediction", "Predictions",
        "Support", "TargetLaw", "TargetPrediction", "compare_models", "complete_table",
        "place_model", "predict_targets", "reference_line",
    ),
    "reference": (
        "About", "Benchmark", "Evaluation", "Kind", "Population", "Reference", "ReferenceChoice",
        "Source", "Status", "Target", "choose_reference", "load_reference", "reference_names",
        "target_training_table",
    ),
    "report": (
        "write_report",
    ),
    "space": (
        "CapabilitySpace", "Place", "component_names",
    ),
    "table": (
        "ScoreTable", "SourceOffset", "SourceOffsets", "read_table", "scaffold_offsets",
        "source_offsets", "write_table",
    ),
    "zoo": (
        "ZooFit", "ZooPrediction", "fit_zoo",
    ),
}
# fmt: on
# Former names; using one says what it is called now.
_FORMER = {"prediction._deprecated": ("TargetFit", "fit_target", "predict_target")}
_MODULES = {
    name: module for table in (_NAMES, _FORMER) for module, names in table.items() for name in names
}

__all__ = sorted(["__version__", *(name for names in _NAMES.values() for name in names)])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("capspace")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)

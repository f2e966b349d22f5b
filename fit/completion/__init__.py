"""Sparse tables of models are completed, and expensive scores predicted from a few cheap ones."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._blended import BlendedPredictor
    from ._evaluate import evaluate_targets
    from ._factor_model import BayesianFactorModel, Completion
    from ._fitted import FittedPredictor
    from ._laws import BestSingleBenchmark, Expected, GaussianProcessLaw
    from .scales import score_to_z, z_to_score

# A stored fit predicts without scikit-learn: a module is imported when a name of it is used.
_MODULES = {
    "BayesianFactorModel": "_factor_model",
    "BestSingleBenchmark": "_laws",
    "BlendedPredictor": "_blended",
    "Completion": "_factor_model",
    "Expected": "_laws",
    "FittedPredictor": "_fitted",
    "GaussianProcessLaw": "_laws",
    "evaluate_targets": "_evaluate",
    "score_to_z": "scales",
    "z_to_score": "scales",
}

__all__ = [
    "BayesianFactorModel",
    "BestSingleBenchmark",
    "BlendedPredictor",
    "Completion",
    "Expected",
    "FittedPredictor",
    "GaussianProcessLaw",
    "evaluate_targets",
    "score_to_z",
    "z_to_score",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

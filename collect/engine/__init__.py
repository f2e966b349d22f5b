"""The scoring engine: every distinct token prefix of a benchmark run is computed once.

Importing this package is cheap; :func:`register` imports torch and lm-eval.
"""

__all__ = ["ARITHMETIC", "MODEL_NAME", "register"]

MODEL_NAME = "capspace"

ARITHMETIC = "2"
"""Part of every measurement's identity: raise it with any change that can move a score."""


def register() -> None:
    """Make ``--model capspace`` known to lm-eval; repeated calls are harmless."""
    from .lm import CapspaceLM

    del CapspaceLM  # importing the class registered it

"""Gather scores: measure checkpoints through lm-eval, store the results, place the models.

The public names stand in ``__init__.pyi``. One is loaded when it is first used, so that a light
command stays light.
"""

from typing import Any

if __name__ != "capspace.collect":
    raise ImportError(
        f"this package is capspace.collect, not {__name__}: install it (pip install -e .)"
    )

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name != "AnswerError":
        return _load(name)
    import warnings

    warnings.warn("AnswerError is called ResponseError now", DeprecationWarning, stacklevel=2)
    return _load("ResponseError")

"""Fit and predict from numbers alone: score table, space, laws, intervals, figures, report.

Everything public is imported from here, ``from capspace.fit import TargetLaw``; the names stand in
``__init__.pyi``. One is loaded when it is first used, so that a light command stays light.
"""

if __name__ != "capspace.fit":
    raise ImportError(
        f"this package is capspace.fit, not {__name__}: install it (pip install -e .)"
    )

import lazy_loader

_FORMER = {"TargetFit", "fit_target", "predict_target"}  # using one says what it is called now

__getattr__, _, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = [name for name in _names if name not in _FORMER]


def __dir__() -> list[str]:
    return list(__all__)

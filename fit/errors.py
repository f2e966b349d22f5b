"""Every error of ``capspace.fit`` that a user can meet stands here.

FitError                bad input or a fit that cannot be trusted; the message says what to do
├── TableError          a score table that cannot be read or contradicts itself
├── UnknownNameError    a benchmark, model, family or target that is not there (near matches named)
├── TooFewModelsError   fewer models than the fit has parameters
├── DegenerateError     data without the variation the fit needs (constant target, empty side, ...)
├── NotConvergedError   an optimiser that did not reach a stationary point
├── UnknownCostError    nothing says what a benchmark or a run costs
├── NothingToMeasureError  no benchmark is left that would narrow a prediction
├── RefusedTargetError  a target for which no number is given, with the reason
└── TooFewItemsError    too few items, or answers to them, to decide from
"""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from numbers import Integral, Real

__all__ = [
    "DegenerateError",
    "FitError",
    "NotConvergedError",
    "NothingToMeasureError",
    "RefusedTargetError",
    "TableError",
    "TooFewItemsError",
    "TooFewModelsError",
    "UnknownCostError",
    "UnknownNameError",
    "check_choice",
    "check_count",
    "check_level",
    "check_positive",
    "close_names",
    "near_matches",
]


class FitError(ValueError):
    """Bad input to a fit, or a fit that cannot be trusted; the message says what to do.

    See Also
    --------
    TableError, UnknownNameError, TooFewModelsError : Kinds of it that are met most.

    """


class TableError(FitError):
    """A score table that cannot be read, or that contradicts itself.

    See Also
    --------
    read_table, ScoreTable : Raise it.

    """


class UnknownNameError(FitError):
    """A benchmark, model, family or target that is not there.

    See Also
    --------
    TargetLaw, predict_targets : Raise it.

    """


class TooFewModelsError(FitError):
    """Fewer models than the fit has parameters.

    See Also
    --------
    TargetLaw, make_problem : Raise it.

    """


class DegenerateError(FitError):
    """Data without the variation the fit needs.

    See Also
    --------
    make_problem, fit_family_law : Raise it.

    """


class NotConvergedError(FitError):
    """An optimiser that did not reach a stationary point.

    See Also
    --------
    ScalingLaw, ItemResponse : Raise it where a fit stops short.

    """


class UnknownCostError(FitError):
    """Nothing says what a benchmark or a run costs.

    See Also
    --------
    next_evaluations, judge_run : Raise it.

    """


class NothingToMeasureError(FitError):
    """No benchmark is left that would narrow a prediction.

    See Also
    --------
    next_evaluations : Raises it.

    """


class RefusedTargetError(FitError):
    """A target for which no number is given; the message has the reason.

    Attributes
    ----------
    can_force : bool
        Whether ``force`` gives a number all the same.

    See Also
    --------
    next_evaluations, judge_run : Raise it.

    """

    def __init__(self, message: str, *, can_force: bool = False) -> None:
        super().__init__(message)
        self.can_force = can_force


class TooFewItemsError(FitError):
    """Too few items, or answers to them, to decide from.

    See Also
    --------
    shorten, select_items : Raise it.

    """


def check_choice(value: object, choices: Collection[str], name: str) -> None:
    """Raise FitError unless ``value`` is one of the strings that a parameter can be."""
    if not (isinstance(value, str) and value in choices):
        near = near_matches(value, choices) if isinstance(value, str) else ""
        raise FitError(f"{name} {value!r} is none of {', '.join(choices)}{near}")


def check_count(value: object, name: str) -> None:
    """Raise FitError unless ``value`` is a whole number of at least 1."""
    if not isinstance(value, Integral):
        raise FitError(f"{name} is {value!r}; it must be a whole number of at least 1")
    if value < 1:
        raise FitError(f"{name} is {value}; it must be at least 1")


def check_positive(value: float, name: str) -> None:
    """Raise FitError unless ``value`` is a number above 0, which may be infinite."""
    if not isinstance(value, Real):
        raise FitError(f"{name} is {value!r}; it must be a number above 0")
    if not value > 0:
        raise FitError(f"{name} is {value:g}; it must be above 0")


def check_level(level: float) -> None:
    """Raise FitError unless the nominal coverage of intervals lies between 0 and 1."""
    if not isinstance(level, Real):
        raise FitError(f"level is {level!r}; it must be a number between 0 and 1, as in 0.9")
    if not 0 < level < 1:
        raise FitError(f"level is {level}; it must lie between 0 and 1, as in 0.9")


def near_matches(name: object, known: Iterable[object], n: int = 3) -> str:
    """Return ``"; did you mean 'a', 'b'?"`` for the names nearest to ``name``, or ``""``."""
    close = close_names(name, known, n)
    return f"; did you mean {', '.join(map(repr, close))}?" if close else ""


def close_names(name: object, known: Iterable[object], n: int = 3) -> list[object]:
    """Return up to ``n`` known names that are spelled much like ``name``, the nearest first."""
    by_lower = {str(k).lower(): k for k in known}
    close = get_close_matches(str(name).lower(), by_lower, n=n, cutoff=0.5)
    return [by_lower[c] for c in close]

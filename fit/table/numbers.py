"""Scores from Python become floats, or the error names the cell that is not a number."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from ..errors import FitError

__all__ = [
    "check_fractions",
    "check_standard_errors",
    "check_unique",
    "float_frame",
    "float_series",
]


def float_series(values: pd.Series, name: str) -> pd.Series:
    """Return the scores of a benchmark by model as floats, NaN where not measured.

    Parameters
    ----------
    values : Series by model
        Numbers of any type; None and NA are not measured.
    name : str
        Of the benchmark, for messages.

    Raises
    ------
    FitError
        A value is not a real number, or a model stands there twice.

    """
    check_unique(values.index, f"models with a value of {name}")
    return _floats(values, name)


def float_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a (models × benchmarks) frame as floats, NaN where not measured.

    Raises
    ------
    FitError
        A cell is not a real number.

    """
    values = np.empty(frame.shape)
    for i, column in enumerate(frame.columns):
        values[:, i] = _floats(frame.iloc[:, i], str(column))
    return pd.DataFrame(values, frame.index, frame.columns)


def check_fractions(values: pd.Series, name: str) -> None:
    """Raise FitError for a score outside [0, 1]; NaN is not measured and passes."""
    outside = values[(values < 0) | (values > 1)]
    if len(outside):
        percent = values.min() >= 0 and values.max() <= 100
        hint = "these look like percentages: divide by 100" if percent else "give fractions"
        raise FitError(f"{outside.index[0]}: {name} is {outside.iloc[0]:g}, outside [0, 1]; {hint}")


def check_standard_errors(errors: pd.DataFrame) -> None:
    """Raise FitError for a standard error that is negative or infinite; NaN passes."""
    bad = ((errors < 0) | np.isinf(errors)).to_numpy()
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise FitError(
            f"{errors.index[row]}: the stderr of {errors.columns[column]} is "
            f"{errors.iloc[row, column]:g}; it must be finite and not negative"
        )


def check_unique(names: pd.Index, what: str) -> None:
    """Raise FitError for a name that stands twice."""
    if names.has_duplicates:
        twice = names[names.duplicated()][0]
        raise FitError(f"{twice!s} is twice among the {what}; keep one of them")


def _floats(values: pd.Series, name: str) -> pd.Series:
    if values.dtype.kind == "f" and isinstance(values.dtype, np.dtype):
        return values.astype(float)
    numbers = [_number(value) for value in values]
    for model, value, number in zip(values.index, values, numbers, strict=True):
        if number is None:
            raise FitError(f"{model!s}: {name} is {value!r}, not a number")
    return pd.Series(numbers, values.index, dtype=float, name=values.name)


def _number(value: Any) -> float | None:
    """Return a value as a float, NaN for one that is missing, None for one that is no number."""
    if value is None or value is pd.NA or (isinstance(value, str) and not value.strip()):
        return float("nan")
    if not isinstance(value, Real | Decimal | str | np.bool_):
        return None
    try:
        return float(value)
    except ValueError:
        return None

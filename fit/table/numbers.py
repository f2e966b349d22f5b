"""Scores from Python become floats, or the error names the cell that is not a number."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import FitError, TableError
from .cells import is_number

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "cell_floats",
    "check_fractions",
    "check_standard_errors",
    "check_unique",
    "float_array",
    "float_frame",
    "float_series",
    "floats",
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
    TableError
        A value is not a real number, or a model stands there twice.

    """
    import pandas as pd

    check_unique(values.index, f"models with a value of {name}")
    numbers = floats(values, ((model, name) for model in values.index))
    return pd.Series(numbers, values.index, name=values.name)


def float_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a (models × benchmarks) frame as floats, NaN where not measured.

    Raises
    ------
    TableError
        A cell is not a real number.

    """
    import pandas as pd

    values = np.empty(frame.shape)
    for i, column in enumerate(frame.columns):
        values[:, i] = floats(frame.iloc[:, i], ((row, column) for row in frame.index))
    return pd.DataFrame(values, frame.index, frame.columns)


def float_array(values: ArrayLike) -> NDArray[np.float64]:
    """Return an array (n, p) without labels as floats, NaN where not measured.

    Raises
    ------
    FitError
        Its shape is another, or a cell is not a real number.

    """
    import pandas as pd

    try:
        table = np.asarray(values)
    except ValueError:
        raise FitError("the rows of an array are of different lengths") from None
    if table.ndim != 2:
        raise FitError(f"an array has shape {table.shape}, expected (n, p)")
    rows, columns = (
        [f"{what} {i + 1}" for i in range(n)]
        for what, n in zip(("row", "column"), table.shape, strict=True)
    )
    return float_frame(pd.DataFrame(table, rows, columns)).to_numpy(dtype=float)


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
    """Raise TableError for a name that stands twice."""
    if names.has_duplicates:
        twice = names[names.duplicated()][0]
        raise TableError(f"{twice!s} is twice among the {what}; keep one of them")


def floats(values: pd.Series, places: Iterable[tuple[object, object]]) -> NDArray[np.float64]:
    """Return values (n,) as floats, NaN where not measured.

    Parameters
    ----------
    values : Series
        Numbers of any type, or text that a table may hold for one; None and NA are not measured.
    places : iterable of n pairs
        Model and name of each value, for the message.

    Raises
    ------
    TableError
        A value is not a real number, or too large for a float.

    """
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiu":
        return values.to_numpy(dtype=float)
    return cell_floats(values.tolist(), places)


def cell_floats(
    cells: Iterable[Any], places: Iterable[tuple[object, object]]
) -> NDArray[np.float64]:
    """Return cells (n,) as ``floats`` returns those of a column."""
    values = list(cells)
    numbers = np.empty(len(values))
    for i, (value, (model, name)) in enumerate(zip(values, places, strict=True)):
        try:
            numbers[i] = _number(value)
        except OverflowError:
            raise TableError(f"{model!s}: {name!s} is too large for a number") from None
        except ValueError:
            raise TableError(f"{model!s}: {name!s} is {value!r:.60}, not a number") from None
    return numbers


def _number(value: Any) -> float:
    """Return a value as a float, NaN for one that is missing; raise ValueError for any other."""
    if value is None or type(value).__name__ == "NAType":  # pandas' own, not imported for it
        return float("nan")
    if isinstance(value, str):
        text = value.strip()
        if not text or text.lower() == "nan":
            return float("nan")
        if not is_number(text):
            raise ValueError
        return float(text)
    if not isinstance(value, Real | Decimal | np.bool_):
        raise ValueError
    return float(value)

"""Cells of CSV and Parquet tables are read as they stand; numbers are parsed on request."""

from __future__ import annotations

import re
import zlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TableError
from .csv_cells import SEPARATORS, regular_cells

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PARQUET_ENDINGS",
    "Cells",
    "as_numbers",
    "as_text",
    "cell_numbers",
    "cell_texts",
    "is_empty",
    "is_missing",
    "is_number",
    "objects",
    "read_cells",
    "read_columns",
]

Column = Sequence[Any] | NDArray[Any]
Cells = Mapping[str, Column]
"""Rows by column, such as a file has them or as they were read."""
PARQUET_ENDINGS = (".parquet", ".pq")
"""How names of Parquet files end; anything else is read as CSV."""

_PLAIN_ENDINGS = ("", ".csv", ".tsv", ".txt")  # others may be compressed
_NOT_MEASURED = {"", "#n/a", "<na>", "n/a", "na", "nan", "none", "null"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.ASCII | re.I)
_DECIMALS = frozenset("0123456789.+-eE")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_LARGEST_EXACT = 2.0**53
# What pandas and pyarrow raise for files that are no table; their own kinds are kinds of these.
_UNREADABLE = (ValueError, OSError, EOFError, NotImplementedError, TypeError, zlib.error)


def read_cells(path: Path, *, content: bytes | None = None) -> pd.DataFrame:
    """Return the cells of a CSV or Parquet file, none of them interpreted.

    Parameters
    ----------
    path : Path
        ``.parquet`` or ``.pq`` is read as Parquet, anything else as CSV separated by commas,
        semicolons or tabs, with or without a byte-order mark, compressed as its name says.
    content : bytes, optional
        The bytes of a CSV file that has no place on disk; ``path`` only names it then.

    Returns
    -------
    DataFrame
        Text in every cell of a CSV file, "" where it is empty; what Parquet holds as it is.

    Raises
    ------
    TableError
        The file is missing, empty or none of these; the message does not name it.

    """
    import pandas as pd

    _check_there(path, content)
    if path.suffix.lower() in PARQUET_ENDINGS:
        try:
            # Nullable, as integers beside a missing one would become floats.
            frame: pd.DataFrame = pd.read_parquet(path, dtype_backend="numpy_nullable")
            return frame
        except ImportError:
            raise TableError("reading Parquet needs pip install 'capspace[parquet]'") from None
        except _UNREADABLE as error:
            raise TableError(f"not a Parquet file ({_first_line(error)})") from None
    try:
        return _read_csv(path, content)
    except pd.errors.EmptyDataError:
        raise TableError("the file is empty") from None
    except UnicodeDecodeError:
        raise TableError("not a text file in UTF-8") from None
    except _UNREADABLE as error:
        raise TableError(f"not a CSV file ({_first_line(error)})") from None


def read_columns(path: Path, *, content: bytes | None = None) -> dict[str, list[Any]]:
    """Return the cells that ``read_cells`` returns, by column; a regular CSV file needs no pandas.

    Raises
    ------
    TableError
        As of ``read_cells``, or two columns have one name.

    """
    _check_there(path, content)
    if path.suffix.lower() in _PLAIN_ENDINGS:
        try:
            columns = regular_cells(path.read_bytes() if content is None else content)
        except OSError as error:
            raise TableError(f"not a CSV file ({_first_line(error)})") from None
        if columns is not None:
            return columns
    frame = read_cells(path, content=content)
    return {str(name): objects(frame.iloc[:, i]) for i, name in enumerate(frame.columns)}


def _check_there(path: Path, content: bytes | None) -> None:
    if content is None and not path.is_file():
        raise TableError("a folder, not a file" if path.is_dir() else "no such file")


def objects(values: pd.Series) -> list[Any]:
    """Return the cells of a column as they are, None where one is missing."""
    # By way of a list: pandas would make floats of integers beside a missing cell.
    cells, missing = values.astype(object).tolist(), values.isna().tolist()
    return [None if gap else cell for cell, gap in zip(cells, missing, strict=True)]


def as_text(values: pd.Series) -> pd.Series:
    """Return what a column's cells say as text, "" where a cell is empty.

    Whole numbers, which a revision such as ``0012345`` or ``5e12345`` must never become, are
    written by their digits, dates as ISO 8601.

    Raises
    ------
    TableError
        A cell is a number that names nothing for certain: broken, infinite or beyond 2**53.

    """
    import pandas as pd

    text = cell_texts(objects(values), values.name)
    return pd.Series(text, index=values.index, name=values.name, dtype=object)


def cell_texts(cells: Iterable[Any], column: Hashable) -> list[str]:
    """Return cells as ``as_text`` returns those of a column of this name."""
    return [
        cell.strip() if isinstance(cell, str) else "" if is_missing(cell) else _text(cell, column)
        for cell in cells
    ]


def as_numbers(values: pd.Series, models: pd.Series) -> pd.Series:
    """Return a column as floats, NaN where a cell is empty or says so.

    Parameters
    ----------
    values : Series
        Text or numbers.
    models : Series
        Which model each row is about, for messages.

    Raises
    ------
    TableError
        A cell is not a number.

    """
    import pandas as pd

    numbers = cell_numbers(values.astype(object).tolist(), models.tolist(), values.name)
    return pd.Series(numbers, index=values.index, name=values.name)


def cell_numbers(cells: Column, models: Column, column: Hashable) -> NDArray[np.float64]:
    """Return cells as ``as_numbers`` returns those of a column of this name."""
    plain = _decimal_numbers(cells)
    if plain is not None:
        return plain
    numbers = np.full(len(cells), np.nan)
    for i, cell in enumerate(cells):
        if is_empty(cell):
            continue
        if isinstance(cell, (Real, Decimal)) and not isinstance(cell, (bool, np.bool_)):
            numbers[i] = float(cell)
            continue
        text = str(cell).strip()
        if isinstance(cell, str) and text.lower() in _NOT_MEASURED:
            continue
        if not isinstance(cell, str) or not is_number(text):
            why = _not_a_number(text if isinstance(cell, str) else "")
            raise TableError(f"{models[i]}: {column!s} is {cell!r:.60}, {why}")
        numbers[i] = float(text)
    return numbers


def _not_a_number(text: str) -> str:
    """Return what is wrong with a text that is no number, and what to write."""
    if _DECIMAL_COMMA.fullmatch(text):
        return f"with a decimal comma; write {text.replace(',', '.')}"
    if text.endswith("%") and is_number(share := text.removesuffix("%").strip()):
        return f"with a percent sign; write {float(share) / 100:.10g}"
    return "not a number; leave the cell empty where nothing was measured"


def _decimal_numbers(cells: Column) -> NDArray[np.float64] | None:
    """Return texts that are decimal numbers or empty at once; None where one is anything else."""
    try:
        if not _DECIMALS.issuperset("".join(cells)):
            return None
        return np.array([float(text) if text else np.nan for text in cells], dtype=float)
    except (TypeError, ValueError):  # no text, or no number
        return None


def is_number(text: str) -> bool:
    """Return whether a text is a decimal number in ASCII, or infinity, without blanks."""
    return _NUMBER.fullmatch(text) is not None


def is_empty(cell: Any) -> bool:
    """Return whether a cell holds nothing; a text such as "NA" is something."""
    if isinstance(cell, str):
        return not cell.strip()
    return is_missing(cell)


def is_missing(cell: Any) -> bool:
    """Return whether a cell is None, NaN, or what pandas has for them."""
    if cell is None:
        return True
    try:
        return bool(cell != cell)
    except (TypeError, ValueError, ArithmeticError):  # pandas' NA is neither; arrays are several
        return type(cell).__name__ == "NAType"


def _text(cell: Any, column: Hashable) -> str:
    if isinstance(cell, (bool, np.bool_)):
        return str(bool(cell)).lower()
    if isinstance(cell, Integral):
        return str(int(cell))
    if isinstance(cell, Real):
        value = float(cell)
        if not value.is_integer() or abs(value) > _LARGEST_EXACT:
            raise TableError(
                f"column {column!s} holds the number {value!r}, which is no name for certain; "
                "store names and revisions as text"
            )
        return str(int(value))
    if isinstance(cell, datetime):  # a midnight is how pandas holds a plain date
        is_date = cell == datetime.combine(cell.date(), datetime.min.time(), cell.tzinfo)
        return cell.date().isoformat() if is_date else cell.isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, Decimal):
        return str(cell)
    raise TableError(f"column {column!s} holds a {type(cell).__name__}, not a single value")


def _read_csv(path: Path, content: bytes | None) -> pd.DataFrame:
    import pandas as pd

    if content is None:
        with path.open("rb") as file:
            start = file.read(2)
    else:
        start = content[:2]
    options: dict[str, Any] = {
        "dtype": str,
        "keep_default_na": False,
        # A byte-order mark is no part of the first header.
        "encoding": "utf-16" if start in _UTF16_MARKS else "utf-8-sig",
    }
    for separator in (*SEPARATORS, SEPARATORS[0]):
        options |= {"sep": separator, "skipinitialspace": separator != "\t"}
        options_of_header = options | {"nrows": 1, "header": None, "index_col": False}
        first = pd.read_csv(_source(path, content), **options_of_header).iloc[0]
        header = [name for cell in first if (name := str(cell).strip())]
        if len(header) > 1 and "model" in {name.lower() for name in header}:
            break
    twice = [name for name in header if header.count(name) > 1]
    if twice:  # pandas would give the second another name
        raise TableError(f"two columns are called {twice[0]!r}")
    frame = pd.read_csv(_source(path, content), **options)
    if not isinstance(frame.index, pd.RangeIndex):
        raise TableError("its rows have more cells than its header")
    cells: pd.DataFrame = frame.astype(object)
    return cells.fillna("")


def _source(path: Path, content: bytes | None) -> Path | BytesIO:
    return path if content is None else BytesIO(content)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]

"""Tables of scores that others wrote: long, wide, or tidy with a row per metric."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from capspace.collect.errors import ImportFileError
from capspace.collect.foreign_score import ForeignScore, first_problem
from capspace.fit.errors import TableError
from capspace.fit.read import read_table

__all__ = ["TABLE_ENDINGS", "read_score_table"]

_PARQUET = (".parquet", ".pq")
TABLE_ENDINGS = (".csv", ".csv.gz", *_PARQUET)
"""How names of files end that are most likely tables."""

_TIDY = {"model", "benchmark", "metric", "value"}
_TIDY_NUMBERS = ("value", "stderr", "num_fewshot", "step")
# What pandas and pyarrow raise for files that are no table; their own kinds are kinds of these.
_UNREADABLE = (ValueError, OSError, EOFError, NotImplementedError, TypeError, zlib.error)


def read_score_table(path: Path) -> Iterator[ForeignScore]:
    """Yield the scores of a CSV or Parquet file.

    Raises
    ------
    ImportFileError
        It is no such table, or a cell holds what it cannot.

    """
    frame = _load(path)
    _check_names(frame, path)
    rows = _tidy(frame, path) if set(frame.columns) >= _TIDY else _other(path)
    for number, row in rows:
        try:
            yield ForeignScore(**row)
        except ValidationError as error:
            where = f"row {number}" if number else f"{row['model']}: {row['task']}"
            raise ImportFileError(f"{path}: {where}: {first_problem(error)}") from None


def _load(path: Path) -> pd.DataFrame:
    parquet = path.suffix.lower() in _PARQUET
    try:
        return pd.read_parquet(path) if parquet else pd.read_csv(path)
    except ImportError:
        raise ImportFileError(
            f"{path}: reading Parquet needs pyarrow: pip install 'capspace[parquet]'"
        ) from None
    except _UNREADABLE as error:
        said = " ".join(str(error).split())
        raise ImportFileError(f"{path}: neither lm-eval's JSON nor a table ({said})") from None


def _check_names(frame: pd.DataFrame, path: Path) -> None:
    """Refuse columns that are there twice, cells that are no values, and rows without names."""
    headers = [str(column).strip().lower() for column in frame.columns]
    twice = [header for header in headers if headers.count(header) > 1]
    if twice:
        raise ImportFileError(f"{path}: two columns are called {twice[0]!r}")
    for column, header in zip(frame.columns, headers, strict=True):
        is_name = header in {"model", "benchmark", "metric"}
        if not is_name and pd.api.types.is_numeric_dtype(frame[column]):
            continue
        for number, value in enumerate(frame[column], 2):
            if not pd.api.types.is_scalar(value):
                raise ImportFileError(f"{path}: row {number}: {column} is not a single value")
            if is_name and (pd.isna(value) or not str(value).strip()):
                raise ImportFileError(f"{path}: row {number} names no {header}")


def _other(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        table = read_table(path)
    except TableError as error:
        raise ImportFileError(str(error)) from None
    for row in table.scores.to_dict("records"):
        yield (
            0,
            {
                "model": row["model"],
                "revision": row["revision"],
                "task": row["benchmark"],
                "score": row["score"],
                "stderr": row["stderr"],
                "n_shot": _whole(row["n_shot"]),
                "n_items": _whole(row["n_items"]),
                "protocol": row["protocol"],
                "source": row["source"],
            },
        )


def _tidy(frame: pd.DataFrame, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read a table with a row per metric, as lm-eval's results are often gathered."""
    for column in _TIDY_NUMBERS:
        if column in frame:
            frame[column] = _numbers(frame[column], path)
    for number, row in enumerate(frame.to_dict("records"), 2):
        if math.isnan(row["value"]):
            continue  # not measured
        parts = [f"{row[c]}" for c in ("version", "variant") if _is_told(row, c)]
        parts = [part for part in parts if part != row["model"]]
        if _is_told(row, "step"):
            parts.append(f"step {row['step']:g}")
        yield (
            number,
            {
                "model": str(row["model"]),
                "revision": " ".join(parts),
                "task": str(row["benchmark"]),
                "score": row["value"],
                "stderr": row.get("stderr", math.nan),
                "metric": str(row["metric"]),
                "n_shot": _whole(row.get("num_fewshot", math.nan)),
                "source": str(row["source"]) if _is_told(row, "source") else "",
            },
        )


def _numbers(values: pd.Series, path: Path) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    for number, (read, stated) in enumerate(zip(numbers, values, strict=True), 2):
        if math.isnan(read) and not pd.isna(stated):
            raise ImportFileError(
                f"{path}: row {number}: {values.name!s} is {stated!r}, not a number; "
                "leave the cell empty where nothing was measured"
            )
    return numbers


def _is_told(row: dict[Any, Any], column: str) -> bool:
    return column in row and not pd.isna(row[column])


def _whole(value: float) -> float | None:
    """Return a count as one; a number that is none is left for the type to refuse."""
    if pd.isna(value):
        return None
    return int(value) if math.isfinite(value) and value == int(value) else value

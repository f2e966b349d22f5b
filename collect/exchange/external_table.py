"""Tables of scores from other sources are read: long, wide, or tidy with a row per metric."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from capspace.fit.errors import TableError
from capspace.fit.table.cells import PARQUET_ENDINGS, as_numbers, as_text, is_empty, read_cells
from capspace.fit.table.readers import read_rows

from ..errors import ImportFileError
from .external_score import (
    ExternalFile,
    ExternalScore,
    first_problem,
    no_score,
    no_stderr,
)
from .model_names import ModelName

__all__ = ["TABLE_ENDINGS", "read_score_table"]

TABLE_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", *PARQUET_ENDINGS)
"""How names of files end that are most likely tables."""

_TIDY = {"model", "benchmark", "metric", "value"}
_TIDY_NUMBERS = ("value", "stderr", "num_fewshot", "step")


def read_score_table(path: Path) -> ExternalFile:
    """Return the scores of a CSV or Parquet file.

    Raises
    ------
    ImportFileError
        It is no such table, or a cell holds what it cannot.

    """
    try:
        frame = read_cells(path)
    except TableError as error:
        raise ImportFileError(f"{path}: neither lm-eval's JSON nor a table: {error}") from None
    _check_names(frame, path)
    try:
        rows = list(_tidy(frame) if set(frame.columns) >= _TIDY else _other(read_rows(path)))
    except TableError as error:
        raise ImportFileError(f"{path}: " + str(error).removeprefix(f"{path}: ")) from None
    scores: list[ExternalScore] = []
    left_out: list[str] = []
    for number, row in rows:
        where = f"row {number}" if number else f"{row['model']}: {row['task']}"
        if problem := no_score(row["score"]):
            left_out.append(f"{where}: the score is {problem}")
            continue
        if not math.isnan(row["stderr"]) and (problem := no_stderr(row["stderr"])):
            left_out.append(f"{where}: the standard error is {problem}")
            row["stderr"] = math.nan
        try:
            scores.append(ExternalScore(**row))
        except ValidationError as error:
            raise ImportFileError(f"{path}: {where}: {first_problem(error)}") from None
    about = tuple(dict.fromkeys(ModelName(score.model, score.revision) for score in scores))
    return ExternalFile(tuple(scores), tuple(left_out), about=about)


def _check_names(frame: pd.DataFrame, path: Path) -> None:
    """Refuse columns that are there twice, cells that are no values, and rows without names."""
    headers = [str(column).strip().lower() for column in frame.columns]
    twice = [header for header in headers if headers.count(header) > 1]
    if twice:
        raise ImportFileError(f"{path}: two columns are called {twice[0]!r}")
    for column, header in zip(frame.columns, headers, strict=True):
        is_name = header in {"model", "benchmark", "metric"}
        for number, value in enumerate(frame[column].tolist(), 2):
            if not pd.api.types.is_scalar(value):
                raise ImportFileError(f"{path}: row {number}: {column} is not a single value")
            if is_name and is_empty(value):
                raise ImportFileError(f"{path}: row {number} names no {header}")


def _other(rows: pd.DataFrame) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the cells of a long or wide table that hold anything."""
    for row in rows[rows["score"].notna()].to_dict("records"):
        model, revision = str(row["model"]), _word(row, "revision")
        yield (
            0,
            {
                "model": _without_revision(model, revision),
                "revision": revision,
                "task": row["benchmark"],
                "score": row["score"],
                "stderr": row.get("stderr", math.nan),
                "n_shot": _whole(row.get("n_shot", math.nan)),
                "n_items": _whole(row.get("n_items", math.nan)),
                "protocol": _word(row, "protocol"),
                "source": _word(row, "source"),
            },
        )


def _without_revision(model: str, revision: str) -> str:
    """Return a model's name without its revision, which our own tables add to tell two apart."""
    name, _, short = model.rpartition("@")
    is_hash = len(short) == 8 and re.fullmatch("[0-9a-f]{12,}", revision)
    same = short == revision or (is_hash and revision.startswith(short))
    return name if name and same else model


def _tidy(frame: pd.DataFrame) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read a table with a row per metric, as lm-eval's results are often gathered."""
    frame = frame.assign(
        **{
            str(column): as_numbers(frame[column], frame["model"])
            if column in _TIDY_NUMBERS
            else as_text(frame[column])
            for column in frame.columns
        }
    )
    for number, row in enumerate(frame.to_dict("records"), 2):
        if math.isnan(row["value"]):
            continue  # not measured
        parts = [_word(row, column) for column in ("version", "variant", "revision")]
        parts = [part for part in parts if part not in ("", row["model"])]
        if not math.isnan(row.get("step", math.nan)):
            parts.append(f"step {row['step']:.16g}")
        yield (
            number,
            {
                "model": row["model"],
                "revision": " ".join(parts),
                "task": row["benchmark"],
                "score": row["value"],
                "stderr": row.get("stderr", math.nan),
                "metric": row["metric"],
                "n_shot": _whole(row.get("num_fewshot", math.nan)),
                "source": _word(row, "source"),
            },
        )


def _word(row: dict[Any, Any], column: str) -> str:
    value = row.get(column)
    return "" if value is None or is_empty(value) else str(value)


def _whole(value: float) -> float | None:
    """Return a count as one; a number that is none is left for the type to refuse."""
    if pd.isna(value):
        return None
    return int(value) if math.isfinite(value) and value == int(value) else value

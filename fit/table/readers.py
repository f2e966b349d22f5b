"""Read score tables: long CSV, the wide layout of published studies, Parquet of either."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TableError
from ._cut import CUT_COLUMNS, before_cut
from ._table import ScoreTable
from ._unknown_columns import header_words, listed, refuse_unknown
from .cells import Cells, cell_numbers, cell_texts, is_empty, objects, read_columns
from .facts import read_date
from .headers import fact_of_header, in_units_of_one
from .schema import FACT_COLUMNS, NUMBER_COLUMNS, SCORE_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BENCHMARK_ALIASES",
    "canonical_benchmark",
    "other_meaning",
    "read_benchmarks",
    "read_rows",
    "read_table",
    "typed",
    "typed_cells",
]

BENCHMARK_ALIASES = {"Winograd": "Winogrande", "WinoGrande": "Winogrande"}
"""Other spellings of benchmark labels; the study's column "Winograd" holds WinoGrande scores."""

_Parts = tuple[Cells, Cells, tuple[str, ...]]
"""Scores, facts and notes, as of a ``ScoreTable``."""


def read_table(path: str | Path, *, benchmarks: Collection[str] | None = None) -> ScoreTable:
    """Read a score table from a CSV or Parquet file.

    Parameters
    ----------
    path : path
        ``.parquet`` or ``.pq`` is read as Parquet, anything else as CSV, separated by commas,
        semicolons or tabs. Names and revisions are text, whatever they look like. A file with the
        columns ``model, benchmark, score`` is long; a row whose ``date`` is after its ``cut`` is
        left out of it, and noted. One with ``Model`` and a column per benchmark
        wide; it may have a column ``Revision``. Facts of a wide file are recognised by their
        headers, units included: ``Model Family``, ``Model Size (B)``,
        ``Pretraining Data Size (T)``, ``FLOPs (1E21)``; without a unit in the header they are
        plain counts. How each was read is in the table's ``notes``.
    benchmarks : collection of str, optional
        The benchmarks that may appear; by default any column of a wide file that is not a fact.

    Raises
    ------
    TableError
        The file is missing, empty or not such a table; a column is unknown (near matches are
        named); a cell is not a number; rows of one model disagree. The message names the file.

    See Also
    --------
    write_table : Writes what this reads back.

    Examples
    --------
    >>> from pathlib import Path
    >>> from capspace.fit import read_table
    >>> rows = ["Model,Model Size (B),MMLU,GSM8K", "mine,7,0.62,"]
    >>> size = Path("scores.csv").write_text(chr(10).join(rows))
    >>> table = read_table("scores.csv")
    >>> table
    ScoreTable(1 model × 1 benchmark, 1 score)
    >>> float(table.models.loc["mine", "parameters"])
    7000000000.0

    """
    path = Path(path)
    try:
        return ScoreTable.from_cells(*_read(path, benchmarks))
    except TableError as error:
        raise TableError(f"{path}: {error}") from None


def read_benchmarks(path: str | Path) -> list[str]:
    """Return the names of the benchmarks in a file that ``read_table`` reads, as they stand there.

    Raises
    ------
    TableError
        The file is missing, empty or not such a table.

    """
    path = Path(path)
    try:
        cells = read_columns(path)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    lower = {header.strip().lower(): header for header in cells}
    if {"model", "benchmark", "score"} <= set(lower):
        name = lower["benchmark"]
        return list(dict.fromkeys(cell_texts(cells[name], name)))
    headers = list(cells)
    return [h for h in headers if not other_meaning(h, [o for o in headers if o != h])]


def read_rows(path: str | Path) -> pd.DataFrame:
    """Return the scores of a file that ``read_table`` reads, as it states them.

    Returns
    -------
    DataFrame
        A row per cell, columns as of ``ScoreTable.scores`` as far as they are there, NaN where
        nothing was measured. No score is refused for its value, and rows may contradict each other.

    Raises
    ------
    TableError
        As of ``read_table``, but for what scores may be.

    """
    import pandas as pd

    path = Path(path)
    try:
        cells = _read(path, None)[0]
        columns = {c: v if c in NUMBER_COLUMNS else list(v) for c, v in cells.items()}
        return pd.DataFrame({c: _series(c, v) for c, v in columns.items()})
    except TableError as error:
        raise TableError(f"{path}: {error}") from None


def _read(path: Path, benchmarks: Collection[str] | None) -> _Parts:
    cells = read_columns(path)
    if not any(map(len, cells.values())):
        raise TableError("the file holds no row")
    lower = {header.strip().lower(): header for header in cells}
    if {"model", "benchmark", "score"} <= set(lower):
        return _from_long(cells, benchmarks)
    if "model" in lower:
        return _from_wide(cells, lower["model"], benchmarks)
    raise TableError(
        f"no column 'Model'; {header_words(cells)}; "
        "expected a column per benchmark beside 'Model', or the columns model, benchmark, score"
    )


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return cells of scores or facts as text and numbers, as their columns ask; others as text.

    Raises
    ------
    TableError
        A row names no model or benchmark, or a cell is not what its column holds.

    """
    import pandas as pd

    typed = typed_cells({str(c): objects(frame[c]) for c in frame.columns})
    columns = {name: _series(name, values) for name, values in typed.items()}
    return pd.DataFrame(columns).set_axis(frame.index)


def typed_cells(cells: Cells) -> dict[str, Any]:
    """Return the columns of ``typed`` without pandas; what is unknown is None or NaN."""
    typed: dict[str, Any] = dict(cells)
    typed |= {c: _names(c, cells[c]) for c in ("model", "benchmark") if c in cells}
    for column in (c for c in cells if c not in ("model", "benchmark")):
        typed[column] = (
            cell_numbers(cells[column], typed["model"], column)
            if column in NUMBER_COLUMNS
            else _text_or_none(column, cells[column])
        )
    return typed


def _series(column: str, values: Any) -> pd.Series:
    import pandas as pd

    return pd.Series(values, dtype=float if column in NUMBER_COLUMNS else object)


def canonical_benchmark(name: str, known: Collection[str] | None = None) -> str:
    """Return the label of a benchmark: aliases resolved, spelled as in ``known``."""
    name = BENCHMARK_ALIASES.get(name.strip(), name.strip())
    if known is not None and name not in known:
        by_spelling = {_spelling(k): k for k in known}
        return by_spelling.get(_spelling(name), name)
    return name


def _spelling(benchmark: str) -> str:
    """Return a label in small letters and with one kind of separator: AIME_2025 is AIME 2025."""
    return re.sub(r"[-_ ]+", " ", benchmark.lower())


def other_meaning(header: str, others: Collection[str] = ()) -> str:
    """Return what a wide table's column is read as beside others, or "" for a benchmark."""
    plain = header.strip().lower()
    if plain in ("model", "revision"):
        return plain
    if plain == "score" and "benchmark" in {other.strip().lower() for other in others}:
        return "that of a long table"
    try:
        fact = fact_of_header(header)
    except TableError:  # of a unit that is not known
        return "a fact"
    return "" if fact is None else fact[0]


def _from_long(cells: Cells, benchmarks: Collection[str] | None) -> _Parts:
    headers = [header.strip().lower() for header in cells]
    known = (*SCORE_COLUMNS, *FACT_COLUMNS, *CUT_COLUMNS)
    refuse_unknown([c for c in headers if c not in known], known)
    _refuse_twice(headers)
    rows = typed_cells(dict(zip(headers, cells.values(), strict=True)))
    keep, notes = before_cut(rows)
    if keep is not None:
        rows = {c: list(compress(values, keep)) for c, values in rows.items()}
    if "release_date" in rows:
        rows["release_date"] = _dates(rows["release_date"], rows["model"], "release_date")
    rows["benchmark"] = [_label(name, benchmarks) for name in rows["benchmark"]]
    if benchmarks:
        unknown = [name for name in dict.fromkeys(rows["benchmark"]) if name not in benchmarks]
        refuse_unknown(unknown, benchmarks, "benchmark")
    facts = {c: rows[c] for c in ("model", *FACT_COLUMNS) if c in rows}
    return {c: rows[c] for c in SCORE_COLUMNS if c in rows}, facts, notes


def _from_wide(cells: Cells, model_column: str, benchmarks: Collection[str] | None) -> _Parts:
    models = _names(model_column, cells[model_column])
    facts: dict[str, Any] = {"model": models}
    columns: dict[str, NDArray[np.float64]] = {}
    keys: dict[str, list[str]] = {"model": models}
    unknown, notes = [], []
    for header, values in cells.items():
        if header == model_column:
            continue
        if header.strip().lower() == "revision":
            keys["revision"] = cell_texts(values, header)
            continue
        fact = fact_of_header(header)
        if fact is not None:
            name, unit, factor = fact
            if name in facts:
                raise TableError(f"two columns give {name}: the second is {header!r}")
            if name == "release_date":
                facts[name] = _dates(values, models, header)
            elif factor is None:
                facts[name] = _text_or_none(header, values)
            else:
                numbers = cell_numbers(values, models, header)
                facts[name] = in_units_of_one(numbers, name, header, factor)
                notes.append(f"{header!r} read as {name} {unit}")
            continue
        label = _label(header, benchmarks)
        if benchmarks is not None and label not in benchmarks:
            unknown.append(header)
            continue
        if label in columns:
            raise TableError(f"two columns give {label}: the second is {header!r}")
        if label != header:
            notes.append(f"{header!r} read as {label}")
        columns[label] = cell_numbers(values, models, header)
    refuse_unknown(unknown, benchmarks or ())
    if not columns:
        known = f"; known are {listed(benchmarks)}" if benchmarks else ""
        raise TableError(f"no benchmark among its columns{known}")
    scores: dict[str, Any] = {
        **{key: values * len(columns) for key, values in keys.items()},
        "benchmark": [label for label in columns for _ in models],
        "score": np.concatenate(list(columns.values())),
    }
    return scores, facts, tuple(notes)


def _dates(values: Iterable[Any], models: Iterable[Any], header: str) -> list[str | None]:
    """Return ISO dates, None where unknown; a wrong one is refused with its row in the file."""
    return [
        read_date(value, f"row {row} ({model}): {header.strip()!r}") or None
        for row, (value, model) in enumerate(zip(values, models, strict=True), start=2)
    ]


def _label(name: str, benchmarks: Collection[str] | None) -> str:
    if benchmarks is not None and name.strip() in benchmarks:
        return name.strip()
    return canonical_benchmark(name, benchmarks)


def _names(column: str, cells: Iterable[Any]) -> list[str]:
    empty = [i for i, cell in enumerate(cells) if is_empty(cell)]
    if empty:
        raise TableError(f"row {empty[0] + 2} names no {column.strip().lower()}")
    return cell_texts(cells, column)


def _text_or_none(column: str, cells: Iterable[Any]) -> list[str | None]:
    """Return text with None where nothing is known, so that it contradicts no other row."""
    return [text or None for text in cell_texts(cells, column)]


def _refuse_twice(columns: list[str]) -> None:
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise TableError(f"two columns are called {twice[0]!r}")

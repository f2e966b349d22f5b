"""Read score tables: long CSV, the wide layout of published studies, Parquet of either."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from ..errors import TableError, near_matches
from ._cut import CUT_COLUMNS, before_cut
from ._table import ScoreTable
from .cells import as_numbers, as_text, is_empty, read_cells
from .facts import read_date
from .schema import FACT_COLUMNS, NUMBER_COLUMNS, SCORE_COLUMNS

__all__ = [
    "BENCHMARK_ALIASES",
    "canonical_benchmark",
    "other_meaning",
    "read_benchmarks",
    "read_rows",
    "read_table",
    "typed",
]

BENCHMARK_ALIASES = {"Winograd": "Winogrande", "WinoGrande": "Winogrande"}
"""Other spellings of benchmark labels; the study's column "Winograd" holds WinoGrande scores."""

_FACTS = {
    "model family": "family",
    "family": "family",
    "model size": "parameters",
    "size": "parameters",
    "parameters": "parameters",
    "pretraining data size": "training_tokens",
    "training tokens": "training_tokens",
    "flops": "training_flops",
    "training flops": "training_flops",
    "release date": "release_date",
    "tuning": "tuning",
    "provider": "provider",
    "organization": "provider",
    "organisation": "provider",
    "mode": "mode",
}
_UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_UNITLESS_AT_LEAST = {"parameters": 1e4, "training_tokens": 1e6, "training_flops": 1e12}
_Parts = tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]
"""Scores, facts and notes, as of a ``ScoreTable``."""

_HEADER = re.compile(r"^(?P<name>[^()]*?)\s*(?:\((?P<unit>[^()]+)\))?$")


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
        return ScoreTable(*_read(path, benchmarks))
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
        frame = read_cells(path)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    lower = {str(c).strip().lower(): str(c) for c in frame.columns}
    if {"model", "benchmark", "score"} <= set(lower):
        return list(dict.fromkeys(as_text(frame[lower["benchmark"]])))
    headers = [str(c) for c in frame.columns]
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
    path = Path(path)
    try:
        return _read(path, None)[0].reset_index(drop=True)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None


def _read(path: Path, benchmarks: Collection[str] | None) -> _Parts:
    frame = read_cells(path)
    if frame.empty:
        raise TableError("the file holds no row")
    lower = {str(c).strip().lower(): str(c) for c in frame.columns}
    if {"model", "benchmark", "score"} <= set(lower):
        return _from_long(frame, benchmarks)
    if "model" in lower:
        return _from_wide(frame, lower["model"], benchmarks)
    raise TableError(
        f"no column 'Model'; its columns are {', '.join(map(str, frame.columns[:6]))}; "
        "expected a column per benchmark beside 'Model', or the columns model, benchmark, score"
    )


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return cells of scores or facts as text and numbers, as their columns ask; others as text.

    Raises
    ------
    TableError
        A row names no model or benchmark, or a cell is not what its column holds.

    """
    frame = frame.assign(**{c: _names(frame[c]) for c in ("model", "benchmark") if c in frame})
    for column in (c for c in frame.columns if c not in ("model", "benchmark")):
        read = as_numbers if column in NUMBER_COLUMNS else _text_or_none
        frame[column] = read(frame[column], frame["model"])
    return frame


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
        fact = _fact(header)
    except TableError:  # of a unit that is not known
        return "a fact"
    return "" if fact is None else fact[0]


def _from_long(frame: pd.DataFrame, benchmarks: Collection[str] | None) -> _Parts:
    frame = frame.rename(columns=lambda c: str(c).strip().lower())
    known = (*SCORE_COLUMNS, *FACT_COLUMNS, *CUT_COLUMNS)
    _refuse_unknown([c for c in frame.columns if c not in known], known)
    _refuse_twice(list(frame.columns))
    frame = typed(frame)
    keep, notes = before_cut({str(name): frame[name] for name in frame})
    if keep is not None:
        frame = frame[keep]
    if "release_date" in frame:
        frame["release_date"] = _dates(frame["release_date"], frame["model"], "release_date")
    frame["benchmark"] = [_label(name, benchmarks) for name in frame["benchmark"]]
    unknown = frame.loc[~frame["benchmark"].isin(benchmarks or frame["benchmark"]), "benchmark"]
    _refuse_unknown(list(unknown.unique()), benchmarks or (), "benchmark")
    facts = frame[["model", *(c for c in FACT_COLUMNS if c in frame)]]
    return frame[[c for c in SCORE_COLUMNS if c in frame]], facts, notes


def _from_wide(
    frame: pd.DataFrame, model_column: str, benchmarks: Collection[str] | None
) -> _Parts:
    models = _names(frame[model_column])
    facts = pd.DataFrame({"model": models})
    columns: dict[str, pd.Series] = {}
    keys = pd.DataFrame({"model": models})
    unknown, notes = [], []
    for header in frame.columns:
        if header == model_column:
            continue
        if str(header).strip().lower() == "revision":
            keys["revision"] = as_text(frame[header])
            continue
        fact = _fact(str(header))
        if fact is not None:
            name, unit, factor = fact
            if name in facts:
                raise TableError(f"two columns give {name}: the second is {header!r}")
            if name == "release_date":
                facts[name] = _dates(frame[header], models, header)
            elif factor is None:
                facts[name] = _text_or_none(frame[header], models)
            else:
                facts[name] = _scaled(as_numbers(frame[header], models), name, str(header), factor)
                notes.append(f"{header!r} read as {name} {unit}")
            continue
        label = _label(str(header), benchmarks)
        if benchmarks is not None and label not in benchmarks:
            unknown.append(str(header))
            continue
        if label in columns:
            raise TableError(f"two columns give {label}: the second is {header!r}")
        if label != str(header):
            notes.append(f"{header!r} read as {label}")
        columns[label] = as_numbers(frame[header], models)
    _refuse_unknown(unknown, benchmarks or ())
    if not columns:
        known = f"; known are {', '.join(benchmarks)}" if benchmarks else ""
        raise TableError(f"no benchmark among its columns{known}")
    scores = pd.concat([keys, pd.DataFrame(columns)], axis=1)
    scores = scores.melt(list(keys), var_name="benchmark")
    return scores.rename(columns={"value": "score"}), facts, tuple(notes)


def _fact(header: str) -> tuple[str, str, float | None] | None:
    match = _HEADER.match(header.strip())
    if match is None:
        return None
    name = _FACTS.get(match["name"].strip().lower().replace("_", " "))
    if name is None:
        return None
    if name not in _UNITLESS_AT_LEAST:
        return name, "", None
    unit = match["unit"]
    if unit is None:
        return name, "in units of 1 (no unit in its header)", 1.0
    factor = _UNITS.get(unit.strip().lower())
    if factor is None:
        try:
            factor = float(unit)
        except ValueError:
            raise TableError(
                f"column {header!r} has the unit {unit!r}; known are K, M, B, T and 1E21 and such"
            ) from None
    return name, f"in units of {factor:g}", factor


def _scaled(values: pd.Series, name: str, header: str, factor: float) -> pd.Series:
    scaled = values * factor
    low = scaled[(scaled > 0) & (scaled < _UNITLESS_AT_LEAST[name])]
    if len(low):
        raise TableError(
            f"column {header!r} holds {values[low.index[0]]:g}, read as {low.iloc[0]:g} {name}: "
            "too few to be true; put the unit into the header, as in 'FLOPs (1E21)', "
            "'Model Size (B)', 'Pretraining Data Size (T)'"
        )
    return scaled


def _dates(values: pd.Series, models: pd.Series, header: object) -> list[str | None]:
    """Return ISO dates, None where unknown; a wrong one is refused with its row in the file."""
    return [
        read_date(value, f"row {row} ({model}): {str(header).strip()!r}") or None
        for row, (value, model) in enumerate(zip(values, models, strict=True), start=2)
    ]


def _label(name: str, benchmarks: Collection[str] | None) -> str:
    if benchmarks is not None and name.strip() in benchmarks:
        return name.strip()
    return canonical_benchmark(name, benchmarks)


def _names(values: pd.Series) -> pd.Series:
    empty = [i for i, cell in enumerate(values.tolist()) if is_empty(cell)]
    if empty:
        raise TableError(f"row {empty[0] + 2} names no {str(values.name).strip().lower()}")
    return as_text(values)


def _text_or_none(values: pd.Series, models: pd.Series) -> pd.Series:
    """Return text with None where nothing is known, so that it contradicts no other row."""
    text = as_text(values)
    return text.where(text != "", None)


def _refuse_unknown(unknown: list[str], known: Collection[str], what: str = "column") -> None:
    if unknown:
        others = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        raise TableError(
            f"unknown {what} {unknown[0]!r}{others}{near_matches(unknown[0], known)}; known are "
            f"{', '.join(known)}"
        )


def _refuse_twice(columns: list[str]) -> None:
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise TableError(f"two columns are called {twice[0]!r}")

"""Read score tables: long CSV, the wide layout of published studies, Parquet of either."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from capspace.fit.errors import TableError, near_matches
from capspace.fit.facts import read_date
from capspace.fit.table import FACT_COLUMNS, SCORE_COLUMNS, ScoreTable

__all__ = ["BENCHMARK_ALIASES", "canonical_benchmark", "read_table"]

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
}
_UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_UNITLESS_AT_LEAST = {"parameters": 1e4, "training_tokens": 1e6, "training_flops": 1e12}
_HEADER = re.compile(r"^(?P<name>[^()]*?)\s*(?:\((?P<unit>[^()]+)\))?$")


def read_table(path: str | Path, *, benchmarks: Collection[str] | None = None) -> ScoreTable:
    """Read a score table from a CSV or Parquet file.

    Parameters
    ----------
    path : path
        ``.parquet`` or ``.pq`` is read as Parquet, anything else as CSV. A file with the columns
        ``model, benchmark, score`` is long, one with ``Model`` and a column per benchmark wide.
        Facts of a wide file are recognised by their headers, units included: ``Model Family``,
        ``Model Size (B)``, ``Pretraining Data Size (T)``, ``FLOPs (1E21)``; without a unit in the
        header they are plain counts. How each was read is in the table's ``notes``.
    benchmarks : collection of str, optional
        The benchmarks that may appear; by default any column of a wide file that is not a fact.

    Raises
    ------
    TableError
        The file is missing, empty or not such a table; a column is unknown (near matches are
        named); a cell is not a number; rows of one model disagree. The message names the file.

    """
    path = Path(path)
    try:
        frame = _load(path)
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
    except TableError as error:
        raise TableError(f"{path}: {error}") from None


def canonical_benchmark(name: str, known: Collection[str] | None = None) -> str:
    """Return the label of a benchmark: aliases resolved, spelling of case as in ``known``."""
    name = BENCHMARK_ALIASES.get(name.strip(), name.strip())
    if known is not None and name not in known:
        by_lower = {k.lower(): k for k in known}
        return by_lower.get(name.lower(), name)
    return name


def _load(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise TableError("no such file")
    if path.suffix.lower() in (".parquet", ".pq"):
        try:
            return pd.read_parquet(path)
        except ImportError:
            raise TableError("reading Parquet needs pip install 'capspace[parquet]'") from None
        except (ValueError, OSError) as error:
            raise TableError(f"not a Parquet file ({_first_line(error)})") from None
    try:
        return pd.read_csv(path, skipinitialspace=True)
    except pd.errors.EmptyDataError:
        raise TableError("the file is empty") from None
    except UnicodeDecodeError:
        raise TableError("not a text file in UTF-8") from None
    except pd.errors.ParserError as error:
        raise TableError(f"not a CSV file ({_first_line(error)})") from None


def _from_long(frame: pd.DataFrame, benchmarks: Collection[str] | None) -> ScoreTable:
    frame = frame.rename(columns=lambda c: str(c).strip().lower())
    known = (*SCORE_COLUMNS, *FACT_COLUMNS)
    _refuse_unknown([c for c in frame.columns if c not in known], known)
    frame = frame.assign(benchmark=[_label(b, benchmarks) for b in frame["benchmark"].astype(str)])
    if "release_date" in frame:
        frame["release_date"] = _dates(frame["release_date"], frame["model"], "release_date")
    for column in ("score", "stderr", "n_items", "n_shot"):
        if column in frame:
            frame[column] = _numbers(frame[column], frame["model"])
    unknown = frame.loc[~frame["benchmark"].isin(benchmarks or frame["benchmark"]), "benchmark"]
    _refuse_unknown(list(unknown.unique()), benchmarks or (), "benchmark")
    facts = frame[["model", *(c for c in FACT_COLUMNS if c in frame)]]
    return ScoreTable(frame[[c for c in SCORE_COLUMNS if c in frame]], facts)


def _from_wide(
    frame: pd.DataFrame, model_column: str, benchmarks: Collection[str] | None
) -> ScoreTable:
    names = frame[model_column]
    if names.isna().any():
        raise TableError(f"row {int(names.isna().argmax()) + 2} names no model")
    models = names.astype(str).str.strip()
    facts = pd.DataFrame({"model": models})
    columns: dict[str, pd.Series] = {}
    unknown, notes = [], []
    for header in frame.columns:
        if header == model_column:
            continue
        fact = _fact(str(header))
        if fact is not None:
            name, unit, factor = fact
            if name in facts:
                raise TableError(f"two columns give {name}: the second is {header!r}")
            facts[name] = frame[header]
            if name == "release_date":
                facts[name] = _dates(frame[header], models, header)
            if factor is not None:
                facts[name] = _scaled(_numbers(frame[header], models), name, str(header), factor)
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
        columns[label] = _numbers(frame[header], models)
    _refuse_unknown(unknown, benchmarks or ())
    if not columns:
        known = f"; known are {', '.join(benchmarks)}" if benchmarks else ""
        raise TableError(f"no benchmark among its columns{known}")
    scores = pd.DataFrame(columns).assign(model=models).melt("model", var_name="benchmark")
    return ScoreTable(scores.rename(columns={"value": "score"}), facts, tuple(notes))


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


def _dates(values: pd.Series, models: pd.Series, header: object) -> list[str]:
    """Return ISO dates; a wrong one is refused with its row, counted as in a spreadsheet."""
    return [
        read_date(value, f"row {row} ({model}): {str(header).strip()!r}")
        for row, (value, model) in enumerate(zip(values, models, strict=True), start=2)
    ]


def _label(name: str, benchmarks: Collection[str] | None) -> str:
    if benchmarks is not None and name.strip() in benchmarks:
        return name.strip()
    return canonical_benchmark(name, benchmarks)


def _numbers(values: pd.Series, models: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    bad = np.flatnonzero(numbers.isna() & values.notna())
    if len(bad):
        raise TableError(
            f"{models.iloc[bad[0]]}: {values.name!s} is {values.iloc[bad[0]]!r}, not a number; "
            "leave the cell empty where nothing was measured"
        )
    return numbers


def _refuse_unknown(unknown: list[str], known: Collection[str], what: str = "column") -> None:
    if unknown:
        others = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        raise TableError(
            f"unknown {what} {unknown[0]!r}{others}{near_matches(unknown[0], known)}; known are "
            f"{', '.join(known)}"
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]

"""The Berkeley Function Calling Leaderboard publishes its table as CSV; version 4 is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import TableError
from ..table.cells import read_cells
from ._imported import Cell, ImportedTable, SourceTerms, imported, some

__all__ = ["is_bfcl", "read_bfcl"]

TITLE = "Berkeley Function Calling Leaderboard v4"
URL = "https://gorilla.cs.berkeley.edu/leaderboard.html"

_COLUMNS = {
    "Overall Acc": "overall",
    "Non-Live AST Acc": "non-live",
    "Live Acc": "live",
    "Multi Turn Acc": "multi-turn",
    "Web Search Acc": "web-search",
    "Memory Acc": "memory",
    "Relevance Detection": "relevance",
    "Irrelevance Detection": "irrelevance",
}
_SINGLE = ("Non-Live AST Acc", "Live Acc")
"""Single calls, of which models of a billion parameters have some right."""
_BOARDS = {"fc": "bfcl-v4", "prompt": "bfcl-v4-prompt"}
_NAME = re.compile(r"(?P<model>.*?)\s*\((?P<mode>fc|prompt)\b[\s+]*(?P<more>[^()]*)\)", re.I)
_MISSING = ("", "n/a")


def is_bfcl(header: str) -> bool:
    """Return whether the first line of a CSV file is that of the leaderboard, of any version."""
    return "Overall Acc" in header and "Model Link" in header


def read_bfcl(path: Path, terms: SourceTerms) -> ImportedTable:
    """Read ``data_overall.csv``.

    Native function calling ("FC") and calls written in the answer ("Prompt") are two modes, which
    are tens of points apart for some models: the first are scores of ``bfcl-v4/...``, the second
    of ``bfcl-v4-prompt/...``. Columns that are averaged into another one are not read. A row
    without one right call of the single ones, whoever wrote the functions, is a run that failed,
    and no score.

    Parameters
    ----------
    path : Path
        The CSV file.
    terms : SourceTerms
        The table states no date.

    Raises
    ------
    TableError
        It is the table of another version, a cell is no percentage, or there is no date.

    """
    source = terms.source(path, TITLE, url=URL)
    try:
        frame = read_cells(path)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    missing = [column for column in ("Model", *_COLUMNS) if column not in frame]
    if missing:
        raise TableError(
            f"{path}: no column {missing[0]!r}; it is the leaderboard of another version, and "
            "version 4 is read"
        )
    names = [_NAME.fullmatch(str(name).strip()) for name in frame["Model"]]
    unstated = [str(n) for n, m in zip(frame["Model"], names, strict=True) if m is None]
    notes = [f"neither FC nor Prompt, left out: {some(unstated)}"] if unstated else []
    failed = [all(str(row[c]).strip() == "0.00%" for c in _SINGLE) for _, row in frame.iterrows()]
    if any(failed):
        whose = some([str(name) for name in frame["Model"][failed]])
        notes.append(f"no single call was right, so that the run failed, left out: {whose}")
        frame = frame[~np.array(failed)]
        names = [match for match, is_failure in zip(names, failed, strict=True) if not is_failure]
    facts = {}
    cells: list[Cell] = []
    for match, (_, row) in zip(names, frame.iterrows(), strict=True):
        if match is None:
            continue
        more = match["more"].strip().lower()
        model = f"{match['model']} ({more})" if more else match["model"]
        organisation = str(row.get("Organization", "")).strip()
        facts[model] = {
            "family": organisation or None,
            "provider": organisation or None,
            "tuning": "instruct",
        }
        cells += _cells(path, row, model, match["mode"].lower(), source.title)
    return imported("bfcl", path, cells, (source,), facts=facts, notes=notes)


def _cells(path: Path, row: pd.Series, model: str, mode: str, title: str) -> Iterator[Cell]:
    for column, name in _COLUMNS.items():
        text = str(row[column]).strip()
        if text.lower() in _MISSING:
            continue
        number = text.removesuffix("%")
        try:
            percent = float(number)
        except ValueError:
            percent = float("nan")
        if number == text or not 0 <= percent <= 100:
            raise TableError(f"{path}: {model}: {column} is {text!r:.40}, not a percentage")
        yield Cell(
            model,
            f"{_BOARDS[mode]}/{name}",
            percent / 100,
            title,
            protocol="function calling" if mode == "fc" else "calls in the answer",
        )

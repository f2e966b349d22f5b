"""Rows of a table that are dated after their model's cut are left out of it."""

from __future__ import annotations

from itertools import compress
from typing import Any

from ..errors import TableError
from .facts import last_day, read_date

__all__ = ["CUT_COLUMNS", "before_cut"]

CUT_COLUMNS = ("date", "cut")
"""When a score was measured or published, and the last day from which scores may be used."""


def before_cut(columns: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the rows of a long table without its dates, and a note for each row left out.

    Parameters
    ----------
    columns : mapping of column to (n,) sequence
        With model and benchmark, and of ``CUT_COLUMNS`` those that the table has. A row without a
        date, or without a cut, stays. A date without its day is after a cut where all of its days
        are.

    Raises
    ------
    TableError
        A date is none, or there are cuts and no column of dates.

    """
    rest = {name: values for name, values in columns.items() if name not in CUT_COLUMNS}
    if "cut" not in columns:
        return rest, ()
    if "date" not in columns:
        raise TableError("a column 'cut' and no column 'date'; date the rows, or drop the cut")
    keep, notes = [], []
    rows = zip(*(columns[c] for c in ("model", "benchmark", *CUT_COLUMNS)), strict=True)
    for model, benchmark, date, cut in rows:
        dated = read_date(date, f"{model}: date of {benchmark}")
        limit = read_date(cut, f"{model}: cut")
        is_late = bool(dated and limit) and _first_day(dated) > last_day(limit).isoformat()
        keep.append(not is_late)
        if is_late:
            notes.append(f"{model}: {benchmark} is dated {dated}, after the cut {limit}; left out")
    if not any(keep):
        raise TableError(f"every row is dated after its cut: {notes[0]}")
    return {name: list(compress(values, keep)) for name, values in rest.items()}, tuple(notes)


def _first_day(iso: str) -> str:
    return iso + "-01" * (2 - iso.count("-"))

"""Rows of a table that are dated after their model's cut are left out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import TableError
from .facts import last_day, read_date

__all__ = ["CUT_COLUMNS", "before_cut"]

CUT_COLUMNS = ("date", "cut")
"""When a score was measured or published, and the last day from which scores may be used."""


def before_cut(columns: Mapping[str, Iterable[Any]]) -> tuple[list[bool] | None, tuple[str, ...]]:
    """Return which rows of a long table may be used, and a note for each that may not.

    Parameters
    ----------
    columns : mapping of name to n cells
        With model and benchmark, and of ``CUT_COLUMNS`` those that the table has. A row without a
        date, or without a cut, may be used. A date without its day is after a cut where all of its
        days are.

    Returns
    -------
    keep : list of n bool, or None
        None where the table has no cuts.
    notes : tuple of str

    Raises
    ------
    TableError
        A date is none, there are cuts and no dates, or every row is dated after its cut.

    """
    if "cut" not in columns:
        return None, ()
    if "date" not in columns:
        raise TableError("a column 'cut' and no column 'date'; date the rows, or drop the cut")
    keep, notes = [], []
    rows = (columns[name] for name in ("model", "benchmark", *CUT_COLUMNS))
    for model, benchmark, date, cut in zip(*rows, strict=True):
        dated = read_date(date, f"{model}: date of {benchmark}")
        limit = read_date(cut, f"{model}: cut")
        is_late = bool(dated and limit) and _first_day(dated) > last_day(limit).isoformat()
        keep.append(not is_late)
        if is_late:
            notes.append(f"{model}: {benchmark} is dated {dated}, after the cut {limit}; left out")
    if not any(keep):
        raise TableError(f"every row is dated after its cut: {notes[0]}")
    return keep, tuple(notes)


def _first_day(iso: str) -> str:
    return iso + "-01" * (2 - iso.count("-"))

"""Rows of a table that are dated after their model's cut are left out of it."""

from __future__ import annotations

from typing import Any

from ..errors import TableError
from .cells import Cells
from .facts import last_day, read_date

__all__ = ["CUT_COLUMNS", "before_cut"]

CUT_COLUMNS = ("date", "cut")
"""When a score was measured or published, and the last day from which scores may be used."""


def before_cut(cells: Cells) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the rows of a long table without its dates, and a note for each row left out.

    Parameters
    ----------
    cells : mapping of column to (n rows) sequence
        With the columns model and benchmark, and of ``CUT_COLUMNS`` those that it has. A row
        without a date, or without a cut, stays. A date without its day is after a cut where all of
        its days are.

    Raises
    ------
    TableError
        A date is none, or there are cuts and no column of dates.

    """
    given = [c for c in CUT_COLUMNS if c in cells]
    rest = {c: values for c, values in cells.items() if c not in given}
    if given != list(CUT_COLUMNS):
        if given == ["cut"]:
            raise TableError("a column 'cut' and no column 'date'; date the rows, or drop the cut")
        return rest, ()
    keep, notes = [], []
    rows = zip(*(cells[c] for c in ("model", "benchmark", *CUT_COLUMNS)), strict=True)
    for i, (model, benchmark, date, cut) in enumerate(rows):
        dated = read_date(date, f"{model}: date of {benchmark}")
        limit = read_date(cut, f"{model}: cut")
        if dated and limit and _first_day(dated) > last_day(limit).isoformat():
            notes.append(f"{model}: {benchmark} is dated {dated}, after the cut {limit}; left out")
        else:
            keep.append(i)
    if not keep:
        raise TableError(f"every row is dated after its cut: {notes[0]}")
    return {c: [values[i] for i in keep] for c, values in rest.items()}, tuple(notes)


def _first_day(iso: str) -> str:
    return iso + "-01" * (2 - iso.count("-"))

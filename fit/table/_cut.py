"""Rows of a table that are dated after their model's cut are left out of it."""

from __future__ import annotations

import pandas as pd

from ..errors import TableError
from .facts import last_day, read_date

__all__ = ["CUT_COLUMNS", "before_cut"]

CUT_COLUMNS = ("date", "cut")
"""When a score was measured or published, and the last day from which scores may be used."""


def before_cut(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows of a long table without its dates, and a note for each row left out.

    Parameters
    ----------
    frame : (n rows) DataFrame
        With the columns model and benchmark, and of ``CUT_COLUMNS`` those that it has. A row
        without a date, or without a cut, stays. A date without its day is after a cut where all of
        its days are.

    Raises
    ------
    TableError
        A date is none, or there are cuts and no column of dates.

    """
    given = [c for c in CUT_COLUMNS if c in frame]
    rest = frame.drop(columns=given)
    if given != list(CUT_COLUMNS):
        if given == ["cut"]:
            raise TableError("a column 'cut' and no column 'date'; date the rows, or drop the cut")
        return rest, ()
    keep, notes = [], []
    for model, benchmark, date, cut in frame[["model", "benchmark", *CUT_COLUMNS]].itertuples(
        index=False
    ):
        dated = read_date(date, f"{model}: date of {benchmark}")
        limit = read_date(cut, f"{model}: cut")
        is_late = bool(dated and limit) and _first_day(dated) > last_day(limit).isoformat()
        keep.append(not is_late)
        if is_late:
            notes.append(f"{model}: {benchmark} is dated {dated}, after the cut {limit}; left out")
    if not any(keep):
        raise TableError(f"every row is dated after its cut: {notes[0]}")
    return rest[keep], tuple(notes)


def _first_day(iso: str) -> str:
    return iso + "-01" * (2 - iso.count("-"))

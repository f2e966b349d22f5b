"""One column says whether a score can be set beside published ones."""

from __future__ import annotations

import pandas as pd

from ..errors import TableError

__all__ = ["read_marks"]

_YES, _NO = ("yes", "true", "1", "1.0"), ("no", "false", "0", "0.0")


def read_marks(scores: pd.DataFrame) -> pd.Series:
    """Return the column ``comparable`` of rows of scores as "yes", "no" or "".

    Raises
    ------
    TableError
        It holds something else.

    """
    marks = scores["comparable"].str.strip().str.lower()
    # Tables that capspace 0.1 wrote have the mark in their source only.
    unmarked = (marks == "") & scores["source"].str.contains("not comparable", case=False)
    out = marks.mask(marks.isin(_YES), "yes").mask(marks.isin(_NO) | unmarked, "no")
    wrong = scores[~out.isin(["yes", "no", ""])]
    if len(wrong):
        row = wrong.iloc[0]
        raise TableError(
            f"{row['model']}: comparable of {row['benchmark']} is {row['comparable']!r}; it is "
            "yes, no or empty"
        )
    return out

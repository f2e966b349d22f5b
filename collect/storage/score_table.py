"""Results become a score table, whatever their checkpoints are called."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from capspace.fit.table import ScoreTable

from .result import Result

__all__ = ["to_table"]


def to_table(results: Iterable[Result], *, longest_revision: int = 12) -> ScoreTable:
    """Return results as a score table.

    Two checkpoints with one name (folders called alike) get a short hash behind it.

    Parameters
    ----------
    results : iterable of Result
        What to put into it.
    longest_revision : int
        How many characters of a hash the column ``revision`` holds.

    Raises
    ------
    TableError
        Two results that no visible column tells apart disagree.

    """
    rows = list(results)
    revisions: dict[str, set[str]] = {}
    for row in rows:
        revisions.setdefault(row.model, set()).add(row.revision)
    records = [
        {
            "model": r.model
            if len(revisions[r.model]) == 1
            else f"{r.model}@{_short(r.revision, 8)}",
            "revision": _short(r.revision, longest_revision),
            "benchmark": r.benchmark,
            "score": r.score,
            "stderr": r.stderr,
            "n_items": r.n_items,
            "n_shot": r.n_shot,
            "protocol": r.protocol,
            "source": r.source,
            "comparable": "yes" if r.comparable else "no",
        }
        for r in rows
    ]
    if not records:
        return ScoreTable(pd.DataFrame(), pd.DataFrame())
    return ScoreTable.from_records(records)


def _short(revision: str, n: int) -> str:
    """Return the first characters of a hash; any other revision whole."""
    return revision[:n] if re.fullmatch("[0-9a-f]{40,}", revision) else revision

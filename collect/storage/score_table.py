"""Results become a score table, whatever their checkpoints are called."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pandas as pd

from capspace.fit.table import ScoreTable

from .mode import Mode
from .result import Result

__all__ = ["to_table"]


def to_table(results: Iterable[Result], *, longest_revision: int = 12) -> ScoreTable:
    """Return results as a score table.

    Two checkpoints with one name (folders called alike) get a short hash behind it. A model that
    was measured thinking, too, has a row for each mode: a score of one says little about another.
    Where a model did not respond in plain mode, that is among its facts.

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
    labels = [_mode(row) for row in rows]
    modes: dict[tuple[str, str], set[str]] = {}
    for row, label in zip(rows, labels, strict=True):
        modes.setdefault((row.model, row.revision), set()).add(label)

    def named(row: Result, label: str) -> str:
        alone = len(revisions[row.model]) == 1
        name = row.model if alone else f"{row.model}@{_short(row.revision, 8)}"
        is_other = "thinking" in modes[row.model, row.revision] and label != "plain"
        return f"{name} ({label})" if is_other and len(modes[row.model, row.revision]) > 1 else name

    records = [
        {
            "model": named(r, label),
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
        for r, label in zip(rows, labels, strict=True)
    ]
    if not records:
        return ScoreTable(pd.DataFrame(), pd.DataFrame())
    known = {
        named(row, label): label
        for row, label in zip(rows, labels, strict=True)
        if label != "plain"  # of a score that was imported, too, nobody may know
    }
    models = pd.DataFrame({"mode": known}) if known else None
    return ScoreTable.from_records(records, models)


def _mode(result: Result) -> str:
    identity = json.loads(result.identity) if result.identity else {}
    model = identity.get("model")
    return Mode.label_of(model) if isinstance(model, dict) else "plain"


def _short(revision: str, n: int) -> str:
    """Return the first characters of a hash; any other revision whole."""
    return revision[:n] if re.fullmatch("[0-9a-f]{40,}", revision) else revision

"""Results: one measured score with its identity, as a record, a table row and a stored row."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from capspace.fit._json import json_safe
from capspace.fit.table import ScoreTable

from .digests import canonical_json, digest

__all__ = ["DamagedResult", "Failure", "Result", "from_row", "to_row", "to_table"]


@dataclass(frozen=True, repr=False)
class Result:
    """One measured score and where it came from."""

    key: str
    """``Measurement.key``: names the result and its samples."""

    model: str
    revision: str
    benchmark: str
    score: float
    stderr: float
    """Standard error on the score's scale; NaN where lm-eval gives none."""

    n_items: int | None
    n_shot: int | None
    """None where an imported file does not say."""

    protocol: str
    source: str
    comparable: bool
    """False where the items are not the benchmark's own, so that published scores do not apply."""

    identity: str
    """Canonical JSON of the measurement's identity."""

    tasks: tuple[dict[str, Any], ...] = ()
    """Per leaf task: name, score, stderr, n_items, and the hash of its prompts."""

    provenance: dict[str, Any] = field(default_factory=dict)
    """Timings, device, batch size, versions, panel: what cannot change the score."""

    measured_at: str = ""
    """UTC time, ISO 8601."""

    def __repr__(self) -> str:
        error = "" if math.isnan(self.stderr) else f" ± {self.stderr:.4f}"
        return f"Result({self.model}, {self.benchmark}: {self.score:.4f}{error})"


@dataclass(frozen=True)
class Failure:
    """A cell whose last attempt gave no score, and why."""

    model: str
    revision: str
    benchmark: str
    reason: str
    failed_at: str = ""


@dataclass(frozen=True)
class DamagedResult:
    """A stored row that is not what was written; its names may be what is damaged."""

    row: int
    """SQLite's number of the row."""

    key: str
    model: str
    benchmark: str

    @property
    def name(self) -> str:
        """What ``capspace store remove`` calls it."""
        is_key = self.key.isascii() and self.key.isalnum()
        return self.key[:12] if is_key else f"row-{self.row}"

    @property
    def problem(self) -> str:
        """Say what it is and what to do, in one line."""
        return (
            f"the score of {self.model!r} on {self.benchmark!r} is damaged and left out; measure "
            f"it again, or drop it with 'capspace store remove {self.name}'"
        )


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


def to_row(result: Result) -> dict[str, Any]:
    """Return a result as columns and a digest over them; unknown numbers are None."""
    row = {
        "key": result.key,
        "model": result.model,
        "revision": result.revision,
        "benchmark": result.benchmark,
        "score": float(result.score),
        "stderr": None if math.isnan(result.stderr) else float(result.stderr),
        "n_items": result.n_items,
        "n_shot": result.n_shot,
        "protocol": result.protocol,
        "source": result.source,
        "comparable": int(result.comparable),
        "identity": result.identity,
        "tasks": canonical_json(json_safe(result.tasks)),
        "provenance": canonical_json(json_safe(result.provenance)),
        "measured_at": result.measured_at,
    }
    return row | {"digest": _digest(row)}


def _digest(row: dict[str, Any]) -> str:
    # SQLite finds a broken page, not a flipped bit inside a number.
    return digest(list(row.values()))


def from_row(row: dict[str, Any]) -> Result | DamagedResult:
    """Return the result that ``to_row`` made these columns of, unless they have changed since."""
    columns = dict(row)
    number, digest = columns.pop("row"), columns.pop("digest")
    try:
        if _digest(columns) != digest or not isinstance(json.loads(row["identity"]), dict):
            raise ValueError("not what was written")
        known = {
            "stderr": float("nan") if row["stderr"] is None else row["stderr"],
            "comparable": bool(row["comparable"]),
            "tasks": tuple(json.loads(row["tasks"])),
            "provenance": json.loads(row["provenance"]),
        }
    except ValueError:
        return DamagedResult(number, row["key"], row["model"], row["benchmark"])
    return Result(**columns | known)

"""A result becomes a row of the store, and comes back or is found to be damaged."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from capspace.fit._json import json_safe

from .digests import canonical_json, digest
from .result import Result

__all__ = ["DamagedResult", "from_row", "to_row"]


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
    number, stored_digest = columns.pop("row"), columns.pop("digest")
    try:
        if _digest(columns) != stored_digest or not isinstance(json.loads(row["identity"]), dict):
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

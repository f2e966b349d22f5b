"""Runs to be handed to others: which results go into one file, and what the file is called."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from capspace.collect.result import Result

__all__ = ["file_name", "limit_of", "metric_and_filter", "runs"]


def runs(results: Iterable[Result]) -> list[list[Result]]:
    """Return results grouped by model, revision and limit."""
    groups: dict[tuple[str, str, int | None], list[Result]] = {}
    for result in results:
        groups.setdefault((result.model, result.revision, limit_of(result)), []).append(result)
    return list(groups.values())


def limit_of(result: Result) -> int | None:
    """Return how many items per task were asked for; None is all."""
    limit: int | None = json.loads(result.identity).get("limit")
    return limit


def metric_and_filter(result: Result) -> tuple[str, str]:
    """Return lm-eval's names of them; "" for a metric that nobody stated."""
    identity = json.loads(result.identity)
    first = (identity.get("scores") or [identity])[0]
    return str(first.get("metric", "")), str(first.get("filter", "none"))


def file_name(name: str) -> str:
    """Return a name as a single file name: no name leads out of the folder."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "__", name).lstrip(".")
    return plain or "model"

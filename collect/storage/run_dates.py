"""Imported result files state when they were run: UTC, ISO 8601, and "" where unknown."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from .result import Result

__all__ = ["date_of_epoch", "date_of_stamp", "date_of_text", "run_date"]

_STAMP = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2})[-:](\d{2})[-:](\d{2})((?:\.\d{1,6})?)", re.ASCII)


def date_of_epoch(seconds: object) -> str:
    """Return the date of a number of seconds since 1970."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        return ""
    try:
        return _utc(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, ValueError, OSError):
        return ""


def date_of_stamp(name: str) -> str:
    """Return the date in the name that lm-eval gives a file, which is in local time."""
    match = _STAMP.search(name)
    if match is None:
        return ""
    day, hour, minute, second, fraction = match.groups()
    return date_of_text(f"{day}T{hour}:{minute}:{second}{fraction}")


def date_of_text(text: str) -> str:
    """Return the date of an ISO 8601 text or of seconds since 1970 as text."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            return date_of_epoch(float(text))
        except ValueError:
            return ""
    return _utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def run_date(result: Result) -> str:
    """Return when an imported result was measured, by its own file; "" where that is unknown."""
    stated = result.provenance.get("run_date")
    if isinstance(stated, str):
        return stated
    # Stores of version 0.1.0 hold the file's name only.
    return date_of_stamp(result.source.partition(" (sha256")[0])


def _utc(moment: datetime) -> str:
    try:
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError):
        return ""

"""A cell of a panel has a result, or it is missing for a reason."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from capspace.fit._display import SingleRow

__all__ = ["Missing", "Result", "dated", "metric_and_filter", "utc_now"]


@dataclass(frozen=True, repr=False)
class Result:
    """One measured score and where it came from.

    See Also
    --------
    Store : Holds them.
    Missing : A cell without a score.

    """

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


@dataclass(frozen=True, repr=False)
class Missing(SingleRow):
    """A cell of a panel without a score, and why.

    See Also
    --------
    Result : A cell with a score.
    Collection : Lists the cells without one.

    Examples
    --------
    >>> from capspace.collect import Missing
    >>> Missing("mine", "gsm8k", "out of memory")
    Missing(gsm8k of mine: out of memory)

    """

    model: str
    benchmark: str
    reason: str
    skipped: bool = False
    """Whether it was left out on purpose, and nothing failed."""

    revision: str = ""
    """"" where the checkpoint could not be used at all."""

    key: str = ""
    """As of the result that is missing; "" where it is not known."""

    failed_at: str = ""
    """When the last attempt failed, UTC, ISO 8601; "" where there was none or nobody noted it."""

    def __repr__(self) -> str:
        reason = " ".join(self.reason.split())
        return f"Missing({self.benchmark} of {self.model}: {reason})"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON data: what a person needs to know of it."""
        return {
            "model": self.model,
            "benchmark": self.benchmark,
            "reason": self.reason,
            "skipped": self.skipped,
        }


def metric_and_filter(result: Result) -> tuple[str, str]:
    """Return lm-eval's names of them; "" for a metric that nobody stated."""
    identity = json.loads(result.identity)
    first = (identity.get("scores") or [identity])[0]
    return str(first.get("metric", "")), str(first.get("filter", "none"))


def dated(result: Result) -> Result:
    """Return a result with the time of now where it has none."""
    return result if result.measured_at else replace(result, measured_at=utc_now())


def utc_now() -> str:
    """Return the time as results and failures state it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")

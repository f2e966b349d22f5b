"""The track record of a verdict is how often such verdicts were right on models left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._display import SingleRow, counted
from .._json import json_dict
from ..reference.left_out import LeftOut

__all__ = ["TrackRecord", "skips_and_rights", "track_record"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class TrackRecord(SingleRow):
    """How verdicts of a kind went on models that were left out of the fits.

    Attributes
    ----------
    n : int
        Models whose score on the target is known.
    skipped : int
        Of these, runs that the verdict would have saved.
    right : int
        Of the saved ones, those where the prediction was right: on the right side of the threshold,
        or within the tolerance.
    n_all, skipped_all, right_all : int
        The same over all targets of the reference, for a threshold at the same rank.

    See Also
    --------
    Verdict : Has one as ``record``.
    judge_run : Makes it.

    Examples
    --------
    >>> from capspace.fit import TrackRecord
    >>> record = TrackRecord(n=5, skipped=3, right=2, n_all=50, skipped_all=30, right_all=20)
    >>> record.to_frame()["right"].tolist()
    [2]

    """

    n: int
    skipped: int
    right: int
    n_all: int
    skipped_all: int
    right_all: int

    def __str__(self) -> str:
        if not self.n:
            return "no model was left out to test such verdicts on"
        saved = f"{self.right} of {self.skipped} right" if self.skipped else "none was to skip"
        own = counted(self.n, "model")
        saved_all = _share(self.skipped_all, self.n_all)
        return (
            f"such verdicts on {own} left out: {self.skipped} skipped, {saved}; over all targets: "
            f"{saved_all} of {self.n_all:,} runs saved, "
            f"{_share(self.right_all, self.skipped_all)} of them correctly"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping."""
        return json_dict(vars(self))


def track_record(
    left_out: LeftOut, target: str, *, threshold: float | None, tolerance: float | None
) -> TrackRecord:
    """Return how verdicts at 90% with this threshold, or tolerance, went on a target.

    Over all targets, a threshold stands for the same rank among each target's scores.
    """
    own = left_out.of(target)
    skipped, right = skips_and_rights(own, threshold=threshold, tolerance=tolerance)
    rank = None if threshold is None else _rank(own, threshold)
    totals = [0, 0, 0]
    for name in left_out.names:
        part = left_out.of(name)
        at = None if rank is None else float(np.quantile(part.score, rank))
        s, r = skips_and_rights(part, threshold=at, tolerance=tolerance)
        totals = [totals[0] + len(part), totals[1] + int(s.sum()), totals[2] + int((s & r).sum())]
    return TrackRecord(len(own), int(skipped.sum()), int((skipped & right).sum()), *totals)


def skips_and_rights(
    part: LeftOut, *, threshold: float | None, tolerance: float | None
) -> tuple[Mask, Mask]:
    """Return which runs (n,) a verdict would save, and which predictions (n,) were right."""
    if threshold is not None:
        skipped = (part.lower > threshold) | (part.upper < threshold)
        right = (part.score >= threshold) == (part.predicted >= threshold)
    else:
        allowed = 0.0 if tolerance is None else tolerance
        skipped = (part.upper - part.lower) / 2 <= allowed
        right = np.abs(part.score - part.predicted) <= allowed
    return np.asarray(skipped), np.asarray(right)


def _rank(own: LeftOut, threshold: float) -> float:
    return float(np.mean(own.score < threshold)) if len(own) else 0.5


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "none"

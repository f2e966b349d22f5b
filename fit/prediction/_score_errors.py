"""Scores of a new model may lie off those that the training models' own sources would measure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import hypot, sqrt

import numpy as np

from ..reference import Reference
from ..reference._source_spread import SourceSpread, source_spread
from ..table._table import ScoreTable
from ..table.sampling import binomial_stderr, sampling_errors

__all__ = ["ScoreError", "score_errors", "widened"]


@dataclass(frozen=True)
class ScoreError:
    """How far one score of a new model may lie from what the reference would hold.

    Attributes
    ----------
    sampling : float
        Standard deviation of its sampling error, as far as that of a run of all items falls short.
    source : str
        Who measured it; "" where that is not stated.
    spread : SourceSpread or None
        How far that source is from the reference's own; None where it is one of those.

    Notes
    -----
    The laws were fitted to scores of full runs, so that sampling errors of their size are among
    the errors of the back-tests, and in the intervals. With v the variance of the score and w that
    of a full run, v − w is left, if it is positive. Where the number of items of a full run is not
    known, w is 0; where nothing is known of the score's own error, v is w.

    """

    sampling: float
    source: str
    spread: SourceSpread | None

    @property
    def offset(self) -> float:
        """What scores of the same source share, on the scale of the scores."""
        return 0.0 if self.spread is None else self.spread.pair.offset

    @property
    def own(self) -> float:
        """Standard deviation of what is this score's own."""
        apart = 0.0 if self.spread is None else self.spread.pair.spread_of_next()
        return hypot(apart, self.sampling)

    @property
    def deviation(self) -> float:
        """Root mean square of both."""
        return hypot(self.offset, self.own)


def score_errors(
    table: ScoreTable, model: str, reference: Reference, benchmarks: Collection[str]
) -> dict[str, ScoreError]:
    """Return by benchmark the errors of a model's scores, of those that have any.

    Parameters
    ----------
    table : ScoreTable
        Fractions; the model has one score on a benchmark.
    model : str
        One of the table's.
    reference : Reference
        Whose laws predict the model.
    benchmarks : collection of str
        Which of its scores are used.

    """
    rows = table.rows
    errors = sampling_errors(rows)
    cells = zip(rows["model"], rows["benchmark"], strict=True)
    own = {b: i for i, (m, b) in enumerate(cells) if m == model and b in benchmarks}
    spreads = source_spread(reference, {b: rows["source"][i] for b, i in own.items()})
    made = {
        benchmark: ScoreError(
            _beyond_a_full_run(
                float(rows["score"][i]), float(errors[i]), reference.benchmarks[benchmark].n_items
            ),
            str(rows["source"][i]).strip(),
            spreads.get(benchmark),
        )
        for benchmark, i in own.items()
    }
    return {benchmark: error for benchmark, error in made.items() if error.deviation > 0}


def widened(model: str, errors: Mapping[str, ScoreError]) -> list[str]:
    """Return in a line each which intervals are wider than usual, and why."""
    lines = []
    apart = {b: e.spread.deviation for b, e in errors.items() if e.spread is not None}
    if apart:
        parts = (f"{b} {100 * deviation:.1f}" for b, deviation in apart.items())
        lines.append(
            f"{model}: measured by another source than the reference's; its intervals include by "
            f"how many points the two differ: {', '.join(parts)}"
        )
    noisy = {b: e.sampling for b, e in errors.items() if e.sampling > _WORTH_A_WORD}
    if noisy:
        parts = (f"{b} {100 * deviation:.1f}" for b, deviation in noisy.items())
        lines.append(
            f"{model}: measured on fewer items than all; its intervals include by how many points "
            f"more that errs: {', '.join(parts)}"
        )
    return lines


_WORTH_A_WORD = 0.01


def _beyond_a_full_run(score: float, stderr: float, n_items: int | None) -> float:
    if np.isnan(stderr):
        return 0.0
    usual = 0.0 if n_items is None else float(binomial_stderr(score, n_items))
    return sqrt(max(0.0, stderr**2 - usual**2))

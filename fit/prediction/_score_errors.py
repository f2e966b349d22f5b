"""Scores of a new model may differ from those that the reference's own sources would measure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import hypot

from ..reference import Reference
from ..reference._sampling_noise import sampling_noise
from ..reference._source_spread import SourceSpread, from_elsewhere, source_spread
from ..table._table import ScoreTable

__all__ = ["ScoreError", "score_errors", "widened", "without_offsets"]


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
    the errors of the back-tests, and in the intervals; see ``sampling_noise`` for what is left.

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
    own = _sources(table, model, benchmarks)
    names = list(own)
    spreads = source_spread(reference, own)
    noise = sampling_noise(table, model, reference, names).tolist()
    made = {b: ScoreError(n, own[b], spreads.get(b)) for b, n in zip(names, noise, strict=True)}
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


def without_offsets(table: ScoreTable, models: Collection[str], reference: Reference) -> str:
    """Return in a line which scores' distance from the reference's source is not counted."""
    known = reference.benchmarks
    elsewhere = {m: from_elsewhere(reference, _sources(table, m, known)) for m in models}
    named = {b: None for benchmarks in elsewhere.values() for b in benchmarks}
    if not named:
        return ""
    who = ", ".join(model for model, benchmarks in elsewhere.items() if benchmarks)
    return (
        f"{who}: measured by another source than the reference's ({', '.join(named)}); by how much "
        "the two differ is not counted, as these laws were fitted now: differences between models "
        "of one source are less moved by it than those between two"
    )


def _sources(table: ScoreTable, model: str, benchmarks: Collection[str]) -> dict[str, str]:
    """Return who measured each of a model's scores."""
    rows = table.rows
    return {
        b: str(source).strip()
        for m, b, source in zip(rows["model"], rows["benchmark"], rows["source"], strict=True)
        if m == model and b in benchmarks
    }


_WORTH_A_WORD = 0.01

"""Scores from another source scatter about those that the reference's own would measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot, isfinite

from ..table._source_offsets import SourceOffset
from ._reference import Reference

__all__ = ["SourceSpread", "from_elsewhere", "source_spread"]


@dataclass(frozen=True)
class SourceSpread:
    """How far a benchmark's score may lie from what the reference's own source would measure.

    Attributes
    ----------
    benchmark : str
    deviation : float
        Root mean square, on the scale of the scores.
    pair : SourceOffset
        The two sources that it is known from.

    """

    benchmark: str
    deviation: float
    pair: SourceOffset


def source_spread(reference: Reference, sources: Mapping[str, str]) -> dict[str, SourceSpread]:
    """Return the spread of those of a model's scores that come from another source.

    Parameters
    ----------
    reference : Reference
        It states how far its sources lie from others (``offsets``).
    sources : mapping of benchmark to str
        Who measured each of the model's scores; "" where that is not stated.

    Notes
    -----
    A score is of the reference's own kind where its source is one that the reference names, and
    where none is stated and the reference holds what many vendors report: what lies between two
    vendors is among the errors of its back-tests. Any other score has the root mean square of the
    difference, √(offset² + spread²), of the pair that names its source; else the largest of the
    pairs of one own source and another one that agree; else of two own sources. Offset and spread
    are those of a model that only one of them measured. Two sources of one target are no such case:
    back-tests are scored on its cells as they are, of either source.

    Examples
    --------
    >>> from capspace.fit import load_reference
    >>> from capspace.fit.reference._source_spread import source_spread
    >>> list(source_spread(load_reference("epoch-2026"), {"GPQA-diamond": "measured at home"}))
    ['GPQA-diamond']

    """
    own = {_plain(s.title) for s in reference.about.sources} if reference.about else set()
    spreads = {}
    for benchmark, text in sources.items():
        if _is_own(text, own, reference):
            continue
        pairs = [
            pair
            for pair in reference.offsets.pairs
            if pair.benchmark == benchmark and pair.is_judged and isfinite(pair.spread)
        ]
        chosen = _chosen(pairs, text, own)
        if chosen:
            largest = max(chosen, key=_deviation)
            spreads[benchmark] = SourceSpread(benchmark, _deviation(largest), largest)
    return spreads


def from_elsewhere(reference: Reference, sources: Mapping[str, str]) -> list[str]:
    """Return the benchmarks whose score another source than the reference's own measured."""
    own = {_plain(s.title) for s in reference.about.sources} if reference.about else set()
    return [b for b, text in sources.items() if text.strip() and not _is_own(text, own, reference)]


def _is_own(text: str, own: set[str], reference: Reference) -> bool:
    if not text.strip():
        return reference.kind != "single-protocol"
    named = _plain(text)
    is_named = any(title in named or named in title for title in own)
    return is_named or bool((reference.table.rows["source"] == text).any())


def _chosen(pairs: list[SourceOffset], text: str, own: set[str]) -> list[SourceOffset]:
    """Return the pairs that say most of a source."""
    named = _plain(text)
    ends = [{_plain(pair.source), _plain(pair.other)} for pair in pairs]
    crossing = [p for p, e in zip(pairs, ends, strict=True) if e & own and e - own]
    inside = [p for p, e in zip(pairs, ends, strict=True) if e <= own]
    by_name = [p for p in crossing if named in (_plain(p.source), _plain(p.other))]
    agreeing = ([p for p in group if not p.problem] for group in (crossing, inside))
    return by_name or next(filter(None, agreeing), [])


def _deviation(pair: SourceOffset) -> float:
    return hypot(pair.offset, pair.spread_of_next())


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())

"""Two sources of one benchmark may differ; their offset and its spread are estimated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from .._display import counted, frame_html
from ..errors import UnknownNameError
from ._table import ScoreTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SourceAgreement",
    "SourceOffset",
    "SourceOffsets",
    "compare_sources",
    "scaffold_offsets",
    "source_offsets",
]

_LEAST_SHARED = 3
_LEAST_JUDGED = 5
_LARGEST_OFFSET = 0.05
_LEAST_R = 0.8
_SD_OF_NORMAL = float(np.sqrt(np.pi / 2))  # over the mean absolute deviation
_ROUNDING = 5e-4


@dataclass(frozen=True)
class SourceOffset:
    """How far one source's scores of a benchmark lie above another's.

    Attributes
    ----------
    benchmark, source, other : str
    n_shared : int
        Models that both measured.
    offset : float
        Median of ``source`` minus ``other``, on the scale of the scores.
    spread : float
        Standard deviation of the difference of one model from the offset; NaN for fewer than three
        shared models.
    r : float
        Correlation of the two over the shared models; NaN for fewer than three of them, or where
        one source does not vary.
    n_equal : int
        Shared models on which both state the same score, as they do where one copies the other.

    See Also
    --------
    SourceOffsets : Those of a whole table.
    source_offsets, scaffold_offsets : Make them.

    """

    benchmark: str
    source: str
    other: str
    n_shared: int
    offset: float
    spread: float
    r: float
    n_equal: int

    @property
    def problem(self) -> str:
        """Why the two agree badly, in a few words; "" where they do not, or too few are shared."""
        return _problem(self.n_shared, self.offset, self.r)

    @property
    def is_judged(self) -> bool:
        """Whether enough models are shared to tell whether the two agree."""
        return self.n_shared >= _LEAST_JUDGED

    def spread_of_next(self) -> float:
        """Return the standard deviation of the difference of a model that only one measured.

        Notes
        -----
        spread · √(1 + π/(2n)): the offset itself, a median, is known from n models only. Its square
        is added to the variance of a prediction that is to be compared with the other source.

        """
        return float(self.spread * np.sqrt(1 + np.pi / (2 * self.n_shared)))


@dataclass(frozen=True)
class SourceAgreement:
    """How well a source agrees with all others of a table, over every cell that it shares.

    Attributes
    ----------
    source : str
    n_shared : int
        Its cells that another source has too.
    offset : float
        Median of its scores minus the mean of the others'.
    r : float
        Correlation with the mean of the others, each benchmark about its own mean; NaN for fewer
        than three cells.

    """

    source: str
    n_shared: int
    offset: float
    r: float

    @property
    def problem(self) -> str:
        """Why it agrees badly, in a few words; "" where it does not, or too few are shared."""
        return _problem(self.n_shared, self.offset, self.r)


@dataclass(frozen=True, repr=False)
class SourceOffsets:
    """The offsets between all sources of a table that share models.

    Attributes
    ----------
    pairs : tuple of SourceOffset
        One per benchmark and pair of sources, in order of the benchmarks.
    agreements : tuple of SourceAgreement
        One per source that shares cells with another.

    See Also
    --------
    source_offsets, scaffold_offsets : Make one.
    BuiltReference : States those of its sources.

    Examples
    --------
    >>> from capspace.fit import ScoreTable, source_offsets
    >>> rows = [
    ...     {"model": "a", "benchmark": "GPQA", "score": s, "protocol": p, "source": p}
    ...     for p, s in [("board", 0.4), ("vendor", 0.43)]
    ... ]
    >>> source_offsets(ScoreTable.from_records(rows))
    SourceOffsets(1 pair)

    """

    pairs: tuple[SourceOffset, ...]
    agreements: tuple[SourceAgreement, ...] = ()

    def __repr__(self) -> str:
        return f"SourceOffsets({counted(len(self.pairs), 'pair')})"

    def _repr_html_(self) -> str:
        return frame_html(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per pair: the attributes of ``SourceOffset``, and its problem."""
        import pandas as pd

        names = [*(f.name for f in fields(SourceOffset)), "problem"]
        return pd.DataFrame([[getattr(p, n) for n in names] for p in self.pairs], columns=names)

    def rounded(self, digits: int) -> SourceOffsets:
        """Return the same with offsets, spreads and correlations of so many digits."""
        pairs = (
            replace(
                p,
                offset=round(p.offset, digits),
                spread=round(p.spread, digits),
                r=round(p.r, digits),
            )
            for p in self.pairs
        )
        return replace(self, pairs=tuple(pairs))

    def disagreeing(self) -> tuple[SourceOffset, ...]:
        """Return the pairs that agree badly."""
        return tuple(pair for pair in self.pairs if pair.problem)

    def between(self, benchmark: str, source: str, other: str) -> SourceOffset | None:
        """Return how far ``source`` lies above ``other`` on a benchmark; None if unknown."""
        for pair in self.pairs:
            if pair.benchmark == benchmark and {pair.source, pair.other} == {source, other}:
                turned = replace(pair, source=source, other=other, offset=-pair.offset)
                return pair if pair.source == source else turned
        return None

    def spread(self, benchmark: str) -> float:
        """Return the largest spread between two sources of a benchmark that agree; NaN if none.

        It is that of a model that only one of them measured (``spread_of_next``).
        """
        known = [
            pair.spread_of_next()
            for pair in self.pairs
            if pair.benchmark == benchmark and pair.is_judged and not pair.problem
        ]
        return max(known, default=float("nan"))


def source_offsets(table: ScoreTable, benchmarks: Iterable[str] | None = None) -> SourceOffsets:
    """Return the offset between each two sources that measured the same models on a benchmark.

    Parameters
    ----------
    table : ScoreTable
        Rows of one model and benchmark by two sources differ in their protocol, as two rows of one
        key may not contradict each other. A model that a source has several scores of enters with
        their mean.
    benchmarks : iterable of str, optional
        Only these; all by default.

    See Also
    --------
    scaffold_offsets : Between the scaffolds of one board.
    SourceOffsets : What is returned.

    Notes
    -----
    The offset is the median of the differences d. The spread is √(π/2) · mean |d − median|
    · √(n/(n−1)), which equals the standard deviation for a normal distribution. Unlike the median
    of absolute deviations it is not 0 where one source has copied most of its scores from the
    other; unlike the standard deviation it is not ruled by one typing error.

    Two sources agree badly if they share five models or more, and lie more than 5 points apart or
    correlate with less than 0.8.

    Examples
    --------
    >>> from capspace.fit import ScoreTable, source_offsets
    >>> rows = [
    ...     {"model": m, "benchmark": "GPQA", "score": s + d, "protocol": p, "source": p}
    ...     for m, s in [("a", 0.4), ("b", 0.5), ("c", 0.7)]
    ...     for p, d in [("board", 0.01), ("vendor", 0.03)]
    ... ]
    >>> pair = source_offsets(ScoreTable.from_records(rows)).pairs[0]
    >>> (pair.source, pair.other, pair.n_shared, round(pair.offset, 3))
    ('board', 'vendor', 3, -0.02)

    """
    import pandas as pd

    wanted = table.benchmarks if benchmarks is None else list(benchmarks)
    pairs: list[SourceOffset] = []
    shared: dict[str, list[pd.DataFrame]] = {}
    for benchmark in wanted:
        rows = table.scores[table.scores["benchmark"] == benchmark]
        if rows["source"].nunique() < 2:
            continue
        wide = rows.pivot_table(index="model", columns="source", values="score", sort=False)
        for source, other in combinations(wide.columns, 2):
            pair = compare_sources(benchmark, {source: wide[source], other: wide[other]})
            pairs += [pair] if pair is not None else []
        for source in wide.columns:
            others = wide.drop(columns=source).mean(axis=1)
            both = pd.DataFrame({"own": wide[source], "others": others}).dropna()
            if len(both):
                shared.setdefault(str(source), []).append(both)
    agreements = [_agreement(source, parts) for source, parts in shared.items()]
    return SourceOffsets(tuple(pairs), tuple(agreements))


def scaffold_offsets(table: ScoreTable, boards: Iterable[str]) -> SourceOffsets:
    """Return the offset between each two scaffolds by which the same models ran a board.

    Parameters
    ----------
    table : ScoreTable
        Its targets are named ``board/scaffold``, such as ``swe-bench-verified/vendor``.
    boards : iterable of str
        The boards of which what stands behind the slash is a scaffold, and no part of the board.

    Raises
    ------
    UnknownNameError
        There is no target of a board.

    See Also
    --------
    source_offsets : Between the sources of a table.

    Examples
    --------
    >>> from capspace.fit import load_reference, scaffold_offsets
    >>> epoch = load_reference("epoch-2026")
    >>> pair = scaffold_offsets(epoch.table, ["swe-bench-verified"]).pairs[0]
    >>> sorted((pair.source, pair.other))
    ['epoch', 'mini-swe-agent']

    """
    wanted = list(boards)
    split = table.scores["benchmark"].str.partition("/")
    rows = table.scores.assign(benchmark=split[0], source=split[2], protocol=split[2])
    rows = rows[rows["benchmark"].isin(wanted) & (rows["source"] != "")]
    missing = [board for board in wanted if board not in set(rows["benchmark"])]
    if missing:
        raise UnknownNameError(f"no target is called {missing[0]}/SCAFFOLD")
    return source_offsets(ScoreTable(rows, table.models.iloc[:0]))


def compare_sources(benchmark: str, scores: dict[str, pd.Series]) -> SourceOffset | None:
    """Return how far the first of two sources lies above the second; None if they share no model.

    Parameters
    ----------
    benchmark : str
        Its name, for the result.
    scores : mapping of source to Series by model
        Of exactly two sources.

    """
    import pandas as pd

    (source, own), (other, its) = scores.items()
    both = pd.DataFrame({0: own, 1: its}).dropna().to_numpy(dtype=float)
    n = len(both)
    if n == 0:
        return None
    difference = both[:, 0] - both[:, 1]
    offset = float(np.median(difference))
    spread = float("nan")
    if n >= _LEAST_SHARED:
        deviation = float(np.mean(np.abs(difference - offset)))
        spread = _SD_OF_NORMAL * deviation * float(np.sqrt(n / (n - 1)))
    equal = int(np.sum(np.abs(difference) < _ROUNDING))
    return SourceOffset(benchmark, str(source), str(other), n, offset, spread, _r(both), equal)


def _agreement(source: str, parts: list[pd.DataFrame]) -> SourceAgreement:
    difference = np.concatenate([(part["own"] - part["others"]).to_numpy() for part in parts])
    centred = np.concatenate([(part - part.mean()).to_numpy() for part in parts])
    return SourceAgreement(source, len(difference), float(np.median(difference)), _r(centred))


def _r(both: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> float:
    """Return the correlation of two columns (n, 2); NaN where it is not defined."""
    if len(both) < _LEAST_SHARED or np.ptp(both, axis=0).min() == 0:
        return float("nan")
    return float(np.corrcoef(both[:, 0], both[:, 1])[0, 1])


def _problem(n_shared: int, offset: float, r: float) -> str:
    if n_shared < _LEAST_JUDGED:
        return ""
    if abs(offset) > _LARGEST_OFFSET:
        return f"{100 * abs(offset):.1f} points apart"
    return f"r only {r:.2f}" if r < _LEAST_R else ""

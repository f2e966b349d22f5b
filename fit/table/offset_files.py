"""Offsets between sources are written as CSV, and read back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from math import isfinite, isnan
from pathlib import Path
from typing import Any

from .._files import write_whole
from ..errors import TableError
from ._source_offsets import SourceOffset, SourceOffsets
from .cells import Cells, cell_numbers, cell_texts, read_columns

__all__ = ["OFFSETS", "read_offsets", "write_offsets"]

OFFSETS = "offsets.csv"
"""The file of a reference's folder that states how far sources are apart."""
_NAMES = ("benchmark", "source", "other")
_COUNTS = ("n_shared", "n_equal")
_MOST = 2.0**53


def write_offsets(offsets: SourceOffsets, path: Path) -> None:
    """Write the pairs as CSV, a row each; ``read_offsets`` reads them back."""
    names = [f.name for f in fields(SourceOffset)]
    write_whole(path, offsets.to_frame()[names].to_csv(index=False, lineterminator="\n"))


def read_offsets(path: Path) -> SourceOffsets:
    """Read the pairs that ``write_offsets`` wrote.

    Raises
    ------
    TableError
        There is no such file, it is no such table, or a number of it cannot be.

    """
    try:
        cells = read_columns(path)
        names = [f.name for f in fields(SourceOffset)]
        missing = [name for name in names if name not in cells]
        if missing:
            raise TableError(f"no column {missing[0]!r}")
        pairs = [
            SourceOffset(*row)
            for row in zip(*(_column(cells, name) for name in names), strict=True)
        ]
        _check(pairs)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    return SourceOffsets(tuple(pairs))


def _column(cells: Cells, name: str) -> list[Any]:
    """Return the cells of a column: names, counts, or numbers."""
    if name in _NAMES:
        return cell_texts(cells[name], name)
    numbers: list[float] = cell_numbers(cells[name], cells["benchmark"], name).tolist()
    if name not in _COUNTS:
        return numbers
    for benchmark, number in zip(cells["benchmark"], numbers, strict=True):
        if not (0 <= number <= _MOST and number.is_integer()):
            raise TableError(f"{benchmark}: {name} is {number:g}; it is a whole number from 0 on")
    return list(map(int, numbers))


def _check(pairs: Iterable[SourceOffset]) -> None:
    """Refuse numbers that cannot be, and two rows of one pair."""
    known: set[tuple[str, frozenset[str]]] = set()
    for pair in pairs:
        if not (pair.benchmark and pair.source and pair.other):
            raise TableError("a row has no benchmark, source or other")
        ends = frozenset((pair.source, pair.other))
        about = f"{pair.benchmark}, {pair.source} and {pair.other}"
        if len(ends) < 2 or (pair.benchmark, ends) in known:
            raise TableError(f"{about}: there are two sources in a row, and a row for each two")
        known.add((pair.benchmark, ends))
        if not isfinite(pair.offset):
            raise TableError(f"{about}: offset is {pair.offset:g}; it is a finite number")
        if not (isnan(pair.spread) or (pair.spread >= 0 and isfinite(pair.spread))):
            raise TableError(f"{about}: spread is {pair.spread:g}; it is 0 or more, or empty")
        if not (isnan(pair.r) or -1 <= pair.r <= 1):
            raise TableError(f"{about}: r is {pair.r:g}; it lies in [-1, 1], or is empty")
        if pair.n_equal > pair.n_shared:
            raise TableError(f"{about}: n_equal is {pair.n_equal}, more than n_shared")

"""Offsets between sources are written as CSV, and read back."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from .._files import write_whole
from ..errors import TableError
from ._source_offsets import SourceOffset, SourceOffsets
from .cells import cell_numbers, read_columns

__all__ = ["OFFSETS", "read_offsets", "write_offsets"]

OFFSETS = "offsets.csv"
"""The file of a reference's folder that states how far sources are apart."""


def write_offsets(offsets: SourceOffsets, path: Path) -> None:
    """Write the pairs as CSV, a row each; ``read_offsets`` reads them back."""
    names = [f.name for f in fields(SourceOffset)]
    write_whole(path, offsets.to_frame()[names].to_csv(index=False, lineterminator="\n"))


def read_offsets(path: Path) -> SourceOffsets:
    """Read the pairs that ``write_offsets`` wrote.

    Raises
    ------
    TableError
        There is no such file, or it is no such table.

    """
    try:
        cells = read_columns(path)
        names = [f.name for f in fields(SourceOffset)]
        missing = [name for name in names if name not in cells]
        if missing:
            raise TableError(f"no column {missing[0]!r}")
        values = {
            name: cell_numbers(cells[name], cells["source"], name).tolist() for name in names[3:]
        }
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    values |= {name: list(map(int, values[name])) for name in ("n_shared", "n_equal")}
    rows = zip(*({**cells, **values}[name] for name in names), strict=True)
    return SourceOffsets(tuple(SourceOffset(*row) for row in rows))

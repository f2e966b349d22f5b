"""Offsets between sources are written as CSV, and read back."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from .._files import write_whole
from ..errors import TableError
from ._source_offsets import SourceOffset, SourceOffsets
from .cells import as_numbers, read_cells

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
        frame = read_cells(path)
        names = [f.name for f in fields(SourceOffset)]
        missing = [name for name in names if name not in frame]
        if missing:
            raise TableError(f"no column {missing[0]!r}")
        numbers = names[3:]
        values = {name: as_numbers(frame[name], frame["source"]) for name in numbers}
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    frame = frame.assign(**values).astype({"n_shared": int, "n_equal": int})
    return SourceOffsets(tuple(SourceOffset(*row) for row in frame[names].itertuples(index=False)))

"""The score table is the one contract between gathering scores and fitting."""

from ._source_offsets import SourceOffset, SourceOffsets, scaffold_offsets, source_offsets
from ._table import ScoreTable
from .readers import read_table
from .writers import write_table

__all__ = [
    "ScoreTable",
    "SourceOffset",
    "SourceOffsets",
    "read_table",
    "scaffold_offsets",
    "source_offsets",
    "write_table",
]

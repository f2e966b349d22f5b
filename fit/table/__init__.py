"""The score table is the one contract between gathering scores and fitting."""

from ._table import ScoreTable
from .readers import read_table
from .writers import write_table

__all__ = ["ScoreTable", "read_table", "write_table"]

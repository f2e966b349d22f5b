"""The score table, the one contract between gathering scores and fitting, and its readers."""

from .readers import read_table
from .table import ScoreTable
from .writers import write_table

__all__ = ["ScoreTable", "read_table", "write_table"]

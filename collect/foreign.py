"""Result files that others wrote: lm-eval's, old and new, and tables of scores."""

from __future__ import annotations

from pathlib import Path

from capspace.collect.errors import ImportFileError
from capspace.collect.foreign_run import read_run
from capspace.collect.foreign_score import ForeignScore
from capspace.collect.foreign_table import read_score_table

__all__ = ["ForeignScore", "read_foreign"]


def read_foreign(path: Path) -> list[ForeignScore]:
    """Return the scores of a file.

    Parameters
    ----------
    path : Path
        lm-eval's ``results_*.json`` (with ``samples_*.jsonl`` beside it), a result file of the Open
        LLM Leaderboard, or a long, tidy or wide CSV or Parquet table.

    Raises
    ------
    ImportFileError
        It is none of these.

    """
    if not path.is_file():
        raise ImportFileError(f"{path}: there is no such file")
    found = list(read_run(path) if path.suffix == ".json" else read_score_table(path))
    if not found:
        raise ImportFileError(f"{path}: there are no scores in it")
    return found

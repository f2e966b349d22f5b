"""A file written by another tool is recognised, and read by the module for its format."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from ..errors import ImportFileError
from .eee_import import is_every_eval_ever, read_every_eval_ever
from .external_run import read_run
from .external_score import ExternalFile, ExternalScore
from .external_table import read_score_table
from .model_names import ModelName

__all__ = ["ExternalFile", "ExternalScore", "read_external"]


def read_external(path: Path, *, model: ModelName | None = None) -> ExternalFile:
    """Return the scores of a file.

    Parameters
    ----------
    path : Path
        lm-eval's ``results_*.json`` (with ``samples_*.jsonl`` beside it), a result file of the Open
        LLM Leaderboard, a record of Every Eval Ever, or a long, tidy or wide CSV or Parquet table.
    model : ModelName, optional
        Which model it is about; by default what it says itself.

    Raises
    ------
    ImportFileError
        It is none of these, or there is no score in it.

    """
    if not path.is_file():
        raise ImportFileError(f"{path}: there is no such file")
    if path.suffix.lower() == ".json":
        text = _text(path)
        read = read_every_eval_ever if is_every_eval_ever(text) else read_run
        file = read(path, text, model=model)
    else:
        file = read_score_table(path)
        if model is not None:
            named = (
                replace(score, model=model.model, revision=model.revision or score.revision)
                for score in file.scores
            )
            file = replace(file, scores=tuple(named))
    if not file.scores:
        why = f"no score in it can be taken: {file.left_out[0]}" if file.left_out else ""
        raise ImportFileError(f"{path}: {why or 'it contains no scores'}")
    return file


def _text(path: Path) -> str:
    """Return the text of a JSON file, with or without a byte-order mark."""
    try:
        raw = path.read_bytes()
        return raw.decode(json.detect_encoding(raw))
    except OSError as error:
        raise ImportFileError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ImportFileError(f"{path}: not JSON ({error.reason})") from None

"""An external score is represented as its file states it, with types and ranges checked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, FiniteFloat, ValidationError
from pydantic.dataclasses import dataclass

from .model_names import ModelName

__all__ = [
    "Count",
    "ExternalFile",
    "ExternalScore",
    "Name",
    "first_problem",
    "no_score",
    "no_stderr",
]

# Names become parts of file names, whose length has bounds.
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
# A model may be called by a whole path, and an adapter's behind it.
ModelPath = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
Count = Annotated[int, Field(ge=0, le=2**53)]


@dataclass(frozen=True, config=ConfigDict(strict=True))
class ExternalScore:
    """One score as a file states it; None and "" where it states nothing."""

    model: ModelPath
    revision: str
    task: Name
    """lm-eval's task, or the benchmark's label in a table."""

    score: FiniteFloat
    stderr: float = math.nan
    metric: str = ""
    filter: str = "none"
    n_shot: Count | None = None
    n_items: Count | None = None
    version: str = ""
    """lm-eval's version of the task."""

    harness: str = ""
    conditions: tuple[str, ...] = ()
    """What else may move the score: a limit, a chat template, other generation settings."""

    setup: str = ""
    """Model class and dtype, as our own protocols name them; not part of an identity."""

    protocol: str = ""
    """The protocol in the words of a score table."""

    source: str = ""
    samples: Path | None = None
    run_date: str = ""
    """When it was measured, by the file's own words: UTC, ISO 8601."""


@dataclass(frozen=True)
class ExternalFile:
    """What a file holds.

    Attributes
    ----------
    scores : tuple of ExternalScore
    left_out : tuple of str
        What of it was not taken: which cell, and what it holds instead of a score.
    notes : tuple of str
        What else is worth knowing.
    about : tuple of ModelName
        Which models it is about by its own words, whatever the scores' model was set to.

    """

    scores: tuple[ExternalScore, ...]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    about: tuple[ModelName, ...] = ()


_SENTINELS = {-1.0, 999.0, -999.0, 9999.0, -9999.0}


def no_score(value: object) -> str:
    """Return what a cell holds instead of a score, or "" for a number that may be one.

    Numbers by which harnesses and tables stand in for "not measured" are none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"{value!r:.60}"
    if not math.isfinite(_float(value)):
        return f"{_float(value)!r}"
    return f"{value:g}, which stands for no score" if value in _SENTINELS else ""


def no_stderr(value: object) -> str:
    """Return what a cell holds instead of a standard error, or "" for one that may be."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"{value!r:.60}, which is no number"
    number = _float(value)
    usable = math.isfinite(number) and number >= 0 and number not in _SENTINELS
    return "" if usable else f"{number:g}"


def _float(value: float) -> float:
    """Return a number as a float; an integer too large for one is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def first_problem(error: ValidationError) -> str:
    """Return in one line which field is wrong, why, and what was found there."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))[:100]
    given = "" if isinstance(first["input"], (dict, list)) else f", not {first['input']!r:.60}"
    return f"{place}{': ' if place else ''}{first['msg'].removeprefix('Value error, ')}{given}"

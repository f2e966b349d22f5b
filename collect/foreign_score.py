"""A score as a file of others states it, with types and ranges that hold."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, FiniteFloat, ValidationError
from pydantic.dataclasses import dataclass

__all__ = ["Count", "ForeignScore", "Name", "first_problem"]

# Names become parts of file names, whose length has bounds.
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Count = Annotated[int, Field(ge=0, le=2**53)]


def _is_error(value: float) -> float:
    if value < 0 or math.isinf(value):
        raise ValueError("a standard error is at least 0, and finite")
    return value


StandardError = Annotated[float, AfterValidator(_is_error)]


@dataclass(frozen=True, config=ConfigDict(strict=True))
class ForeignScore:
    """One score as a file states it; None and "" where it states nothing."""

    model: Name
    revision: str
    task: Name
    """lm-eval's task, or the benchmark's label in a table."""

    score: FiniteFloat
    stderr: StandardError = math.nan
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


def first_problem(error: ValidationError) -> str:
    """Return in one line which field is wrong, why, and what was found there."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))[:100]
    given = "" if isinstance(first["input"], (dict, list)) else f", not {first['input']!r:.60}"
    return f"{place}{': ' if place else ''}{first['msg'].removeprefix('Value error, ')}{given}"

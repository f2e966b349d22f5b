"""Sample records from other tools are read only if every reader of samples can handle them."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import ImportFileError
from .external_score import Count, first_problem

__all__ = ["log_likelihoods", "read_external_samples"]

_DEEPEST = 40
_Listed = Annotated[list[Any], Field(min_length=1)]
_Named = Annotated[dict[str, Any], Field(min_length=1)]


class _Record(BaseModel):
    """One item as lm-eval logs it: its requests, the responses, and what they are worth."""

    model_config = ConfigDict(strict=True, extra="allow")

    doc_id: Count
    arguments: list[_Listed] | dict[str, _Named]
    resps: list[_Listed]
    metrics: list[str] = []

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        requests = _requests(self.arguments)
        if not requests or len(requests) != len(self.resps):
            raise ValueError(f"{len(requests)} requests and responses to {len(self.resps)}")
        # A continuation is text, and the response to it begins with its log-likelihood.
        if _are_continuations(requests):
            for replies in self.resps:
                _number(replies[0][0] if isinstance(replies[0], list) and replies[0] else None)
        for name in self.metrics:
            value = (self.model_extra or {}).get(name)
            if isinstance(value, int):
                _number(value)
        return self


def read_external_samples(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a ``samples_*.jsonl`` file.

    Raises
    ------
    ImportFileError
        It cannot be read, or a line is no record of an item.

    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if line.strip():
                    yield _record(line, f"{path}: line {number}")
    except OSError as error:
        raise ImportFileError(f"{path}: cannot be read: {error.strerror}") from None


def log_likelihoods(record: dict[str, Any]) -> list[float]:
    """Return an item's log-likelihoods, one per continuation; none where texts were generated."""
    if not _are_continuations(_requests(record["arguments"])):
        return []
    return [float(replies[0][0]) for replies in record["resps"]]


def _requests(asked: list[Any] | dict[str, Any]) -> list[list[Any]]:
    return asked if isinstance(asked, list) else [[*a.values()] for a in asked.values()]


def _are_continuations(requests: list[list[Any]]) -> bool:
    return all(len(request) > 1 and isinstance(request[1], str) for request in requests)


def _record(line: bytes, where: str) -> dict[str, Any]:
    try:
        # Not pydantic's reader: half a character, as byte-level tokenizers make them, is no error.
        record = json.loads(line)
    except RecursionError:
        raise ImportFileError(f"{where} is nested too deeply") from None
    except ValueError as error:
        raise ImportFileError(f"{where} is not JSON ({error})") from None
    if not isinstance(record, dict):
        raise ImportFileError(f"{where} is {type(record).__name__}, not the record of an item")
    if _is_deep(record):
        raise ImportFileError(f"{where} is nested too deeply")
    try:
        _Record.model_validate(record)
    except ValidationError as error:
        raise ImportFileError(f"{where}: {first_problem(error)}") from None
    return record


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def _number(value: Any) -> None:
    """Refuse what is not a number, as lm-eval writes them: plain or as text."""
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r:.60} is no number") from None

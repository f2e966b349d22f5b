"""Entries of packaged files that were checked before are read from JSON, by the file's digest.

A file that has changed since is not found there, and is read and checked as any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

from pydantic import BaseModel

from .._digests import sha256
from ._entries import Source

__all__ = ["ENTRIES", "checked_entries", "entries_as_json"]

ENTRIES = "entries.json"
"""The file beside the packaged references: kind of the entries, digest of a file, its entries."""

Entry = TypeVar("Entry", bound=BaseModel)


def checked_entries(kind: type[Entry], file: Traversable) -> list[Entry] | None:
    """Return the entries of a file as they were checked before; None where they were not."""
    try:
        digest = sha256(file.read_bytes())
    except OSError:  # who reads the file next says so
        return None
    rows = _stored().get(kind.__name__, {}).get(digest)
    return None if rows is None else [_made(kind, row) for row in rows]


def entries_as_json(entries: Mapping[Traversable, Sequence[BaseModel]]) -> str:
    """Return the text of ``entries.json`` for files and what stands in them."""
    stored: dict[str, dict[str, Any]] = {}
    for file, own in entries.items():
        rows = [entry.model_dump(mode="json", exclude_unset=True) for entry in own]
        digest = sha256(file.read_bytes())
        stored.setdefault(type(own[0]).__name__, {})[digest] = rows
    return json.dumps(stored, ensure_ascii=False, separators=(",", ":")).replace("},{", "},\n{")


@cache
def _stored() -> dict[str, dict[str, list[dict[str, Any]]]]:
    file = files("capspace.fit.reference") / ENTRIES
    if not file.is_file():
        return {}
    stored: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(file.read_bytes())
    return stored


def _made(kind: type[Entry], row: Mapping[str, Any]) -> Entry:
    """Return an entry of what pydantic has checked and written, without checking it again."""
    values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in row.items()}
    if "date" in values:
        values["date"] = date.fromisoformat(values["date"])
    if "sources" in values:
        values["sources"] = tuple(_made(Source, source) for source in values["sources"])
    return kind.model_construct(**values)

"""Texts, files and values in their canonical JSON form have one SHA-256 each."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

__all__ = ["canonical_json", "digest", "sha256", "sha256_file", "sha256_stream"]


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN.

    Raises
    ------
    ValueError
        The value holds NaN or an infinity, which have no JSON form.

    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any) -> str:
    """Return the hex SHA-256 of a value's canonical JSON.

    Raises
    ------
    ValueError
        The value holds NaN or an infinity, or text without a form in UTF-8.

    """
    return sha256(canonical_json(value))


def sha256(content: str | bytes) -> str:
    """Return the hex SHA-256 of bytes, or of a text as UTF-8."""
    data = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()


def sha256_stream(stream: io.BufferedIOBase) -> str:
    """Return the hex SHA-256 of what is left to read of a stream."""
    return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return sha256_stream(stream)

"""Texts and values in their canonical JSON form have one SHA-256 each."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["canonical_json", "digest", "sha256"]


def canonical_json(value: Any, *, ensure_ascii: bool = False) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN.

    Raises
    ------
    ValueError
        The value holds NaN or an infinity, which have no JSON form.

    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=ensure_ascii, allow_nan=False
    )


def digest(value: Any, *, ensure_ascii: bool = False) -> str:
    """Return the hex SHA-256 of a value's canonical JSON.

    Raises
    ------
    ValueError
        The value holds NaN or an infinity, or text without a form in UTF-8.

    """
    return sha256(canonical_json(value, ensure_ascii=ensure_ascii))


def sha256(content: str | bytes) -> str:
    """Return the hex SHA-256 of bytes, or of a text as UTF-8."""
    data = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()

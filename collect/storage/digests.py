"""Texts, files and values in their canonical JSON form have one SHA-256 each."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from capspace.fit._digests import canonical_json, digest, sha256

__all__ = ["canonical_json", "digest", "sha256", "sha256_file", "sha256_stream"]


def sha256_stream(stream: io.BufferedIOBase) -> str:
    """Return the hex SHA-256 of what is left to read of a stream."""
    return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return sha256_stream(stream)

"""Samples are lm-eval's records of the items behind a score, one compressed file per result."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import StoreError
from .files import replaced_file

__all__ = ["json_line", "read_samples", "samples_file", "write_samples"]


def samples_file(store: Path, key: str) -> Path:
    """Return the path of the per-item records of a result, in a store's folder.

    Raises
    ------
    StoreError
        It is no key, which could name a file elsewhere.

    """
    if not (key.isalnum() and key.isascii()):
        raise StoreError(f"{key!r} is not a key of a result")
    return store / "samples" / f"{key}.jsonl.gz"


def json_line(record: dict[str, Any]) -> str:
    """Return a record as one line of JSON that has a form in UTF-8."""
    line = json.dumps(record, ensure_ascii=False, default=str)
    if line.isascii():
        return line
    try:
        line.encode()
    except UnicodeEncodeError:  # half a character, as byte-level tokenizers make them
        return json.dumps(record, default=str)
    return line


def write_samples(path: Path, samples: Iterable[dict[str, Any]]) -> None:
    """Write one JSON line per record, compressed; a reader sees the whole file or none."""
    # Without name and time the same records give the same bytes.
    with (
        replaced_file(path) as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
    ):
        for sample in samples:
            packed.write(json_line(sample).encode() + b"\n")


def read_samples(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file.

    Raises
    ------
    StoreError
        It is not there or damaged.

    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ValueError(f"line {number} is {type(record).__name__}, not a record")
                yield record
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise StoreError(f"{path}: cannot read these samples: {error}") from None

"""Samples: lm-eval's record of every item behind a score, one compressed file per result."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from capspace.collect.errors import StoreError

__all__ = ["read_samples", "write_samples"]


def write_samples(path: Path, samples: Iterable[dict[str, Any]]) -> None:
    """Write one JSON line per record, compressed; a reader sees the whole file or none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as raw:
            # Without name and time the same records give the same bytes.
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                for sample in samples:
                    line = json.dumps(sample, ensure_ascii=False, default=str)
                    packed.write(line.encode() + b"\n")
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_samples(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file.

    Raises
    ------
    StoreError
        It is not there or damaged.

    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, EOFError, ValueError) as error:
        raise StoreError(f"{path}: cannot read these samples: {error}") from None

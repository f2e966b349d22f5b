"""Sample files that are no sample files are told in one line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from capspace.collect.errors import StoreError
from capspace.collect.storage.samples import read_samples


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (gzip.compress(b'{"doc_id": 0}\n[1, 2]\n'), "line 2 is list, not a record"),
        (gzip.compress(b"[" * 90_000), "recursion"),
        (gzip.compress(b'{"doc_id": 0}\n')[:12], "end-of-stream"),
        (gzip.compress(b"")[:10] + b"\xff" * 20, "invalid block type"),
        (b"plain", "gzipped"),
    ],
    # The bytes hold the time, and names must be the same in all processes that collect tests.
    ids=["list", "deep", "cut", "flipped", "plain"],
)
def test_damaged_samples_are_one_line(tmp_path: Path, raw: bytes, why: str) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(raw)
    with pytest.raises(StoreError, match=why) as caught:
        list(read_samples(path))
    assert str(caught.value).startswith(f"{path}: cannot read these samples: ")
    assert "\n" not in str(caught.value)

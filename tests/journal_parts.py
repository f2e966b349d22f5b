"""Journals with known answers, whole, spoilt, and left by a process that was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from capspace.collect.storage.journal import Journal, RequestKeys


def key(i: int) -> bytes:
    return RequestKeys("loglikelihood").key((f"context {i}", " answer"))


def fill(journal: Journal, chunks: int, size: int = 16, identity: str = "model") -> None:
    for c in range(chunks):
        fill_one(journal, c, size, identity)


def fill_one(journal: Journal, c: int, size: int = 16, identity: str = "model") -> None:
    items = range(c * size, (c + 1) * size)
    answers = [(-i / 7, i % 2 == 0) for i in items]
    journal.append(identity, "loglikelihood", [key(i) for i in items], answers)


def truth(chunks: int, size: int = 16) -> dict[bytes, tuple[float, bool]]:
    return {key(i): (-i / 7, i % 2 == 0) for i in range(chunks * size)}


def shard_of(path: Path) -> Path:
    (shard,) = path.glob("sealed-*.sqlite")
    return shard


def spoil(shard: Path) -> None:
    """Flip a bit near a shard's end, in the padding of its last chunk."""
    data = bytearray(shard.read_bytes())
    data[-200] ^= 1
    shard.write_bytes(data)


def crashed(path: Path, chunks: int, *, when: str = "later") -> Path:
    """Leave the shard of a process that was killed after its last chunk.

    It was killed while it computed the next chunk ("later"), while the last was folded in ("at
    once") or before ("unfolded").
    """
    program = f"""
        import os, sys
        from pathlib import Path
        from capspace.collect.storage.journal import Journal
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import journal_parts as parts
        journal = Journal(Path({str(path)!r}))
        parts.fill(journal, {chunks - 1})
        if {when!r} == "unfolded":
            journal._own_shard().writer._fold = lambda: None
        parts.fill_one(journal, {chunks - 1})
        if {when!r} == "later":
            journal._own.writer._wait()
        os.kill(os.getpid(), 9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert done.returncode == -signal.SIGKILL
    (shard,) = path.glob("live-*.sqlite")
    return shard

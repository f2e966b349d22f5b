"""A process writes one live shard, whose name and lock say that its writer is alive."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .chunk import Chunk
from .locks import try_lock, unlock
from .writer import ShardWriter

__all__ = ["OpenShard", "count_of", "has_writer", "host_name", "lock_of", "noted_count"]


class OpenShard:
    """The shard that this process writes, with the lock that tells others its writer is alive."""

    def __init__(self, folder: Path) -> None:
        name = f"live-{host_name()}-{os.getpid()}-{secrets.token_hex(4)}.sqlite"
        self.path = folder / name
        lock = try_lock(lock_of(self.path))
        if lock is None:
            raise FileExistsError(lock_of(self.path))
        self._lock = lock
        try:
            count_of(self.path).touch()
            self.writer = ShardWriter(self.path)
        except BaseException:
            self.release()
            raise

    def append(self, chunk: Chunk, description: Mapping[str, Any] | None) -> None:
        """Write a chunk, and note in a file beside the shard how many there are."""
        self.writer.append(chunk, description)
        # Not synced: it tells of chunks that went missing, never of chunks that are there.
        with count_of(self.path).open("r+b", buffering=0) as file:
            file.write(b"%d" % self.writer.n_chunks)

    def release(self) -> None:
        """Let others see that nobody writes here any more."""
        count_of(self.path).unlink(missing_ok=True)
        unlock(self._lock, remove=True)

    def abandon(self) -> None:
        """Leave the file as it is, for the next opening of the folder to seal."""
        self.writer.abandon()
        unlock(self._lock)


def host_name() -> str:
    """Return this machine's name as shards carry it."""
    return re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname()) or "host"


def has_writer(path: Path) -> bool:
    """Return whether the process that writes a live shard is alive, on whatever machine."""
    lock = try_lock(lock_of(path))
    if lock is None:
        return True
    unlock(lock)
    return False


def lock_of(path: Path) -> Path:
    """Return the file whose lock says that a live shard has a writer."""
    return path.with_suffix(".lock")


def count_of(path: Path) -> Path:
    """Return the file that says how many chunks were appended to a live shard."""
    return path.with_suffix(".count")


def noted_count(path: Path) -> int:
    """Return the number of chunks that a file states; 0 where it states none or is not there."""
    try:
        return int(path.read_bytes() or b"0")
    except FileNotFoundError:
        return 0

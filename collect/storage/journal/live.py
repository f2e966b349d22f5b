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

__all__ = ["OpenShard", "has_writer", "host_name", "lock_of"]


class OpenShard:
    """The shard that this process writes, with the lock that tells others its writer is alive."""

    def __init__(self, folder: Path) -> None:
        name = f"live-{host_name()}-{os.getpid()}-{secrets.token_hex(4)}.sqlite"
        self.path = folder / name
        self.lock_path = lock_of(self.path)
        lock = try_lock(self.lock_path)
        if lock is None:
            raise FileExistsError(self.lock_path)
        self._lock = lock
        try:
            self.writer = ShardWriter(self.path)
        except BaseException:
            unlock(lock, self.lock_path)
            raise

    def append(self, chunk: Chunk, description: Mapping[str, Any] | None) -> None:
        """Write a chunk, and note in the lock file how many there are."""
        self.writer.append(chunk, description)
        # Not synced: it tells of chunks that went missing, never of chunks that are there.
        os.pwrite(self._lock, b"%d" % self.writer.n_chunks, 0)

    def release(self) -> None:
        """Let others see that nobody writes here any more."""
        unlock(self._lock, self.lock_path)

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
    unlock(lock)  # its file stays: it counts the chunks
    return False


def lock_of(path: Path) -> Path:
    """Return the file whose lock says that a live shard has a writer."""
    return path.with_suffix(".lock")

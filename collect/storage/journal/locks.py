"""The kernel releases advisory file locks when the process that holds them dies.

`flock` is assumed to work between all machines that share the folder: local file systems, NFS
(v4, or v3 with lockd), Lustre mounted with ``flock``, GPFS, CephFS.

Not the library ``filelock``, for three reasons. The lock file of a shard holds a count, which is
written and read through the descriptor that holds the lock; the library keeps it to itself. Where
`flock` does not work an error has to tell the user, and the library may turn to a lock by the
file's existence, which outlives a killed process. And the kernel wakes a waiting process as soon
as the lock is free, where the library polls.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["held_lock", "try_lock", "unlock"]


def try_lock(path: Path) -> int | None:
    """Take the lock at ``path`` and return its descriptor, or None where another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        current = _is_current(path, descriptor)
    except BlockingIOError:
        current = False
    if current:
        return descriptor
    os.close(descriptor)
    return None


def unlock(descriptor: int, path: Path | None = None) -> None:
    """Give the lock back; with ``path`` its file goes too."""
    if path is not None:
        path.unlink(missing_ok=True)
    os.close(descriptor)


@contextmanager
def held_lock(path: Path) -> Iterator[None]:
    """Wait for the lock at ``path`` and hold it; its file stays."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_current(path: Path, descriptor: int) -> bool:
    # The holder before may have removed the file between our open and our lock.
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))

"""The kernel releases advisory file locks when the process that holds them dies.

`flock` is assumed to work between all machines that share the folder: local file systems, NFS
(v4, or v3 with lockd), Lustre mounted with ``flock``, GPFS, CephFS. Where it does not, taking a
lock is an OSError: a lock by a file's existence would outlive a killed process.
"""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["lock_at", "try_lock", "unlock"]

_POLL_SECONDS = 0.01  # what is done under a lock that others wait for takes milliseconds


def lock_at(path: Path) -> FileLock:
    """Return the lock at ``path``, which a ``with`` block waits for and holds; its file stays."""
    return FileLock(path, thread_local=False, poll_interval=_POLL_SECONDS, fallback_to_soft=False)


def try_lock(path: Path) -> FileLock | None:
    """Take the lock at ``path`` and return it, or None where another holds it."""
    lock = lock_at(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def unlock(lock: FileLock, *, remove: bool = False) -> None:
    """Give the lock back; with ``remove`` its file goes too."""
    if remove:  # while it is held: who waits for a file that is gone tries anew
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()

"""Leases with a heartbeat say who is measuring what, so that two runs share the cells of a zoo."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

from ..files import write_atomically
from .locks import lock_at

__all__ = ["Lease", "Leases"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lease:
    """One process's lease on one cell.

    Attributes
    ----------
    cell : str
        What is being measured; any text.
    host, pid, started, namespace : str, int, str, str
        The process: `started` tells it from a later one with its number, `namespace` tells apart
        boots and containers that share a host name.
    token : str
        Drawn at random, so that a lease can be told from a later one of the same process.

    """

    cell: str
    host: str
    pid: int
    started: str
    namespace: str
    token: str


class Leases:
    """The leases under one folder.

    Parameters
    ----------
    path : Path
        The folder; it is made with the first lease.
    expiry : float
        Seconds without a heartbeat after which an owner on another machine counts as dead. On the
        same machine a dead owner is seen at once.

    Notes
    -----
    Ages are differences of times that the file system itself gave, so clocks of the machines do not
    matter. Every decision is taken under one lock of the folder.

    """

    def __init__(self, path: Path, *, expiry: float = 120.0) -> None:
        self._path = path
        self._expiry = expiry

    def acquire(self, cell: str) -> Lease | None:
        """Lease a cell and return the lease, or None where a living process has it."""
        pid, token = os.getpid(), secrets.token_hex(8)
        lease = Lease(cell, socket.gethostname(), pid, _started(pid), _namespace(), token)
        with self._lock():
            if self._holder(cell) is not None:
                return None
            self._write(lease)
        return lease

    def holder(self, cell: str) -> Lease | None:
        """Return the lease of the living process that has the cell, or None."""
        with self._lock():
            return self._holder(cell)

    def living(self, cells: Iterable[str]) -> set[str]:
        """Return those of many cells that a living process has, under one lock for all."""
        with self._lock():
            return {cell for cell in cells if self._holder(cell) is not None}

    def beat(self, lease: Lease) -> bool:
        """Say that the lease's owner lives; return whether it still has the lease."""
        with self._lock():
            if self._read(lease.cell) != lease:
                return False
            os.utime(self._file(lease.cell))
        return True

    def release(self, lease: Lease) -> None:
        """Give the cell back; a lease that was lost meanwhile is left to its new owner."""
        with self._lock():
            if self._read(lease.cell) == lease:
                self._file(lease.cell).unlink()

    @contextmanager
    def hold(self, cell: str) -> Iterator[Lease | None]:
        """Lease a cell for the length of a block, with a heartbeat; None where another has it."""
        lease = self.acquire(cell)
        if lease is None:
            yield None
            return
        stop = threading.Event()
        beats = threading.Thread(target=self._beat_until, args=(lease, stop), daemon=True)
        beats.start()
        try:
            yield lease
        finally:
            stop.set()
            beats.join()
            try:
                self.release(lease)
            except OSError as error:  # the lease of a process that ended is nobody's anyway
                _log.warning("the lease on %s stays until this process ends: %s", cell, error)

    def _beat_until(self, lease: Lease, stop: threading.Event) -> None:
        while not stop.wait(self._expiry / 6):
            try:
                if not self.beat(lease):
                    return
            except OSError as error:  # as long as this lasts, the lease only grows old
                _log.warning("cannot renew the lease on %s: %s", lease.cell, error)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self._path.mkdir(parents=True, exist_ok=True)
        with lock_at(self._path / "claims.lock"):
            yield

    def _holder(self, cell: str) -> Lease | None:
        lease = self._read(cell)
        return lease if lease is not None and self._lives(lease) else None

    def _lives(self, lease: Lease) -> bool:
        if lease.host == socket.gethostname() and lease.namespace == _namespace():
            return _started(lease.pid) == lease.started
        probe = self._path / f"now-{secrets.token_hex(8)}"
        probe.touch()
        try:
            age = probe.stat().st_mtime - self._file(lease.cell).stat().st_mtime
        finally:
            probe.unlink()
        return age < self._expiry

    def _file(self, cell: str) -> Path:
        return self._path / f"{blake2b(cell.encode(), digest_size=16).hexdigest()}.json"

    def _read(self, cell: str) -> Lease | None:
        try:
            return Lease(**json.loads(self._file(cell).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None  # a torn lease is nobody's: its writer died while writing it

    def _write(self, lease: Lease) -> None:
        # A heartbeat outlives no power cut either.
        write_atomically(self._file(lease.cell), json.dumps(asdict(lease)), sync=False)


@cache
def _namespace() -> str:
    boot, pids = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if boot.exists():
        return f"{boot.read_text().strip()} {pids.readlink()}"
    return f"{uuid.getnode():x}"


def _started(pid: int) -> str:
    """Return when a process started, in the kernel's own words; "" where there is no such one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return ""
    try:  # no /proc: a process that took the number over counts as the owner
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "running"
    return "running"

"""SQLite files are read where nothing can be written: a full disk, a read-only mount.

SQLite reads a file with a write-ahead log only where it can write an index beside it, and one that
a killed writer left in the middle of a transaction only where it can undo that.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..errors import NoRoomError

__all__ = ["is_unwritable", "open_unwritable"]

_ERRNOS = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT}
_SQLITE_CODES = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
}


def is_unwritable(error: BaseException) -> bool:
    """Return whether an error says that a place cannot be written, or has no room."""
    if isinstance(error, OSError):
        return error.errno in _ERRNOS
    if isinstance(error, NoRoomError):
        return True
    # The low byte of SQLite's extended codes is the kind of error.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, sqlite3.OperationalError) and code in _SQLITE_CODES


@contextmanager
def open_unwritable(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file without writing beside it: where it has a log, a copy of all elsewhere.

    Raises
    ------
    OSError
        There is no room for the copy in the folder for temporary files either.

    """
    logs = [log for log in map(path.with_name, _log_names(path)) if _is_filled(log)]
    if not logs:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
            yield db
        return
    with _temporary_folder() as folder:
        copy = folder / path.name
        state = None
        while state != (
            state := [(s.st_size, s.st_mtime_ns) for s in map(Path.stat, (path, *logs))]
        ):
            # A writer that can still write must not be caught between file and log.
            for source in (path, *logs):
                shutil.copyfile(source, folder / source.name)
        with closing(sqlite3.connect(copy, isolation_level=None)) as db:
            db.execute("PRAGMA query_only = ON")  # what was written here would be lost
            yield db


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    try:
        where = tempfile.gettempdir()
    except FileNotFoundError:
        raise OSError(errno.ENOSPC, "no folder for temporary files can be written") from None
    try:
        with tempfile.TemporaryDirectory(prefix="capspace-", dir=where) as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno not in _ERRNOS:
            raise
        why = f"{error.strerror} in {where}, where it is copied to be read (set TMPDIR)"
        raise OSError(error.errno, why) from None


def _log_names(path: Path) -> tuple[str, str]:
    return f"{path.name}-wal", f"{path.name}-journal"


def _is_filled(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0

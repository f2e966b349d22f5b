"""File hashes are cached until there is a sign that the file was written again."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from .digests import sha256_file

__all__ = ["HASHES_SCHEMA", "HashTable", "remembered_hash"]

HASHES_SCHEMA = (
    "CREATE TABLE file_stamps "
    "(path TEXT PRIMARY KEY, stamp TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT"
)
_FRESH_NS = 2_000_000_000


class HashTable:
    """The table ``HASHES_SCHEMA`` of a SQLite file as a mapping of paths to stamps and hashes."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def get(self, path: str) -> tuple[str, str] | None:
        """Return what is remembered of a path."""
        query = "SELECT stamp, sha256 FROM file_stamps WHERE path = ?"
        with closing(self._db.execute(query, (path,))) as rows:
            row = rows.fetchone()
        return None if row is None else (str(row[0]), str(row[1]))

    def __setitem__(self, path: str, remembered: tuple[str, str]) -> None:
        row = (path, *remembered)
        self._db.execute("INSERT OR REPLACE INTO file_stamps VALUES (?,?,?)", row)


def remembered_hash(known: HashTable | dict[str, tuple[str, str]], path: Path) -> str:
    """Return a file's SHA-256 from what is known, or hash the file and remember that.

    Copying tools set a file's time of writing back to that of its original. So the file's inode
    and the time of its last change of any kind, which nobody can set, have to be the same too.

    Parameters
    ----------
    known : HashTable or dict
        By a file's resolved path, its stamp and its hash when it was last read.
    path : Path
        The file.

    """
    before = _stamp(path.stat())
    where = str(path.resolve())
    remembered = known.get(where)
    if remembered is not None and remembered[0] == before:
        return remembered[1]
    file_hash = sha256_file(path)
    after = path.stat()
    # A file changed a moment ago may be changed again within the clock's resolution.
    settled = time.time_ns() - max(after.st_mtime_ns, after.st_ctime_ns) > _FRESH_NS
    if settled and before == _stamp(after):
        known[where] = before, file_hash
    return file_hash


def _stamp(seen: os.stat_result) -> str:
    # As text: an inode may be larger than SQLite's integers.
    numbers = (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
    return " ".join(map(str, numbers))

"""Hashes of files, remembered for as long as nothing says that a file was written again."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from .digests import sha256_file

__all__ = ["HASHES_SCHEMA", "remembered_hash"]

HASHES_SCHEMA = (
    "CREATE TABLE file_stamps "
    "(path TEXT PRIMARY KEY, stamp TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT"
)
_FRESH_NS = 2_000_000_000


def remembered_hash(db: sqlite3.Connection, path: Path) -> str:
    """Return a file's SHA-256 from the table ``HASHES_SCHEMA``, or hash the file and keep it there.

    Copying tools set a file's time of writing back to that of its original. So the file's inode
    and the time of its last change of any kind, which nobody can set, have to be the same too.
    """
    before = path.stat()
    where = str(path.resolve())
    query = "SELECT sha256 FROM file_stamps WHERE path = ? AND stamp = ?"
    with closing(db.execute(query, (where, _stamp(before)))) as rows:
        known = rows.fetchone()
    if known:
        return str(known[0])
    digest = sha256_file(path)
    after = path.stat()
    # A file changed a moment ago may be changed again within the clock's resolution.
    settled = time.time_ns() - max(after.st_mtime_ns, after.st_ctime_ns) > _FRESH_NS
    if settled and _stamp(before) == _stamp(after):
        db.execute(
            "INSERT OR REPLACE INTO file_stamps VALUES (?,?,?)", (where, _stamp(after), digest)
        )
    return digest


def _stamp(seen: os.stat_result) -> str:
    # As text: an inode may be larger than SQLite's integers.
    numbers = (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
    return " ".join(map(str, numbers))

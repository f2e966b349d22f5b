"""The store's SQLite file has versioned tables, whose versions are recognised."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import StoreError
from .file_hashes import HASHES_SCHEMA

__all__ = ["connect", "create", "recognise", "transaction"]

VERSION = 2
_APPLICATION_ID = 0x63617073  # "caps": tells a store from any other SQLite file
_SCHEMA = f"""
CREATE TABLE results (
    key TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    revision TEXT NOT NULL,
    benchmark TEXT NOT NULL,
    score REAL NOT NULL,
    stderr REAL,
    n_items INTEGER,
    n_shot INTEGER,
    protocol TEXT NOT NULL,
    source TEXT NOT NULL,
    comparable INTEGER NOT NULL,
    identity TEXT NOT NULL,
    tasks TEXT NOT NULL,
    provenance TEXT NOT NULL,
    measured_at TEXT NOT NULL,
    digest TEXT NOT NULL
) STRICT;
CREATE TABLE failures (
    model TEXT NOT NULL,
    revision TEXT NOT NULL,
    benchmark TEXT NOT NULL,
    reason TEXT NOT NULL,
    failed_at TEXT NOT NULL,
    PRIMARY KEY (model, revision, benchmark)
) STRICT;
{HASHES_SCHEMA};
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, or make an empty one."""
    return sqlite3.connect(path, timeout=60, isolation_level=None)


def create(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables in a file that is empty, and bring one of an earlier version up to date.

    Raises
    ------
    OSError, sqlite3.OperationalError
        The file cannot be written.

    """
    if not os.access(path, os.W_OK):  # SQLite says so only when something is written
        raise OSError(errno.EROFS, "it is read-only")
    # FULL: a result survives a power cut once it is committed. Commits are few.
    db.execute("PRAGMA synchronous = FULL")
    with transaction(db):
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        elif _marks(db) == (_APPLICATION_ID, 1):  # its hashes were by size and mtime only
            db.execute(HASHES_SCHEMA)
            db.execute(f"PRAGMA user_version = {VERSION}")
    if _marks(db) == (_APPLICATION_ID, VERSION):
        _leave_wal(db)


def recognise(db: sqlite3.Connection, path: Path) -> None:
    """Prepare a file for reading.

    Raises
    ------
    StoreError
        It is no store, or one of a newer version.
    sqlite3.DatabaseError
        It is damaged.

    """
    whose, version = _marks(db)
    if whose != _APPLICATION_ID:
        raise StoreError(f"{path} is an SQLite file, but not a store of capspace")
    if version > VERSION:
        raise StoreError(
            f"{path} was written by a newer capspace (store version {version}, "
            f"this one reads up to {VERSION}); upgrade capspace, or choose another with --store"
        )
    problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise sqlite3.DatabaseError(str(problem))
    db.row_factory = sqlite3.Row
    # A row with a flipped byte is found by its digest; it must not hide the others.
    db.text_factory = lambda text: text.decode(errors="backslashreplace")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Write all of a block or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:  # an error of the disk has ended it already
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _marks(db: sqlite3.Connection) -> tuple[int, int]:
    """Return what says whose file it is, and of which version."""
    names = ("application_id", "user_version")
    whose, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    return whose, version


def _leave_wal(db: sqlite3.Connection) -> None:
    """Give a store of an earlier version a rollback journal, unless others have it open."""
    try:
        db.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise

"""One process appends chunks of responses to one shard, a SQLite file.

Every chunk is one row with its own digest, in the order of writing, and long enough to spill onto
pages of its own, so that a flipped byte is found in the chunk it sits in. Each chunk is folded into
the file before the next is written, and behind the last lies a block that holds nothing. So a file
whose end is cut off and whose write-ahead log is gone, both at once, has still lost at most its
last chunk. (A synced log that vanishes in the milliseconds while it is folded in may take more.)
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from ...errors import JournalError, NoRoomError
from ..readonly import is_unwritable
from .chunk import APPLICATION_ID, PAGE_BYTES, VERSION, Chunk, Failure

__all__ = ["SLACK_BYTES", "ShardWriter", "fold_log"]

SLACK_BYTES = 4096
"""Bytes that hold nothing behind the last chunk: a block of the file system."""

_SCHEMA = """
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY, identity TEXT NOT NULL, request_type TEXT NOT NULL, n INTEGER NOT NULL,
    created REAL NOT NULL, digest BLOB NOT NULL, payload BLOB NOT NULL);
CREATE TABLE identities (identity TEXT PRIMARY KEY, description TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE failures (
    identity TEXT NOT NULL, key BLOB NOT NULL, created REAL NOT NULL, failure TEXT NOT NULL,
    PRIMARY KEY (identity, key)) WITHOUT ROWID;
"""


class ShardWriter:
    """Appends chunks to a new shard; each is on disk when `append` returns.

    A chunk is synced in the write-ahead log first. From there it is folded into the file while
    the caller goes on, and at the latest before the next chunk is written.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.path = path
        self.n_chunks = 0
        self._described: set[str] = set()
        self._folding = ThreadPoolExecutor(1) if durable else None
        self._folded: Future[None] | None = None
        with _plain_errors(path):
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            self._db.execute(f"PRAGMA journal_mode = {'WAL' if durable else 'OFF'}")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute("PRAGMA wal_autocheckpoint = 0")
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {VERSION}")
            self._db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            if durable:  # the empty tables are synced with the first chunk
                self._db.execute("PRAGMA synchronous = FULL")

    def append(self, chunk: Chunk, description: Mapping[str, Any] | None = None) -> None:
        """Write a chunk, and what its identity stands for where that was not yet said.

        Raises
        ------
        JournalError
            The disk is full, or the folder cannot be written any more; the chunk was dropped whole.

        """
        row = (chunk.identity, chunk.request_type, chunk.n, chunk.created, chunk.digest)
        self._wait()
        with _plain_errors(self.path), self._transaction():
            self._db.execute(
                "INSERT INTO chunks (identity, request_type, n, created, digest, payload) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (*row, chunk.payload),
            )
            if description is not None and chunk.identity not in self._described:
                self.describe(chunk.identity, json.dumps(description, sort_keys=True))
        self._described.add(chunk.identity)
        self.n_chunks += 1
        self._fold()
        if self.n_chunks == 1:  # SQLite drops the log of a file that is still empty
            self._wait()

    def describe(self, identity: str, description: str) -> None:
        """Keep what an identity stands for, as JSON."""
        with _plain_errors(self.path):
            self._db.execute(
                "INSERT OR IGNORE INTO identities VALUES (?, ?)", (identity, description)
            )

    def record_failure(self, failure: Failure) -> None:
        """Store that a request got no response; the next run makes it again."""
        details = {
            "task": failure.task,
            "document": failure.document,
            "characters": failure.characters,
            "reason": failure.reason,
        }
        self._wait()
        with _plain_errors(self.path):
            self._db.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?)",
                (failure.identity, failure.key, failure.created, json.dumps(details)),
            )

    def close(self) -> bool:
        """Close the file; return whether all of its write-ahead log went into it."""
        self._wait()
        if self._folding is not None:
            self._folding.shutdown()
        with _plain_errors(self.path):
            with closing(self._db):
                is_folded = fold_log(self._db)
                n_pages = self._db.execute("PRAGMA page_count").fetchone()[0]
            if is_folded:
                os.truncate(self.path, n_pages * PAGE_BYTES)
        return is_folded

    def abandon(self) -> None:
        """Close without a word, after an error that was already told."""
        if self._folding is not None:
            self._folding.shutdown()
        self._db.close()

    def _fold(self) -> None:
        if self._folding is not None:
            self._folded = self._folding.submit(_fold_file, self.path)

    def _wait(self) -> None:
        """Wait until the log is folded in; a reader in the way leaves it to the next chunk."""
        folded, self._folded = self._folded, None
        if folded is not None:
            with _plain_errors(self.path):
                folded.result()

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


def _fold_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous = FULL")
        busy, in_log, folded = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        n_pages = db.execute("PRAGMA page_count").fetchone()[0]
    if not busy and in_log == folded:
        os.truncate(path, n_pages * PAGE_BYTES + SLACK_BYTES)


def fold_log(db: sqlite3.Connection) -> bool:
    """Move the write-ahead log into the file; return False where a reader stood in the way."""
    db.execute("PRAGMA busy_timeout = 30000")
    busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._db.execute("COMMIT")
        elif self._db.in_transaction:  # a full disk has rolled it back already
            self._db.execute("ROLLBACK")


class _plain_errors:
    """Turns errors while writing into one line that says what to do."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        if isinstance(error, (sqlite3.Error, OSError)):
            kind = NoRoomError if is_unwritable(error) else JournalError
            raise kind(
                f"cannot write the journal in {self._path.parent}: {error}; every finished chunk "
                "is kept: make room there, or make it writable, and run the same command again"
            ) from None

"""One shard: a SQLite file to which one process appends chunks of answers.

Every chunk is one row with its own digest, in the order of writing, and long enough to spill onto
pages of its own. So a file cut anywhere in its last page loses at most its last chunk, and a
flipped byte is found in the chunk it sits in. Each chunk is folded into the file before the next
is written: without its write-ahead log the file still holds all but the last.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self, cast

from capspace.collect.errors import JournalError
from capspace.collect.journal.answers import Answer, RequestType, pack, unpack

__all__ = [
    "Chunk",
    "Failure",
    "ShardContents",
    "ShardWriter",
    "file_digest",
    "fold_log",
    "read_failures",
    "read_shard",
]

_APPLICATION_ID = 0x6361706A  # "capj"
_VERSION = 1
# A chunk longer than a page goes to overflow pages that it shares with no other chunk.
_PAGE = 1024
_SCHEMA = """
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY, identity TEXT NOT NULL, request_type TEXT NOT NULL, n INTEGER NOT NULL,
    created REAL NOT NULL, digest BLOB NOT NULL, payload BLOB NOT NULL);
CREATE TABLE identities (identity TEXT PRIMARY KEY, description TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE failures (
    identity TEXT NOT NULL, key BLOB NOT NULL, created REAL NOT NULL, failure TEXT NOT NULL,
    PRIMARY KEY (identity, key)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Chunk:
    """Answers that were written together.

    Attributes
    ----------
    identity : str
        Key of the measurement identity that the answers belong to.
    created : float
        When it was written, in seconds since 1970.

    """

    identity: str
    request_type: RequestType
    n: int
    created: float
    digest: bytes
    payload: bytes

    @classmethod
    def of(
        cls,
        identity: str,
        request_type: RequestType,
        keys: Sequence[bytes],
        answers: Sequence[Answer],
    ) -> Self:
        """Pack answers into a chunk written now."""
        payload = pack(request_type, keys, answers).ljust(_PAGE, b"\0")
        created = time.time()
        digest = _digest(identity, request_type, len(keys), created, payload)
        return cls(identity, request_type, len(keys), created, digest, payload)

    @property
    def is_whole(self) -> bool:
        """Whether nothing in it has changed since it was written."""
        found = _digest(self.identity, self.request_type, self.n, self.created, self.payload)
        return found == self.digest

    def answers(self) -> dict[bytes, Answer]:
        """Return the answers by request key."""
        return unpack(self.request_type, self.payload)


@dataclass(frozen=True)
class Failure:
    """A request that got no answer, and why."""

    identity: str
    key: bytes
    created: float
    task: str
    document: int | None
    characters: int
    reason: str


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
        self._folded: Future[bool] | None = None
        with _plain_errors(path):
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute(f"PRAGMA page_size = {_PAGE}")
            self._db.execute(f"PRAGMA journal_mode = {'WAL' if durable else 'OFF'}")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute("PRAGMA wal_autocheckpoint = 0")
            self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {_VERSION}")
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
        """Keep that a request got no answer; it is asked again in the next run."""
        told = {
            "task": failure.task,
            "document": failure.document,
            "characters": failure.characters,
            "reason": failure.reason,
        }
        self._wait()
        with _plain_errors(self.path):
            self._db.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?)",
                (failure.identity, failure.key, failure.created, json.dumps(told)),
            )

    def close(self) -> bool:
        """Close the file; return whether all of its write-ahead log went into it."""
        self._wait()
        if self._folding is not None:
            self._folding.shutdown()
        with _plain_errors(self.path), closing(self._db):
            return fold_log(self._db)

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


def _fold_file(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous = FULL")
        busy, _, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return not busy


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
    """Turns SQLite's errors while writing into one line that says what to do."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise JournalError(
                f"cannot write the journal in {self._path.parent}: {error}; every finished chunk "
                "is kept: make room there, or make it writable, and run the same command again"
            ) from None


@dataclass(frozen=True)
class ShardContents:
    """What could be read of one shard.

    Attributes
    ----------
    chunks : list of Chunk
        The whole chunks, in the order of writing.
    damage : str
        What is wrong with the file, or "".

    """

    chunks: list[Chunk]
    descriptions: dict[str, str]
    damage: str


def read_shard(path: Path, *, sealed: bool, identity: str | None = None) -> ShardContents:
    """Read the chunks of a shard that are whole, however damaged the file is.

    Parameters
    ----------
    path : Path
        The shard.
    sealed : bool
        Whether it is never written again: then no lock is taken and no log is looked for.
    identity : str, optional
        Only chunks of this identity.

    Raises
    ------
    JournalError
        The shard was written by a newer version.
    FileNotFoundError
        It is not there (any more).

    """
    damage: list[str] = []
    chunks: list[Chunk] = []
    descriptions: dict[str, str] = {}
    with closing(_open(path, sealed=sealed)) as db:
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            mark = db.execute("PRAGMA application_id").fetchone()[0]
            empty = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        except sqlite3.DatabaseError as error:
            _require(path)
            return ShardContents([], {}, str(error))
        if empty:  # its writer died before the first chunk
            return ShardContents([], {}, "")
        if mark == _APPLICATION_ID and version > _VERSION:
            raise JournalError(f"{path} was written by a newer version of capspace; update it")
        owners, damaged = _owners(db)
        damage += damaged
        if len(owners) != max(owners, default=0):
            damage.append("chunks are missing")
        for number in sorted(owners):
            if identity is not None and owners[number] != identity.encode():
                continue
            try:
                chunk = _chunk(db, number)
            except sqlite3.DatabaseError as error:
                damage.append(f"chunk {number}: {error}")
                continue
            if chunk.is_whole:
                chunks.append(chunk)
            else:
                damage.append(f"chunk {number} fails its checksum")
        try:
            descriptions = dict(db.execute("SELECT identity, description FROM identities"))
            if any(not isinstance(t, str) for pair in descriptions.items() for t in pair):
                raise sqlite3.DatabaseError("a description is not text")
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            damage.append(f"descriptions: {error}")
            descriptions = {}
    if damage:
        _require(path)
    return ShardContents(chunks, descriptions, "; ".join(damage[:3]))


def read_failures(path: Path, *, sealed: bool) -> Iterator[Failure]:
    """Yield the failed requests that a shard records; a damaged table yields what it has."""
    with closing(_open(path, sealed=sealed)) as db:
        try:
            rows = db.execute("SELECT identity, key, created, failure FROM failures").fetchall()
            told = [json.loads(row[3]) for row in rows]
        except (sqlite3.DatabaseError, ValueError):
            return  # a damaged shard is told of, and mended, where its answers are read
    for (identity, key, created, _), what in zip(rows, told, strict=True):
        yield Failure(identity, key, created, **what)


def file_digest(path: Path) -> str:
    """Return the digest of a file's bytes, as its sealed name carries it."""
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _digest(identity: str, request_type: str, n: int, created: float, payload: bytes) -> bytes:
    digest = blake2b(f"{identity}\0{request_type}\0{n}\0{created!r}\0".encode(), digest_size=16)
    digest.update(payload)
    return digest.digest()


def _open(path: Path, *, sealed: bool) -> sqlite3.Connection:
    mode = "mode=ro&immutable=1" if sealed else "mode=ro"
    _require(path)
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
    except sqlite3.OperationalError:
        _require(path)
        raise
    db.execute("PRAGMA busy_timeout = 10000")
    # Nothing can be written here; it makes SQLite read what is left of a file that was cut short.
    db.execute("PRAGMA writable_schema = ON")
    return db


def _require(path: Path) -> None:
    """Raise FileNotFoundError where a shard has gone while it was read."""
    path.stat()


def _owners(db: sqlite3.Connection) -> tuple[dict[int, bytes], list[str]]:
    """Return chunk number -> identity for all that either end reaches, and what stood in the way.

    The payloads stay untouched on their own pages.
    """
    found: dict[int, bytes] = {}
    damage: list[str] = []
    query = "SELECT id, CAST(identity AS BLOB) FROM chunks ORDER BY id "
    for direction in ("ASC", "DESC"):
        try:
            found.update(iter(db.execute(query + direction)))
        except sqlite3.DatabaseError as error:
            damage = [str(error)]
        else:
            break
    return found, damage


def _chunk(db: sqlite3.Connection, number: int) -> Chunk:
    fields = db.execute(
        "SELECT CAST(identity AS BLOB), CAST(request_type AS BLOB), n, created, digest, payload "
        "FROM chunks WHERE id = ?",
        (number,),
    ).fetchone()
    if fields is None:
        raise sqlite3.DatabaseError("its page no longer holds it")
    who, kind, n, created, digest, payload = fields
    try:
        request_type = cast("RequestType", kind.decode())
        return Chunk(who.decode(), request_type, int(n), float(created), digest, bytes(payload))
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise sqlite3.DatabaseError("its columns hold other types") from None

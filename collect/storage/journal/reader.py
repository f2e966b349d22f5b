"""Every intact chunk of a shard is read, however damaged the file is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter

from ...errors import JournalError
from ..readonly import is_unwritable, open_unwritable
from .chunk import APPLICATION_ID, VERSION, Chunk, Failure
from .responses import RequestType

__all__ = ["ShardContents", "file_digest", "read_shard"]

_FAILURE = TypeAdapter(Failure)
_DETAILS = TypeAdapter(dict[str, Any])


@dataclass(frozen=True)
class ShardContents:
    """What could be read of one shard.

    Attributes
    ----------
    chunks : list of Chunk
        The whole chunks, in the order of writing.
    failures : list of Failure
        The requests that got no response; other processes may have got it since.
    damage : str
        What is wrong with the file, or "".

    """

    chunks: list[Chunk]
    failures: list[Failure]
    descriptions: dict[str, str]
    damage: str

    @property
    def identities(self) -> set[str]:
        """Whose chunks and failures there are."""
        return {c.identity for c in self.chunks} | {f.identity for f in self.failures}


def read_shard(path: Path, *, sealed: bool, identity: str | None = None) -> ShardContents:
    """Read the chunks of a shard that are whole, however damaged the file is.

    Parameters
    ----------
    path : Path
        The shard.
    sealed : bool
        Whether it is never written again: then no lock is taken and no log is looked for.
    identity : str, optional
        Only chunks and failures of this identity.

    Raises
    ------
    JournalError
        The shard was written by a newer version.
    FileNotFoundError
        It is not there (any more).

    """
    damage: list[str] = []
    with _opened(path, sealed=sealed) as db:
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            mark = db.execute("PRAGMA application_id").fetchone()[0]
            empty = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        except sqlite3.DatabaseError as error:
            _require(path)
            return ShardContents([], [], {}, str(error))
        if empty:  # its writer died before the first chunk
            return ShardContents([], [], {}, "")
        if mark == APPLICATION_ID and version > VERSION and not _changed(path):
            raise JournalError(f"{path} was written by a newer version of capspace; update it")
        chunks = _chunks(db, identity, damage)
        if version != VERSION:
            damage.append(f"it says to be of version {version}")
        descriptions = _descriptions(db, damage)
        failures = [f for f in _failures(db, damage) if identity in (None, f.identity)]
    if damage:
        _require(path)
    return ShardContents(chunks, failures, descriptions, "; ".join(damage[:3]))


def file_digest(path: Path) -> str:
    """Return the digest of a file's bytes, as its sealed name carries it."""
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _changed(path: Path) -> bool:
    """Return whether a shard is not, or no longer, what its sealed name says."""
    return path.stem != f"sealed-{file_digest(path)}"


@contextmanager
def _opened(path: Path, *, sealed: bool) -> Iterator[sqlite3.Connection]:
    _require(path)
    uri = f"{path.absolute().as_uri()}?{'mode=ro&immutable=1' if sealed else 'mode=ro'}"
    with ExitStack() as stack:
        try:
            db = stack.enter_context(closing(sqlite3.connect(uri, uri=True)))
        except sqlite3.OperationalError:
            _require(path)
            raise
        _prepare(db)
        if not sealed and _lacks_room(db, path):
            db = stack.enter_context(open_unwritable(path))
            _prepare(db)
        yield db


def _lacks_room(db: sqlite3.Connection, path: Path) -> bool:
    """Return whether a shard cannot be read where it lies, for want of an index of its log."""
    try:
        db.execute("PRAGMA schema_version")
    except sqlite3.DatabaseError as error:  # damage is reported where the chunks are read
        _require(path)
        return is_unwritable(error)
    return False


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA busy_timeout = 10000")
    # Nothing is written here; it makes SQLite read what is left of a file that was cut short.
    db.execute("PRAGMA writable_schema = ON")


def _require(path: Path) -> None:
    """Raise FileNotFoundError where a shard has gone while it was read."""
    path.stat()


def _chunks(db: sqlite3.Connection, identity: str | None, damage: list[str]) -> list[Chunk]:
    """Return the whole chunks, and add what is wrong with the others to the damage."""
    owners, damaged = _owners(db)
    damage += damaged
    if len(owners) != max(owners, default=0):
        damage.append("chunks are missing")
    chunks = []
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
    return chunks


def _descriptions(db: sqlite3.Connection, damage: list[str]) -> dict[str, str]:
    try:
        descriptions = dict(db.execute("SELECT identity, description FROM identities"))
        if any(not isinstance(t, str) for pair in descriptions.items() for t in pair):
            raise sqlite3.DatabaseError("a description is not text")
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        damage.append(f"descriptions: {error}")
        return {}
    return descriptions


def _failures(db: sqlite3.Connection, damage: list[str]) -> list[Failure]:
    try:
        rows = db.execute("SELECT identity, key, created, failure FROM failures").fetchall()
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        damage.append(f"failures: {error}")
        return []
    failures = []
    for identity, key, created, text in rows:
        try:
            what = _DETAILS.validate_json(text) | {
                "identity": identity, "key": key, "created": created,
            }  # fmt: skip
            failures.append(_FAILURE.validate_python(what))
        except ValueError:
            damage.append("a record of a failed request cannot be read")
    return failures


def _owners(db: sqlite3.Connection) -> tuple[dict[int, bytes], list[str]]:
    """Return chunk number -> identity for all that either end reaches, and what stood in the way.

    The payloads stay untouched on their own pages.
    """
    owners: dict[int, bytes] = {}
    damage: list[str] = []
    query = "SELECT id, CAST(identity AS BLOB) FROM chunks ORDER BY id "
    for direction in ("ASC", "DESC"):
        try:
            owners.update(iter(db.execute(query + direction)))
        except sqlite3.DatabaseError as error:
            damage = [str(error)]
        else:
            break
    return owners, damage


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

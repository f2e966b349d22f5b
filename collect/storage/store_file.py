"""The store's SQLite file is opened, for reading only where it cannot be written, and read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from ..errors import StoreError
from .file_hashes import HashTable, remembered_hash
from .readonly import is_unwritable, open_unwritable
from .schema import connect, create, recognise, transaction

__all__ = ["StoreFile"]

_ELSE = "choose another with --store or CAPSPACE_STORE"


class StoreFile:
    """A connection to a store's file; its errors are one line that says what to do.

    Parameters
    ----------
    path : Path
        The file; it is made where it is not there.
    beside : sequence of Path
        Folders that the store needs, too.
    must_write : bool
        False opens, for reading, also what cannot be written.
    create : bool
        False makes a missing file at the first write alone; until then it has no rows.

    Attributes
    ----------
    notices : list of str
        One line where the file could be opened for reading only.

    Raises
    ------
    StoreError
        The folder cannot be written, the file is no store or damaged, or a newer version of
        capspace wrote it.

    """

    def __init__(
        self,
        path: Path,
        *,
        beside: Sequence[Path] = (),
        must_write: bool = True,
        create: bool = True,
    ) -> None:
        self.path = path
        self.notices: list[str] = []
        self._beside, self._must_write = beside, must_write
        self._open = ExitStack()
        self._connection: sqlite3.Connection | None = None
        self._hashes: dict[str, tuple[str, str]] = {}  # until there is a file to keep them
        if path.parent.is_file():
            raise StoreError(f"{path.parent} is a file; a store is a folder")
        if create or path.exists():
            self.make()

    def make(self) -> sqlite3.Connection:
        """Make the file if it is not there, and return the connection to it."""
        if self._connection is None:
            self._connection = self._connected()
        return self._connection

    @property
    def _db(self) -> sqlite3.Connection:
        return self.make()

    def _connected(self) -> sqlite3.Connection:
        with self.writing(), ExitStack() as opened:
            try:
                self._make_folders()
                db = opened.enter_context(closing(connect(self.path)))
                create(db, self.path)
            except (OSError, sqlite3.OperationalError) as error:
                if self._must_write or not is_unwritable(error) or not self.path.exists():
                    raise
                why = error.strerror if isinstance(error, OSError) else error
                self.notices.append(
                    f"cannot write the store {self.path.parent} ({why}): it is only read"
                )
                db = opened.enter_context(open_unwritable(self.path))
            recognise(db, self.path)
            self._keep_hashes(db)
            self._open = opened.pop_all()
        return db

    def _keep_hashes(self, db: sqlite3.Connection) -> None:
        known = HashTable(db)
        for path, remembered in list(self._hashes.items()):  # threads may add to them
            known[path] = remembered
        self._hashes.clear()

    def _make_folders(self) -> None:
        for folder in (self.path.parent, *self._beside):
            folder.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    def rows(self, query: str, values: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return what a query finds; nothing while the file is not there."""
        if self._connection is None and not self.path.exists():
            return []
        with self.reading():
            return [dict(row) for row in self._db.execute(query, values)]

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all of a block or nothing."""
        with self.writing(), transaction(self._db):
            yield self._db

    def hash_file(self, path: Path) -> str:
        """Return another file's SHA-256, remembered in this one as soon as it is made."""
        if self._connection is None:
            return remembered_hash(self._hashes, path)
        # A connection of its own: files are hashed in threads.
        with self.reading(), closing(connect(self.path)) as db:
            return remembered_hash(HashTable(db), path)

    def compact(self) -> None:
        """Give back the room of removed rows."""
        with self.writing():
            self._db.execute("VACUUM")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn errors while reading into one line that says what to do."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreError(f"cannot use the store {self.path}: {error}; {_ELSE}") from None
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{self.path} is damaged or no store ({' '.join(str(error).split())}); "
                "move it away to start anew, or restore it from a copy"
            ) from None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn errors while writing, of files beside this one too, into such a line."""
        try:
            with self.reading():
                yield
        except OSError as error:
            raise StoreError(
                f"cannot write the store {self.path.parent}: {error.strerror}; "
                f"make room there, or {_ELSE}"
            ) from None

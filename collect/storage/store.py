"""The store: every measured score, with its identity and samples, in one SQLite file."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from capspace.fit.table import ScoreTable

from ..errors import StoreError
from .file_hashes import remembered_hash
from .readonly import is_unwritable, open_unwritable
from .result import DamagedResult, Failure, Result, from_row, to_row, to_table
from .samples import read_samples, write_samples
from .store_file import connect, create, recognise, transaction

__all__ = ["Failure", "Result", "Store", "default_store_path", "to_table"]

_log = logging.getLogger(__name__)


class Store:
    """Results in ``<path>/store.sqlite``, samples in ``<path>/samples``, logs in ``<path>/logs``.

    A result is on disk, synced, when ``put`` returns; its samples are there before it.

    Parameters
    ----------
    path : Path
        Folder of the store, created if it is not there.
    must_write : bool
        False opens, for reading, also what cannot be written: a full disk, a read-only mount.

    Attributes
    ----------
    notices : list of str
        One line where the store could be opened for reading only.

    Raises
    ------
    StoreError
        The folder cannot be written, the file is no store or damaged, or a newer version of
        capspace wrote it.

    Notes
    -----
    Processes of one machine may write to one store at once. Several machines may where a lock also
    makes them see what the others wrote: NFS version 4.1 did in a trial of two Linux clients
    (2 x 100 results at once, all there), so the file has a rollback journal, since SQLite's
    write-ahead log needs memory that machines cannot share. GlusterFS as it comes did not: it
    honours the locks but caches pages, and two nodes lost 45 to 86 of 300 results and damaged the
    file. Elsewhere let one machine write: a zoo's workers write whole files, which its driver
    takes into the store.

    """

    def __init__(self, path: Path, *, must_write: bool = True) -> None:
        self.path = path.expanduser().absolute()
        self.file = self.path / "store.sqlite"
        self.notices: list[str] = []
        self._told: set[int] = set()
        if self.path.is_file():
            raise StoreError(f"{self.path} is a file; a store is a folder")
        with self._writable(), ExitStack() as opened:
            try:
                for folder in (self.path, self.samples_path, self.logs_path):
                    folder.mkdir(parents=True, exist_ok=True)
                self._db = opened.enter_context(closing(connect(self.file)))
                create(self._db, self.file)
            except (OSError, sqlite3.OperationalError) as error:
                if must_write or not is_unwritable(error) or not self.file.exists():
                    raise
                why = error.strerror if isinstance(error, OSError) else error
                self.notices.append(f"cannot write the store {self.path} ({why}): it is only read")
                self._db = opened.enter_context(open_unwritable(self.file))
            recognise(self._db, self.file)
            self._open = opened.pop_all()

    @property
    def samples_path(self) -> Path:
        """Folder of the compressed per-item records."""
        return self.path / "samples"

    @property
    def logs_path(self) -> Path:
        """Folder of lm-eval's logs."""
        return self.path / "logs"

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def get(self, key: str) -> Result | None:
        """Return the result of this key, or None if it was not measured or is damaged.

        None too for a score of earlier versions that several processes shared: each drew other
        few-shot examples than the run that the key stands for.
        """
        found, _ = self._read("WHERE key = ?", (key,))
        if not found or self._shared_draws(found[0]):
            return None
        return found[0]

    def _shared_draws(self, result: Result) -> bool:
        if not result.n_shot or any("prompts" in task for task in result.tasks):
            return False
        try:
            with closing(self.samples(result.key)) as samples:
                first = [record.get("doc_id") for record in islice(samples, 2)]
        except StoreError:  # an imported score, or samples that are gone: nothing speaks against it
            return False
        return first[:1] == [0] and first[1:] not in ([], [0], [1])

    def keys(self) -> set[str]:
        """Return the keys of all results."""
        return {str(row["key"]) for row in self._rows("SELECT key FROM results", ())}

    def results(self, *, model: str | None = None) -> list[Result]:
        """Return all results, or those of one model, oldest first.

        Damaged ones are left out, each with a warning.
        """
        if model is None:
            return self._read()[0]
        return self._read("WHERE model = ?", (model,))[0]

    def damaged(self) -> list[DamagedResult]:
        """Return the results that can no longer be read; none of them is warned of after that."""
        return self._read(warn=False)[1]

    def failures(self) -> list[Failure]:
        """Return the cells whose last attempt failed, oldest first."""
        rows = self._rows("SELECT * FROM failures ORDER BY failed_at", ())
        return [Failure(**row) for row in rows]

    def put(self, result: Result, samples: Iterable[dict[str, Any]] | None = ()) -> None:
        """Keep a result and its samples, synced to disk when this returns.

        ``samples=None`` says that another process has written them to this store already.

        Raises
        ------
        StoreError
            The store cannot be written.

        """
        row = to_row(replace(result, measured_at=result.measured_at or _utc_now()))
        with self._writable():
            if samples is not None:
                write_samples(self.samples_file(result.key), samples)
            with transaction(self._db):
                self._insert(row)

    def put_all(self, results: Iterable[Result], *, instead_of: Iterable[str] = ()) -> None:
        """Keep many results at once, all or none; samples are written before by the caller.

        Those under the keys of ``instead_of`` go at the same moment, with their samples.

        Raises
        ------
        StoreError
            The store cannot be written.

        """
        now = _utc_now()
        rows = [to_row(replace(r, measured_at=r.measured_at or now)) for r in results]
        gone = list(instead_of)
        with self._writable():
            with transaction(self._db):
                self._db.executemany("DELETE FROM results WHERE key = ?", [(key,) for key in gone])
                for row in rows:
                    self._insert(row)
            for key in gone:
                self.samples_file(key).unlink(missing_ok=True)

    def _insert(self, row: dict[str, Any]) -> None:
        """Write a result and take back that its cell had failed."""
        self._db.execute(
            f"INSERT OR REPLACE INTO results VALUES ({','.join('?' * len(row))})",  # noqa: S608 - no input in it
            tuple(row.values()),
        )
        # A checkpoint that could not be used at all had no revision.
        self._db.execute(
            "DELETE FROM failures WHERE model = ? AND revision IN (?, '') AND benchmark = ?",
            (row["model"], row["revision"], row["benchmark"]),
        )

    def remove(self, keys: Iterable[str]) -> None:
        """Drop results with their samples; keys that are not there are passed over.

        Raises
        ------
        StoreError
            The store cannot be written.

        """
        with self._writable():
            for key in keys:
                with transaction(self._db):
                    self._db.execute("DELETE FROM results WHERE key = ?", (key,))
                self.samples_file(key).unlink(missing_ok=True)

    def remove_damaged(self, damaged: Iterable[DamagedResult]) -> None:
        """Drop results that can no longer be read.

        Raises
        ------
        StoreError
            The store cannot be written.

        """
        with self._writable(), transaction(self._db):
            for one in damaged:
                self._db.execute("DELETE FROM results WHERE rowid = ?", (one.row,))

    def remove_failures(self, failures: Iterable[Failure]) -> None:
        """Forget that cells could not be measured.

        Raises
        ------
        StoreError
            The store cannot be written.

        """
        with self._writable(), transaction(self._db):
            for one in failures:
                self._db.execute(
                    "DELETE FROM failures WHERE model = ? AND revision = ? AND benchmark = ?",
                    (one.model, one.revision, one.benchmark),
                )

    def put_failure(self, failure: Failure) -> None:
        """Keep why a cell could not be measured; a later result of the cell removes it."""
        with self._writable(), transaction(self._db):
            self._db.execute(
                "INSERT OR REPLACE INTO failures VALUES (?,?,?,?,?)",
                (
                    failure.model,
                    failure.revision,
                    failure.benchmark,
                    failure.reason,
                    failure.failed_at or _utc_now(),
                ),
            )

    def compact(self) -> None:
        """Give back the room of removed results."""
        with self._writable():
            self._db.execute("VACUUM")

    def samples_file(self, key: str) -> Path:
        """Return the path of the per-item records of a result."""
        if not (key.isalnum() and key.isascii()):
            raise StoreError(f"{key!r} is not a key of a result")
        return self.samples_path / f"{key}.jsonl.gz"

    def samples(self, key: str) -> Generator[dict[str, Any], None, None]:
        """Yield the per-item records of a result.

        Raises
        ------
        StoreError
            They are not there or damaged.

        """
        yield from read_samples(self.samples_file(key))

    def to_table(self, results: Iterable[Result] | None = None) -> ScoreTable:
        """Return results (default: all) as a score table."""
        return to_table(self.results() if results is None else results)

    def hash_file(self, path: Path) -> str:
        """Return a file's SHA-256, remembered until anything says that the file has changed."""
        # A connection of its own: files are hashed in threads.
        with self._readable(), closing(connect(self.file)) as db:
            return remembered_hash(db, path)

    def _read(
        self, where: str = "", values: tuple[str, ...] = (), *, warn: bool = True
    ) -> tuple[list[Result], list[DamagedResult]]:
        """Return the results that are whole, oldest first, and the others."""
        whole: list[Result] = []
        damaged: list[DamagedResult] = []
        query = f"SELECT rowid AS row, * FROM results {where} ORDER BY measured_at, key"  # noqa: S608 - no input in it
        for row in self._rows(query, values):
            found = from_row(row)
            if isinstance(found, Result):
                whole.append(found)
                continue
            damaged.append(found)
            if warn and found.row not in self._told:
                _log.warning("%s: %s", self.file, found.problem)
            self._told.add(found.row)
        return whole, damaged

    def _rows(self, query: str, values: tuple[str, ...]) -> list[dict[str, Any]]:
        with self._readable():
            return [dict(row) for row in self._db.execute(query, values)]

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"cannot use the store {self.file}: {error}; "
                "choose another with --store or CAPSPACE_STORE"
            ) from None
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{self.file} is damaged or no store ({' '.join(str(error).split())}); "
                "move it away to start anew, or restore it from a copy"
            ) from None

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            with self._readable():
                yield
        except OSError as error:
            raise StoreError(
                f"cannot write the store {self.path}: {error.strerror}; "
                "make room there, or choose another with --store or CAPSPACE_STORE"
            ) from None


def default_store_path() -> Path:
    """Return ``CAPSPACE_STORE``, else the user's data folder for capspace."""
    from platformdirs import user_data_path

    named = os.environ.get("CAPSPACE_STORE")
    return Path(named) if named else user_data_path("capspace")


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

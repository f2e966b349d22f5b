"""The store keeps every measured score, with its identity and samples, in one SQLite file."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from capspace.fit.table import ScoreTable

from ..errors import StoreError
from .result import Missing, Result, dated, utc_now
from .rows import DamagedResult, from_row, to_row
from .samples import read_samples, samples_file, write_samples
from .score_table import to_table
from .store_file import StoreFile

__all__ = ["Store", "default_store_path"]

_log = logging.getLogger(__name__)


class Store:
    """Results in ``<path>/store.sqlite``, samples in ``<path>/samples``, logs in ``<path>/logs``.

    A result is on disk, synced, when ``put`` returns; its samples are there before it.

    Parameters
    ----------
    path : Path
        Folder of the store.
    must_write : bool
        False opens, for reading, also what cannot be written: a full disk, a read-only mount.
    create : bool
        Create the folder if it is not there. False creates it at the first write alone; until then
        the store is empty.

    Attributes
    ----------
    notices : list of str
        One line where the store could be opened for reading only.

    Raises
    ------
    StoreError
        The folder cannot be written, the file is no store or damaged, or a newer version of
        capspace wrote it.

    See Also
    --------
    collect_scores : Measures into one.
    Result : What it holds.

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

    def __init__(self, path: Path, *, must_write: bool = True, create: bool = True) -> None:
        self.path = path.expanduser().absolute()
        self.file = self.path / "store.sqlite"
        self._warned: set[int] = set()
        self._file = StoreFile(
            self.file,
            beside=(self.samples_path, self.logs_path),
            must_write=must_write,
            create=create,
        )
        self.notices = self._file.notices

    def __repr__(self) -> str:
        return f"Store({self.path})"

    @property
    def samples_path(self) -> Path:
        """Folder of the compressed per-item records."""
        return self.path / "samples"

    @property
    def logs_path(self) -> Path:
        """Folder of lm-eval's logs."""
        return self.path / "logs"

    @property
    def log_file(self) -> Path:
        """The log of a run that begins now."""
        return self.logs_path / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.log"

    def make(self) -> None:
        """Create the folder and its file, if they are not there yet.

        Raises
        ------
        StoreError
            The store cannot be written.

        """
        self._file.make()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

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
        results, _ = self._read("WHERE key = ?", (key,))
        if not results or self._shared_draws(results[0]):
            return None
        return results[0]

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
        return {str(row["key"]) for row in self._file.rows("SELECT key FROM results")}

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

    def failures(self) -> list[Missing]:
        """Return the cells whose last attempt failed, oldest first."""
        rows = self._file.rows("SELECT * FROM failures ORDER BY failed_at")
        return [Missing(**row) for row in rows]

    def put(self, result: Result, samples: Iterable[dict[str, Any]] | None = ()) -> None:
        """Keep a result and its samples, synced to disk when this returns.

        ``samples=None`` says that another process has written them to this store already.

        Raises
        ------
        StoreError
            The store cannot be written.

        """
        row = to_row(dated(result))
        self._file.make()
        with self._file.writing():
            if samples is not None:
                write_samples(self.samples_file(result.key), samples)
        with self._file.transaction() as db:
            _insert(db, row)

    def put_all(self, results: Iterable[Result], *, instead_of: Iterable[str] = ()) -> None:
        """Keep many results at once, all or none; samples are written before by the caller.

        Those under the keys of ``instead_of`` go at the same moment, with their samples.

        Raises
        ------
        StoreError
            The store cannot be written.

        """
        rows = [to_row(dated(result)) for result in results]
        replaced = list(instead_of)
        with self._file.transaction() as db:
            db.executemany("DELETE FROM results WHERE key = ?", [(key,) for key in replaced])
            for row in rows:
                _insert(db, row)
        with self._file.writing():
            for key in replaced:
                self.samples_file(key).unlink(missing_ok=True)

    def remove(self, keys: Iterable[str]) -> None:
        """Drop results with their samples; keys that are not there are passed over.

        Raises
        ------
        StoreError
            The store cannot be written.

        """
        for key in keys:
            with self._file.transaction() as db:
                db.execute("DELETE FROM results WHERE key = ?", (key,))
            with self._file.writing():
                self.samples_file(key).unlink(missing_ok=True)

    def remove_damaged(self, damaged: Iterable[DamagedResult]) -> None:
        """Drop results that can no longer be read.

        Raises
        ------
        StoreError
            The store cannot be written.

        """
        with self._file.transaction() as db:
            for result in damaged:
                db.execute("DELETE FROM results WHERE rowid = ?", (result.row,))

    def remove_failures(self, failures: Iterable[Missing]) -> None:
        """Forget that cells could not be measured.

        Raises
        ------
        StoreError
            The store cannot be written.

        """
        with self._file.transaction() as db:
            for failure in failures:
                db.execute(
                    "DELETE FROM failures WHERE model = ? AND revision = ? AND benchmark = ?",
                    (failure.model, failure.revision, failure.benchmark),
                )

    def put_failure(self, failure: Missing) -> None:
        """Keep why a cell could not be measured; a later result of the cell removes it."""
        with self._file.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO failures VALUES (?,?,?,?,?)",
                (
                    failure.model,
                    failure.revision,
                    failure.benchmark,
                    failure.reason,
                    failure.failed_at or utc_now(),
                ),
            )

    def compact(self) -> None:
        """Give back the room of removed results."""
        self._file.compact()

    def samples_file(self, key: str) -> Path:
        """Return the path of the per-item records of a result."""
        return samples_file(self.path, key)

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
        return self._file.hash_file(path)

    def _read(
        self, where: str = "", values: tuple[str, ...] = (), *, warn: bool = True
    ) -> tuple[list[Result], list[DamagedResult]]:
        """Return the results that are whole, oldest first, and the others."""
        whole: list[Result] = []
        damaged: list[DamagedResult] = []
        query = f"SELECT rowid AS row, * FROM results {where} ORDER BY measured_at, key"  # noqa: S608 - no input in it
        for row in self._file.rows(query, values):
            result = from_row(row)
            if isinstance(result, Result):
                whole.append(result)
                continue
            damaged.append(result)
            if warn and result.row not in self._warned:
                _log.warning("%s: %s", self.file, result.problem)
            self._warned.add(result.row)
        return whole, damaged


def default_store_path() -> Path:
    """Return ``CAPSPACE_STORE``, else the user's data folder for capspace."""
    from platformdirs import user_data_path

    named = os.environ.get("CAPSPACE_STORE")
    return Path(named) if named else user_data_path("capspace")


def _insert(db: sqlite3.Connection, row: dict[str, Any]) -> None:
    """Write a result and take back that its cell had failed."""
    db.execute(
        f"INSERT OR REPLACE INTO results VALUES ({','.join('?' * len(row))})",  # noqa: S608 - no input in it
        tuple(row.values()),
    )
    # A checkpoint that could not be used at all had no revision.
    db.execute(
        "DELETE FROM failures WHERE model = ? AND revision IN (?, '') AND benchmark = ?",
        (row["model"], row["revision"], row["benchmark"]),
    )

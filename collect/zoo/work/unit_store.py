"""A zoo's worker writes each result as a file of its own, in a folder that all nodes share.

A worker writes to no SQLite file, since some file systems that machines share damage one that two
of them write (see `Store`). They keep files whole that are written under another name and renamed,
so that is all that happens here; the driver takes the results into the store. Two nodes of a Slurm
cluster that wrote 300 results each at once took 22 and 26 ms for one with its samples, synced; all
600 were there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import StoreError
from ...storage.file_hashes import remembered_hash
from ...storage.result import Missing, Result, dated
from ...storage.samples import read_samples, samples_file, write_samples
from .folder import ZooFolder
from .records import WorkUnit

__all__ = ["UnitStore"]


class UnitStore:
    """What a worker measures of one unit after the other; a ``ResultStore``.

    Results are on disk when ``put`` returns, for every node to see. Why a cell has none is held
    for the length of the unit, as the supervisor may try the cell again.

    Parameters
    ----------
    folder : ZooFolder
        The zoo, beside the samples and the journal of its store.
    worker : str
        Whose log takes what libraries say.

    """

    def __init__(self, folder: ZooFolder, worker: str) -> None:
        self.path = folder.path.parent.parent
        self.log_file = folder.log_path(worker)
        self._folder = folder
        self._model = ""
        self._failures: dict[tuple[str, str], Missing] = {}
        self._hashes: dict[str, tuple[str, str]] = {}
        (self.path / "samples").mkdir(exist_ok=True)

    def begin(self, unit: WorkUnit) -> None:
        """Keep the results that follow under the name that the zoo has for the checkpoint."""
        self._model = unit.model
        self._failures.clear()

    def get(self, key: str) -> Result | None:
        """Return the result of a key, whichever worker has measured it."""
        return self._folder.result(key)

    def results(self) -> list[Result]:
        """Return the results of all workers."""
        return list(self._folder.results())

    def failures(self) -> list[Missing]:
        """Return the cells of this unit that have no score."""
        return list(self._failures.values())

    def samples(self, key: str) -> Iterator[dict[str, Any]]:
        """Yield the per-item records of a result.

        Raises
        ------
        StoreError
            They are not there or damaged.

        """
        yield from read_samples(samples_file(self.path, key))

    def put(self, result: Result, samples: Iterable[dict[str, Any]]) -> None:
        """Keep a result and its samples, both on disk when this returns.

        Raises
        ------
        StoreError
            A file cannot be written.

        """
        try:
            write_samples(samples_file(self.path, result.key), samples)
            named = replace(dated(result), model=self._model or result.model)
            self._folder.write_result(named)
        except OSError as error:
            raise StoreError(
                f"cannot write the zoo's folder {self._folder.path}: {error.strerror}"
            ) from None
        self._failures.pop((result.revision, result.benchmark), None)

    def put_failure(self, failure: Missing) -> None:
        """Hold why a cell has no score until it has one, or the next unit begins."""
        self._failures[failure.revision, failure.benchmark] = failure

    def hash_file(self, path: Path) -> str:
        """Return a file's SHA-256, remembered until anything says that the file has changed."""
        return remembered_hash(self._hashes, path)

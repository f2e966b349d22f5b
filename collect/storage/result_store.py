"""Every backend that stores results fulfils one contract, which is all that a run needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from .result import Missing, Result

__all__ = ["ResultStore"]


@runtime_checkable
class ResultStore(Protocol):
    """Results by their keys, with the samples behind them, and why cells have none.

    `Store` keeps them in SQLite, and a zoo's worker in files of their own
    (``capspace.collect.zoo.work.unit_store``); one test suite runs through both
    (``tests/collect/storage/test_result_store.py``). A further backend has these methods and stands
    in that suite.
    """

    @property
    def path(self) -> Path:
        """Folder of the journal, which all backends of one store share."""
        ...

    @property
    def log_file(self) -> Path:
        """Where the libraries of a run that begins now may say what they have to say."""
        ...

    def get(self, key: str) -> Result | None:
        """Return the result of a key, or None where the cell has none that can be used."""
        ...

    def results(self) -> list[Result]:
        """Return all results."""
        ...

    def failures(self) -> list[Missing]:
        """Return the cells whose last attempt failed, and that have no result since."""
        ...

    def samples(self, key: str) -> Iterator[dict[str, Any]]:
        """Yield the per-item records of a result.

        Raises
        ------
        StoreError
            They are not there or damaged.

        """
        ...

    def put(self, result: Result, samples: Iterable[dict[str, Any]]) -> None:
        """Keep a result and its samples, both on disk when this returns.

        Raises
        ------
        StoreError
            The store cannot be written.

        """
        ...

    def put_failure(self, failure: Missing) -> None:
        """Keep why a cell has no score, until it has one.

        Raises
        ------
        StoreError
            The store cannot be written.

        """
        ...

    def hash_file(self, path: Path) -> str:
        """Return a file's SHA-256, remembered until anything says that the file has changed."""
        ...

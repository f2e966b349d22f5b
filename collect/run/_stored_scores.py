"""The store may hold further scores of a checkpoint, which other references predict from."""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Iterable
from typing import Any

from ..storage.mode import Mode
from ..storage.result import Result
from ..storage.score_table import identity_of, measured_model
from .collection import Collection

__all__ = ["further_results"]


def further_results(
    stored: Iterable[Result], collection: Collection, benchmarks: Names[str]
) -> list[Result]:
    """Return stored scores of a collection's one checkpoint on benchmarks that its panel lacks.

    Parameters
    ----------
    stored : iterable of Result
        Measured by any panel, or imported; oldest first.
    collection : Collection
        Of one checkpoint.
    benchmarks : collection of str
        What a reference knows.

    Returns
    -------
    list of Result
        One of each benchmark, by name: that by most items, of several the newest. It is of the same
        revision, mode and limit, or imported, and then of the same revision where it states one. Of
        a model that thinks none is imported: nobody knows in which mode such a score was measured.

    """
    (checkpoint,) = collection.checkpoints
    measured = {benchmark.name for benchmark in collection.panel.benchmarks}
    conditions = {_conditions(result) for result in collection.results}
    thinks = any(mode == "thinking" for mode, _ in conditions)
    newest: dict[str, Result] = {}
    for result in stored:
        is_same = result.revision == checkpoint.revision and _conditions(result) in conditions
        is_unknown = measured_model(result) is None and result.revision in ("", checkpoint.revision)
        is_wanted = result.benchmark in benchmarks and result.benchmark not in measured
        if (
            result.model == checkpoint.name
            and is_wanted
            and (is_same or (is_unknown and not thinks))
            and not _is_by_fewer(result, newest.get(result.benchmark))
        ):
            newest[result.benchmark] = result
    return [newest[name] for name in sorted(newest)]


def _conditions(result: Result) -> tuple[str, Any]:
    """Return the mode and the limit of a score that was measured here."""
    model = measured_model(result)
    return "" if model is None else Mode.label_of(model), identity_of(result).get("limit")


def _is_by_fewer(result: Result, other: Result | None) -> bool:
    if other is None or result.n_items is None or other.n_items is None:
        return False
    return result.n_items < other.n_items

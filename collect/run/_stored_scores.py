"""The store may hold further scores of a checkpoint, which other references predict from."""

from __future__ import annotations

import json
from collections.abc import Collection as Names
from collections.abc import Iterable
from typing import Any

from ..storage.mode import Mode
from ..storage.result import Result
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
        The newest of each benchmark, by name: of the same revision, mode and limit, or imported,
        and then of the same revision where it states one. Of a model that thinks none is imported:
        nobody knows in which mode such a score was measured.

    """
    (checkpoint,) = collection.checkpoints
    measured = {benchmark.name for benchmark in collection.panel.benchmarks}
    conditions = {_conditions(result) for result in collection.results}
    thinks = any(mode == "thinking" for mode, _ in conditions)
    newest: dict[str, Result] = {}
    for result in stored:
        is_same = result.revision == checkpoint.revision and _conditions(result) in conditions
        is_unknown = _model(result) is None and result.revision in ("", checkpoint.revision)
        is_wanted = result.benchmark in benchmarks and result.benchmark not in measured
        if (
            result.model == checkpoint.name
            and is_wanted
            and (is_same or (is_unknown and not thinks))
        ):
            newest[result.benchmark] = result
    return [newest[name] for name in sorted(newest)]


def _conditions(result: Result) -> tuple[str, Any]:
    """Return the mode and the limit of a score that was measured here."""
    model = _model(result)
    return "" if model is None else Mode.label_of(model), _identity(result).get("limit")


def _model(result: Result) -> dict[str, Any] | None:
    """Return what identifies the model; None for a score that was imported."""
    model = _identity(result).get("model")
    return model if isinstance(model, dict) else None


def _identity(result: Result) -> dict[str, Any]:
    identity: dict[str, Any] = json.loads(result.identity) if result.identity else {}
    return identity

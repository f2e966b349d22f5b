"""Responses of many models to each item of a benchmark come from a store, or from a table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from capspace.fit.errors import TableError, TooFewItemsError
from capspace.fit.items import Responses, read_responses
from capspace.fit.items._responses import organisation
from capspace.tasks.panel import Benchmark

from ..errors import HarnessError, StoreError
from ..harness.item_draws import item_values
from ..storage.protocol import Protocol
from ..storage.result import Result
from ..storage.store import Store

__all__ = ["BenchmarkResponses", "stored_responses", "tabled_responses"]

Place = tuple[str, int]
_HASH_LENGTH = 12


@dataclass(frozen=True, eq=False)
class BenchmarkResponses:
    """Responses to all items of a benchmark.

    Attributes
    ----------
    responses : Responses
        Each item's name is its leaf task and its position there, as in ``arc_challenge/17``.
    places : sequence of (str, int)
        The same as task and position.
    hashes : mapping
        By place, the beginning of lm-eval's hash of the document, where it is known.
    n_skipped : int
        Models whose responses are to other items or prompts, and were not used.

    """

    responses: Responses
    places: Sequence[Place]
    hashes: Mapping[Place, str] = field(default_factory=dict)
    n_skipped: int = 0

    @property
    def sizes(self) -> dict[str, int]:
        """How many items each leaf task has."""
        return dict(Counter(task for task, _ in self.places))


def stored_responses(
    store: Store, benchmark: Benchmark, families: Mapping[str, str]
) -> BenchmarkResponses:
    """Return the responses that a store has to all items of a benchmark.

    Where models were measured by several versions of it, those of the most models are used.

    Parameters
    ----------
    store : Store
        With the samples of its scores.
    benchmark : Benchmark
        Of which all items were measured, by the same protocol.
    families : mapping
        By model; a model without one is taken for one of its organisation's.

    Raises
    ------
    TooFewItemsError
        The store has no score of the benchmark with its single answers.

    """
    whole = [result for result in store.results() if _is_whole(result, benchmark)]
    versions = Counter(_version(result) for result in whole)
    chosen = max(versions, key=lambda v: versions[v], default="")
    newest = {(r.model, r.revision): r for r in whole if _version(r) == chosen}
    rows: dict[str, dict[Place, float]] = {}
    hashes: dict[Place, str] = {}
    for result in newest.values():
        try:
            values = item_values(benchmark, list(store.samples(result.key)))
        except (StoreError, HarnessError):  # an imported score, or samples that are gone
            continue
        row = {(str(s["task"]), int(s["doc_id"])): value for s, value in values}
        if not row:
            continue
        name = result.model if result.model not in rows else f"{result.model}@{result.revision[:8]}"
        rows[name] = row
        hashes |= {
            (str(s["task"]), int(s["doc_id"])): str(s.get("doc_hash", ""))[:_HASH_LENGTH]
            for s, _ in values
        }
    if not rows:
        raise TooFewItemsError(
            f"{store.path} has no answers to the single items of {benchmark.name} by all of its "
            "items; measure it with capspace collect, or give a table of responses"
        )
    places = sorted(set().union(*rows.values()))
    matrix = np.array([[row.get(place, np.nan) for place in places] for row in rows.values()])
    akin = [families.get(name) or organisation(name) for name in rows]
    return BenchmarkResponses(
        _weighted(benchmark, matrix, list(rows), places, akin),
        places,
        hashes if all(hashes.values()) else {},
        sum(versions.values()) - versions[chosen],
    )


def tabled_responses(
    path: Path, leaves: Mapping[str, Sequence[str]], benchmarks: Sequence[Benchmark]
) -> dict[str, BenchmarkResponses]:
    """Return by benchmark the responses of a table.

    Parameters
    ----------
    path : Path
        See ``capspace.fit.items.read_responses``; an item is named ``task/position``, or by its
        position alone where there is one task.
    leaves : mapping
        By benchmark, lm-eval's leaf tasks of it.
    benchmarks : sequence of Benchmark
        Those to look for.

    Raises
    ------
    TableError
        A column is no item of theirs, two are one item, or items of a task are left out.

    """
    table = read_responses(path)
    tasks = [task for b in benchmarks for task in leaves[b.name]]
    columns: dict[str, dict[int, int]] = {}
    for column, item in enumerate(table.items):
        task, _, position = item.rpartition("/")
        task = tasks[0] if not task and len(tasks) == 1 else task
        if task not in tasks or not (position.isascii() and position.isdigit()):
            raise TableError(
                f"{path}: column {item!r} is no item of {', '.join(tasks[:3])}"
                + (" ..." if len(tasks) > 3 else "")
                + "; name items by lm-eval's task and their position, as in arc_challenge/17"
            )
        first = columns.setdefault(task, {}).setdefault(int(position), column)
        if first != column:
            raise TableError(
                f"{path}: columns {table.items[first]!r} and {item!r} are one item; give it once"
            )
    for task, at in columns.items():
        absent = set(range(len(at))) - set(at)
        if absent:
            raise TableError(
                f"{path}: of {task} there are items up to {max(at)}, but not {min(absent)}; give "
                "all of them, so that the full score is known"
            )
    found_here: dict[str, BenchmarkResponses] = {}
    for benchmark in benchmarks:
        own = [task for task in leaves[benchmark.name] if task in columns]
        lacking = [task for task in leaves[benchmark.name] if task not in columns]
        if not own:
            continue
        if lacking:
            raise TableError(f"{path}: of {benchmark.name} there is no item of {lacking[0]}")
        places = [(task, position) for task in own for position in sorted(columns[task])]
        values = table.values[:, [columns[task][position] for task, position in places]]
        rows = np.flatnonzero(~np.isnan(values).all(axis=1)).tolist()
        found_here[benchmark.name] = BenchmarkResponses(
            _weighted(
                benchmark,
                values[rows],
                [table.models[i] for i in rows],
                places,
                [table.families[i] for i in rows],
            ),
            places,
        )
    return found_here


def _weighted(
    benchmark: Benchmark,
    values: Any,
    models: Sequence[str],
    places: Sequence[Place],
    families: Sequence[str],
) -> Responses:
    """Return responses with the weights by which items make up the benchmark's score."""
    sizes = Counter(task for task, _ in places)
    is_weighted = benchmark.aggregate == "weighted"
    weights = np.array([1.0 if is_weighted else 1 / sizes[task] for task, _ in places])
    items = [f"{task}/{position}" for task, position in places]
    return Responses(values, models, items, families, weights)


def _is_whole(result: Result, benchmark: Benchmark) -> bool:
    """Return whether a score is one by all items, by the benchmark's protocol."""
    protocol = Protocol.parse(result.protocol)
    if protocol is None or result.benchmark != benchmark.name:
        return False
    mode = protocol.mode
    stated = (result.n_shot, protocol.metric, protocol.filter)
    is_some = (protocol.limit, mode.n_items, mode.n_drawn, mode.n_estimating) != (None,) * 4
    return not is_some and stated == (benchmark.n_shot, benchmark.metric, benchmark.filter)


def _version(result: Result) -> str:
    """Return what decides a score's items and prompts, as far as the identity states it."""
    identity: dict[str, Any] = json.loads(result.identity) if result.identity else {}
    return json.dumps([identity.get("tasks"), identity.get("seeds")], sort_keys=True)

"""Results are compared with those from another path: other files, or a reference."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from capspace.fit.decide._paired import holm, paired_drift, unpaired_drift
from capspace.fit.reference import Reference
from capspace.fit.table.names import match_names
from capspace.tasks.panel import Benchmark, Panel

from ..errors import StoreError
from ..storage.result import Result
from ..storage.store import Store
from .protocol_fields import different_fields
from .twin_items import PairedItems, paired_items
from .twin_score import TwinScore

__all__ = [
    "benchmark_of",
    "compare_results",
    "drifting_twins",
    "imported_twins",
    "is_part",
    "published_twins",
]


UNSTATED = "the other's error as of as many items"


def compare_results(
    pairs: Iterable[tuple[Result, Store, Result]], other_store: Store, panel: Panel, against: str
) -> tuple[TwinScore, ...]:
    """Compare pairs of results: one's own with its store, and another in the other store.

    Another score that states neither an error nor a number of items is taken as one of as many
    items as one's own, and its test says so.
    """
    twins = []
    for own, place, other in pairs:
        paired = _paired(own, place, other, other_store, panel[own.benchmark])
        error, other_error = _stderr(own), _stderr(other)
        if paired is not None and paired.own:
            drift = paired_drift(paired.own, paired.other)
        elif math.isnan(error):
            continue  # nobody can say how far two scores without errors may lie apart
        elif math.isnan(other_error):
            alike = _stderr(replace(other, n_items=own.n_items))
            if math.isnan(alike):
                continue
            drift = unpaired_drift(own.score, error, other.score, alike)
            drift = replace(drift, test=f"{drift.test}, {UNSTATED}")
        else:
            drift = unpaired_drift(own.score, error, other.score, other_error)
        fields = different_fields(own, other)
        twins.append(TwinScore(own.model, own.benchmark, against, drift, paired, fields))
    return _adjusted(twins)


def drifting_twins(
    results: Sequence[Result], store: Store, panel: Panel, references: Iterable[Reference]
) -> tuple[TwinScore, ...]:
    """Return the scores that drift from those of references, or from imported ones of a store."""
    published = [twin for each in references for twin in published_twins(results, each)]
    twins = (*published, *imported_twins(results, store, panel))
    return tuple(twin for twin in twins if twin.drifting)


def imported_twins(results: Iterable[Result], store: Store, panel: Panel) -> tuple[TwinScore, ...]:
    """Compare scores that were measured here with imported ones of the same model in a store."""
    pairs = []
    for result in results:
        if _is_imported(result):
            continue
        pairs += [
            (result, store, other)
            for other in store.results(model=result.model)
            if _is_imported(other) and benchmark_of(other, panel) == result.benchmark
        ]
    return compare_results(pairs, store, panel, "imported")


def published_twins(
    results: Sequence[Result], reference: Reference, *, model: str | None = None
) -> tuple[TwinScore, ...]:
    """Compare scores of whole benchmarks with those that a reference has of the same model.

    Scores of some items, of other items, or of which neither side knows the error are left out.
    Only names that surely are the same model's count.
    """
    twins = []
    names = list(map(str, reference.table.models.index))
    wide = reference.table.wide(
        [b for b in reference.benchmarks if b in reference.table.benchmarks]
    )
    for result in results:
        name = result.model if model is None else model
        same = [match.name for match in match_names(name, names) if match.is_sure]
        known = reference.benchmarks.get(result.benchmark)
        if not same or known is None or not result.comparable or is_part(result):
            continue
        published = float(wide[result.benchmark].to_numpy(dtype=float)[wide.index.get_loc(same[0])])
        n = known.n_items or result.n_items
        if math.isnan(published) or not n:
            continue
        share = (published * n + 1) / (n + 2)
        own, error = _stderr(result), math.sqrt(share * (1 - share) / n)
        if math.isnan(own):
            continue
        drift = unpaired_drift(result.score, own, published, error)
        fields = {}
        if known.n_shot is not None and result.n_shot not in (None, known.n_shot):
            fields["shots"] = (str(result.n_shot), str(known.n_shot))
        against = f"{reference.name} ({same[0]})"
        twins.append(TwinScore(name, result.benchmark, against, drift, None, fields))
    return _adjusted(twins)


def _adjusted(twins: Sequence[TwinScore]) -> tuple[TwinScore, ...]:
    p_values = holm([twin.drift.p_value for twin in twins])
    return tuple(
        replace(twin, drift=replace(twin.drift, p_value=p))
        for twin, p in zip(twins, p_values, strict=True)
    )


def _paired(
    own: Result, place: Store, other: Result, other_store: Store, benchmark: Benchmark
) -> PairedItems | None:
    """Return the paired items; None where a side has no samples."""
    if not (place.samples_file(own.key).exists() and other_store.samples_file(other.key).exists()):
        return None
    dtype = own.protocol + other.protocol
    try:
        return paired_items(own, place, other, other_store, metric=benchmark.metric, dtype=dtype)
    except StoreError:
        return None


def _is_imported(result: Result) -> bool:
    return "imported" in json.loads(result.identity)


def is_part(result: Result) -> bool:
    """Return whether a result is by some items of its benchmark alone."""
    return json.loads(result.identity).get("limit") is not None


def benchmark_of(result: Result, panel: Panel) -> str:
    """Return the benchmark whose tasks a result is about, by whatever protocol.

    A table of scores names the benchmark itself in place of a task.
    """
    names = [b.name for b in panel.benchmarks]
    if result.benchmark in names:
        return result.benchmark
    tasks = {str(task["task"]) for task in result.tasks}
    matching = [
        b.name for b in panel.benchmarks if tasks and (tasks <= set(b.tasks) or tasks == {b.name})
    ]
    return matching[0] if matching else ""


def _stderr(result: Result) -> float:
    if result.stderr > 0:
        return result.stderr
    n = result.n_items or 0
    share = (result.score * n + 1) / (n + 2)
    return math.sqrt(share * (1 - share) / n) if n else math.nan

"""What every backend of a store does, as checks that run on a disk of their own too."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from store_parts import RESULT, SAMPLES

from capspace.collect.errors import StoreError
from capspace.collect.storage.result import Missing
from capspace.collect.storage.result_store import ResultStore

OTHER = replace(RESULT, key="b" * 64, benchmark="MMLU", stderr=math.nan, n_items=None)


def put_results(store: ResultStore) -> None:
    """Keep two results, one of them twice, of cells that failed before."""
    for result in (RESULT, OTHER):
        store.put_failure(gap(result.benchmark))
    store.put(replace(RESULT, score=0.0), [])
    store.put(RESULT, SAMPLES)
    store.put(OTHER, [])


def check_reading(store: ResultStore) -> None:
    """Check that what `put_results` kept is there, and nothing else."""
    assert isinstance(store, ResultStore)
    assert store.get(RESULT.key) == RESULT
    assert list(store.samples(RESULT.key)) == SAMPLES
    other = store.get(OTHER.key)
    assert other is not None
    assert math.isnan(other.stderr)
    assert replace(other, stderr=0.0) == replace(OTHER, stderr=0.0)
    assert list(store.samples(OTHER.key)) == []
    assert store.get("c" * 64) is None
    assert sorted(r.key for r in store.results()) == [RESULT.key, OTHER.key]
    assert store.failures() == []
    for key in ("c" * 64, "../" + RESULT.key):
        with pytest.raises(StoreError, match=key[-64:]):
            list(store.samples(key))


def check_refusing(store: ResultStore) -> str:
    """Check that nothing can be written; return the line that says so."""
    with pytest.raises(StoreError) as refused:
        store.put(replace(RESULT, key="d" * 64), SAMPLES)
    assert store.get("d" * 64) is None
    return str(refused.value)


def gap(benchmark: str, reason: str = "out of memory") -> Missing:
    """Return a cell of the model of ``RESULT`` without a score."""
    return Missing(RESULT.model, benchmark, reason, revision=RESULT.revision)

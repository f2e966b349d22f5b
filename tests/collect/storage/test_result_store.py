"""Every backend of a store holds one contract: SQLite, also read-only, and a worker's files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from small_disk import on_a_small_disk
from store_contract import OTHER, check_reading, gap, put_results
from store_parts import RESULT, SAMPLES

from capspace.collect.storage.digests import sha256
from capspace.collect.storage.result_store import ResultStore
from capspace.collect.storage.store import Store
from capspace.collect.zoo.work.folder import ZooFolder
from capspace.collect.zoo.work.unit_store import UnitStore

Open = Callable[[], ResultStore]


def sqlite(folder: Path) -> ResultStore:
    return Store(folder)


def zoo_worker(folder: Path) -> ResultStore:
    return UnitStore(ZooFolder(folder / "zoo" / "small"), "worker")


@pytest.fixture(params=[sqlite, zoo_worker], ids=lambda backend: backend.__name__)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Open the same store again and again, as other processes and nodes do."""
    stores: list[ResultStore] = []

    def another() -> ResultStore:
        stores.append(request.param(tmp_path))
        return stores[-1]

    yield another
    for store in stores:
        if isinstance(store, Store):
            store.close()


def test_what_was_put_is_there_for_itself_and_for_others(opened: Open) -> None:
    before, store = opened(), opened()
    put_results(store)
    for reader in (store, before, opened()):
        check_reading(reader)


def test_a_failure_stays_until_the_cell_has_a_result(opened: Open) -> None:
    store = opened()
    for benchmark, reason in (("ARC-C", "first"), ("MMLU", "x"), ("ARC-C", "last")):
        store.put_failure(gap(benchmark, reason))
    assert {(f.benchmark, f.reason, f.revision) for f in store.failures()} == {
        ("ARC-C", "last", RESULT.revision),
        ("MMLU", "x", RESULT.revision),
    }
    store.put(RESULT, SAMPLES)
    assert [f.benchmark for f in store.failures()] == ["MMLU"]
    assert store.get(OTHER.key) is None


def test_samples_that_cannot_be_made_leave_no_result(opened: Open) -> None:
    def broken() -> Iterator[dict[str, object]]:
        yield SAMPLES[0]
        raise RuntimeError("half way")

    store = opened()
    with pytest.raises(RuntimeError, match="half way"):
        store.put(RESULT, broken())
    assert store.get(RESULT.key) is None
    assert store.results() == []


def test_a_result_without_a_date_gets_one(opened: Open) -> None:
    store = opened()
    store.put(replace(RESULT, measured_at=""), [])
    result = store.get(RESULT.key)
    assert result is not None
    assert result.measured_at > "2026"
    assert replace(result, measured_at=RESULT.measured_at) == RESULT


def test_a_file_that_has_changed_has_another_hash(opened: Open, tmp_path: Path) -> None:
    store, path = opened(), tmp_path / "weights"
    for content in ("one", "two"):
        path.write_text(content)
        os.utime(path, (1, 1))  # as copying tools do
        assert store.hash_file(path) == store.hash_file(path) == sha256(content)


def test_results_of_a_zoo_carry_its_name_of_the_checkpoint(tmp_path: Path) -> None:
    from types import SimpleNamespace

    store = UnitStore(ZooFolder(tmp_path / "zoo" / "small"), "worker")
    store.put_failure(gap("MMLU"))
    store.begin(SimpleNamespace(model="zoo/name"))
    assert store.failures() == []
    store.put(RESULT, SAMPLES)
    assert store.get(RESULT.key) == replace(RESULT, model="zoo/name")


PROGRAM = """
from pathlib import Path
from store_contract import check_reading, check_refusing, put_results
from capspace.collect.storage.store import Store
from capspace.collect.zoo.work.folder import ZooFolder
from capspace.collect.zoo.work.unit_store import UnitStore

def sqlite():
    return Store(disk / "store", must_write=False)

def zoo_worker():
    return UnitStore(ZooFolder(disk / "store" / "zoo" / "small"), "worker")

store = {backend}()
put_results(store)
if isinstance(store, Store):
    store.close()
    {spoil}
    store = sqlite()
else:  # a worker has written into its folder before
    {spoil}
check_reading(store)
print(check_refusing(store))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["sqlite", "zoo_worker"])
@pytest.mark.parametrize(
    "spoil", ["fill()", 'mount("-o", "remount,ro", disk)'], ids=["full", "read-only"]
)
def test_where_nothing_can_be_written_it_is_read(tmp_path: Path, backend: str, spoil: str) -> None:
    program = PROGRAM.format(backend=backend, spoil=spoil)
    (line,) = on_a_small_disk(tmp_path, program).splitlines()
    assert line.startswith("cannot ")

"""What a worker measured is on disk when it says so, and why a cell has no score is held."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_files import files_limited_to
from store_parts import RESULT

from capspace.collect.errors import StoreError
from capspace.collect.storage.result import Missing
from capspace.collect.zoo.work.folder import ZooFolder
from capspace.collect.zoo.work.measure import _reasons
from capspace.collect.zoo.work.unit_store import UnitStore


def test_a_result_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    store = UnitStore(ZooFolder(tmp_path / "zoo" / "z"), "w")
    with files_limited_to(10), pytest.raises(StoreError, match=r"cannot write the zoo's folder .*"):
        store.put(RESULT, [{"doc_id": 0}])
    assert store.get(RESULT.key) is None
    store.put(RESULT, [{"doc_id": 0}])
    assert store.get(RESULT.key) is not None
    assert list(store.samples(RESULT.key)) == [{"doc_id": 0}]


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("org/m: A: it is broken", "it is broken"),
        ("it is broken", "it is broken"),
        ("it is broken: A: as ever", "it is broken: A: as ever"),
    ],
)
def test_a_reason_is_told_without_the_name_of_its_cell(
    tmp_path: Path, reason: str, shown: str
) -> None:
    store = UnitStore(ZooFolder(tmp_path / "zoo" / "z"), "w")
    store.put_failure(Missing("org/m", "A", reason, revision="0", key="k"))
    assert _reasons(store) == {"A": shown}

"""A measured zoo is exported as a reference, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from small_files import files_limited_to

from capspace.collect.errors import ZooError
from capspace.collect.storage.store import Store
from capspace.collect.zoo.planning.plan import Plan
from capspace.collect.zoo.table import export_reference, zoo_table
from capspace.collect.zoo.work.folder import ZooFolder
from capspace.fit.table import ScoreTable

CHANCE = {"A": 0.0, "B": 0.25, "C": 0.0}


def table(n_models: int) -> ScoreTable:
    rows = {f"m{i}": {name: 0.1 * i + 0.5 for name in CHANCE} for i in range(n_models)}
    return ScoreTable.from_wide(pd.DataFrame.from_dict(rows, orient="index"))


def test_a_reference_that_does_not_fit_on_the_disk_leaves_the_earlier_one(tmp_path: Path) -> None:
    out = tmp_path / "reference"
    export_reference(table(1), CHANCE, out)
    earlier = {path: path.read_bytes() for path in out.iterdir()}
    sizes = {path.name: len(content) for path, content in earlier.items()}
    limit = sizes["targets.yaml"] - 1  # what is written last
    export_reference(table(2), CHANCE, tmp_path / "other")
    assert (tmp_path / "other" / "scores.csv").stat().st_size < limit
    with files_limited_to(limit), pytest.raises(ZooError, match=r"cannot write .* too large"):
        export_reference(table(2), CHANCE, out)
    assert {path: path.read_bytes() for path in out.iterdir()} == earlier
    export_reference(table(2), CHANCE, out)
    assert len((out / "models.csv").read_text().splitlines()) == 3


def test_a_first_reference_that_does_not_fit_leaves_no_folder(tmp_path: Path) -> None:
    with files_limited_to(100), pytest.raises(ZooError, match=r"cannot write .* too large"):
        export_reference(table(1), CHANCE, tmp_path / "deep" / "reference")
    assert not list(tmp_path.iterdir())


def test_a_zoo_of_which_nothing_is_measured_has_no_table(tmp_path: Path) -> None:
    folder = ZooFolder(tmp_path / "z")
    folder.write_work(Plan("z", (), {}, ()), [], None)
    with Store(tmp_path / "store") as store, pytest.raises(ZooError, match="nothing of this zoo"):
        zoo_table(folder, store)

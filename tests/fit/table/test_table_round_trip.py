"""Any table that is written is read as it was, whatever its names look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capspace.fit.errors import TableError
from capspace.fit.table import ScoreTable
from capspace.fit.table.readers import read_table
from capspace.fit.table.writers import write_table

# Whatever a name may look like, but for blanks around it, which no reader keeps.
words = st.one_of(
    st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=8),
    st.sampled_from(["NA", "nan", "null", "None", "true", "0012", "5e12345", "1000", "1.0", "=1"]),
).filter(lambda text: text == text.strip())
maybe = st.one_of(st.just(""), words)
labels = words.filter(lambda text: text not in ("Winograd", "WinoGrande"))
numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
counts = st.one_of(st.none(), st.integers(1, 10**9))
rows = st.dictionaries(
    st.tuples(words, maybe, labels, counts, maybe),
    st.tuples(numbers, st.one_of(st.none(), st.floats(0, 1)), counts, maybe),
    min_size=1,
    max_size=8,
)
quickly = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.slow
@quickly
@given(cells=rows)
def test_any_long_table_is_read_as_it_was_written(tmp_path: Path, cells: dict[Any, Any]) -> None:
    table = ScoreTable.from_records(
        {
            "model": model,
            "revision": revision,
            "benchmark": benchmark,
            "n_shot": n_shot,
            "protocol": protocol,
            "score": score,
            "stderr": stderr,
            "n_items": n_items,
            "source": source,
        }
        for (model, revision, benchmark, n_shot, protocol), (score, stderr, n_items, source) in (
            cells.items()
        )
    )
    for suffix in ("csv", "parquet"):
        path = tmp_path / f"any.{suffix}"
        write_table(table, path)
        pd.testing.assert_frame_equal(read_table(path).scores, table.scores, check_exact=True)


@pytest.mark.slow
@quickly
@given(cells=st.dictionaries(st.tuples(words, labels), numbers, min_size=1, max_size=8))
def test_any_wide_table_is_read_as_it_was_written_or_refused(
    tmp_path: Path, cells: dict[tuple[str, str], float]
) -> None:
    table = ScoreTable.from_records(
        {"model": model, "benchmark": benchmark, "score": score}
        for (model, benchmark), score in cells.items()
    )
    for suffix in ("csv", "parquet"):
        path = tmp_path / f"any.{suffix}"
        try:
            write_table(table, path, layout="wide")
        except TableError as error:
            assert "write the long layout" in str(error)  # noqa: PT017 - most can be written
            continue
        again = read_table(path)
        pd.testing.assert_frame_equal(again.wide(), table.wide(), check_exact=True)


@pytest.mark.parametrize(
    "labels",
    [["Model"], ["family"], ["Size (B)"], ["FLOPs (X)"], ["revision"], ["benchmark", "score"]],
    ids=str,
)
def test_label_that_a_wide_table_cannot_hold(tmp_path: Path, labels: list[str]) -> None:
    records = [{"model": "m", "benchmark": label, "score": 0.5} for label in labels]
    with pytest.raises(TableError, match="write the long layout"):
        write_table(ScoreTable.from_records(records), tmp_path / "wide.csv", layout="wide")
    assert not (tmp_path / "wide.csv").exists()
    write_table(ScoreTable.from_records(records), tmp_path / "long.csv")
    assert read_table(tmp_path / "long.csv").benchmarks == labels

"""A regular CSV file has the same cells with and without pandas; any other is left to pandas."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capspace.fit.errors import TableError
from capspace.fit.table import ScoreTable, write_table
from capspace.fit.table.cells import cell_texts, is_missing, read_cells, read_columns
from capspace.fit.table.csv_cells import regular_cells

PIECES = ("a", "é", " ", "0.5", ",", ",", ";", "\t", '"', '""', "\n", "\n", "\r\n", "\r", "NA", "#")


def by_pandas(content: bytes) -> dict[str, list[str]] | str:
    try:
        frame = read_cells(Path("x.csv"), content=content)
    except TableError as error:
        return str(error)
    return {str(c): frame[c].tolist() for c in frame.columns}


@pytest.mark.slow
@settings(max_examples=300)
@given(
    st.sampled_from(["model,b\n", "Model;b,c;d\n", "a\tmodel\n", "\ufeffmodel,b\r\n", "x,y\n"]),
    st.lists(st.sampled_from(PIECES), max_size=12),
)
def test_what_is_read_without_pandas_is_what_pandas_reads(header: str, pieces: list[str]) -> None:
    content = (header + "".join(pieces)).encode()
    cells = regular_cells(content)
    assert cells is None or cells == by_pandas(content)


@pytest.mark.parametrize(
    "text",
    [
        "model,MMLU\na,0.5\nb,\n",
        "model;MMLU\r\na;0.5\r\n\r\n",
        "\ufeffModel\tMMLU\na\t0.5",
        'model,MMLU\n"a, the first", 0.5\n',
        "target,n\na/b,3\n",
    ],
    ids=["commas", "semicolons", "tabs", "quotes", "no models"],
)
def test_a_regular_file_needs_no_pandas(text: str) -> None:
    cells = regular_cells(text.encode())
    assert cells is not None
    assert cells == by_pandas(text.encode()) == read_columns(Path("x"), content=text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "model,MMLU\na\n",
        "model,MMLU\na,0.5,0.6\n",
        "model,MMLU\n",
        "",
        "model,MMLU,MMLU\na,1,1\n",
        "model,,MMLU\na,b,1\n",
        "model,MMLU\n a,0.5\n",
        "model,MMLU\n  \na,0.5\n",
        'model,MMLU\n"a\nb",0.5\n',
        'model,MMLU\n"a"b,0.5\n',
        'model,MMLU\n"a,0.5\n',
        "model,MMLU\ra,0.5\r",
        "model,MMLU\na\0,0.5\n",
    ],
)
def test_an_odd_file_is_left_to_pandas(text: str) -> None:
    assert regular_cells(text.encode()) is None
    assert regular_cells(text.encode("utf-16")) is None


def test_bytes_of_another_encoding_are_left_to_pandas() -> None:
    assert regular_cells("model,MMLU\né,0.5\n".encode("latin-1")) is None


def test_a_csv_file_that_the_system_does_not_read_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "memory.csv"
    path.symlink_to("/proc/self/mem")  # a plain file, of which the first byte cannot be read
    with pytest.raises(TableError, match=r"not a CSV file \(.*Input/output error\)"):
        read_columns(path)


def test_parquet_that_is_no_table_of_single_values_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([0.5])] * 2, names=["a", "a"]), path)
    with pytest.raises(TableError, match="not a Parquet file"):
        read_columns(path)
    with pytest.raises(TableError, match="column model holds a list, not a single value"):
        cell_texts([["a"]], "model")
    assert [is_missing(cell) for cell in (None, pd.NA, float("nan"), pd.NaT)] == [True] * 4
    assert not any(map(is_missing, ("", 0, False, pd.Series([1.0, 2.0]))))


def test_parquet_without_its_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1")
    table = ScoreTable.from_wide(pd.DataFrame({"A": [0.5]}, ["m"]))
    table.to_frame()  # pandas imports the parts of pyarrow that its own texts need
    for name in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, name, None)
    message = r"Parquet needs pip install 'capspace\[parquet\]'"
    with pytest.raises(TableError, match=f"reading {message}"):
        read_cells(path)
    with pytest.raises(TableError, match=f"writing {message}"):
        write_table(table, path)
    assert path.read_bytes() == b"PAR1"

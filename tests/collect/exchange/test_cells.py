"""Cells of tables stand for what is written in them: text is text, whatever it looks like."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from capspace.fit import read_costs
from capspace.fit.errors import TableError
from capspace.fit.reference import load_reference
from capspace.fit.table import ScoreTable
from capspace.fit.table.cells import as_numbers, as_text, read_cells
from capspace.fit.table.readers import read_table

WORDS = ["NA", "nan", "null", "None", "true", "0012345", "5e12345", "1000", "1.0", "1_000", "∞"]


def csv(tmp_path: Path, text: str, name: str = "t.csv", encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
@pytest.mark.parametrize("layout", ["long", "wide"])
def test_names_and_revisions_are_text(tmp_path: Path, name: str, layout: str) -> None:
    frame = pd.DataFrame({"model": WORDS, "revision": WORDS[::-1], "score": 0.5})
    frame["benchmark"] = "X"
    if layout == "wide":
        frame = frame.rename(columns={"score": "X", "model": "Model"}).drop(columns="benchmark")
    path = tmp_path / name
    if name.endswith("parquet"):
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    table = read_table(path)
    assert list(table.scores["model"]) == WORDS
    assert list(table.scores["revision"]) == WORDS[::-1]
    assert list(table.models.index) == WORDS


def test_blank_beside_a_number_makes_no_float_of_it(tmp_path: Path) -> None:
    table = read_table(csv(tmp_path, "model,revision,benchmark,score\na,1000,X,.1\nb,,X,.2\n"))
    assert list(table.scores["revision"]) == ["1000", ""]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.array([2**60 + 1, None], "Int64"), [str(2**60 + 1), ""]),
        ([12345.0, np.nan], ["12345", ""]),
        ([12345, 7], ["12345", "7"]),
        ([True, False], ["true", "false"]),
        ([datetime.date(2024, 5, 1), None], ["2024-05-01", ""]),
        (
            pd.to_datetime(["2024-05-01", "2024-05-01 10:00"], format="mixed"),
            ["2024-05-01", "2024-05-01T10:00:00"],
        ),
        ([Decimal("7"), None], ["7", ""]),
        (pd.Categorical(["0012", "NA"]), ["0012", "NA"]),
        (["", None], ["", ""]),
    ],
    ids=["large", "float", "int", "bool", "date", "time", "decimal", "category", "blank"],
)
def test_parquet_columns_that_are_no_text_become_it_exactly(
    tmp_path: Path, column: Any, expected: list[str]
) -> None:
    frame = pd.DataFrame({"model": ["a", "b"], "benchmark": "X", "score": 0.5})
    frame["revision"] = column
    frame.to_parquet(tmp_path / "t.parquet")
    assert list(read_table(tmp_path / "t.parquet").scores["revision"]) == expected


@pytest.mark.parametrize("value", [np.inf, 0.5, 1e300])
def test_number_that_names_nothing_for_certain_is_refused(tmp_path: Path, value: float) -> None:
    frame = pd.DataFrame({"model": ["a"], "benchmark": "X", "score": 0.5, "revision": [value]})
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r"t\.parquet: column revision holds the number"):
        read_table(tmp_path / "t.parquet")


def test_frames_given_in_python_follow_the_same_rule() -> None:
    scores = pd.DataFrame({"model": [7, 8], "benchmark": "X", "score": 0.5})
    scores["revision"] = [1000, None]
    facts = pd.DataFrame({"model": [7, 8], "family": ["A", None]})
    table = ScoreTable(scores, facts)
    assert list(table.scores["revision"]) == ["1000", ""]
    assert table.models["family"].to_dict() == {"7": "A", "8": ""}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_byte_order_marks(tmp_path: Path, separator: str, encoding: str) -> None:
    text = '"Model","A, one",B\nx,0.25,\ny,,0.5\n'
    if separator != ",":
        text = f'"Model"{separator}"A, one"{separator}B\nx{separator}0.25{separator}\n' + (
            f"y{separator}{separator}0.5\n"
        )
    table = read_table(csv(tmp_path, text, encoding=encoding))
    assert table.wide().loc["x", "A, one"] == 0.25
    assert table.wide().loc["y", "B"] == 0.5
    assert len(table) == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Model;X\na;0,45\n", "a: X is '0,45', with a decimal comma; write 0.45"),
        ('Model,X\na,"0,45"\n', "a: X is '0,45', with a decimal comma; write 0.45"),
        ("Model,X\na,57 %\n", "a: X is '57 %', with a percent sign; write 0.57"),
        ("Model,X\na,True\n", "a: X is 'True', not a number"),
        ("Model,X\na,1_0\n", "a: X is '1_0', not a number"),
        ("Model,X\na,0.5,0.6\n", "its rows have more cells than its header"),
        ("Model|X\na|0.5\n", "no column 'Model'"),
        ("model,Benchmark,score,benchmark\na,b,0.5,c\n", "two columns are called 'benchmark'"),
        ("Model,MMLU,MMLU\na,.3,.4\n", "two columns are called 'MMLU'"),
        ("model,benchmark,score\na, ,0.5\n", "row 2 names no benchmark"),
    ],
)
def test_what_a_cell_cannot_be_is_one_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(TableError, match=r"^[^\n]*$") as caught:
        read_table(csv(tmp_path, text))
    assert why in str(caught.value)


def test_cells_that_say_that_nothing_was_measured() -> None:
    cells = pd.Series(["", "NA", "n/a", "NaN", "null", "None", None, np.nan, pd.NA, " 0.5 "])
    numbers = as_numbers(cells, cells)
    assert list(numbers.notna()) == [False] * 9 + [True]
    assert list(as_text(cells))[:6] == ["", "NA", "n/a", "NaN", "null", "None"]


def test_numbers_are_read_to_the_last_digit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random(500)
    text = "model,benchmark,score\n" + "".join(
        f"m{i},X,{v!r}\n" for i, v in enumerate(values.tolist())
    )
    assert list(read_table(csv(tmp_path, text)).scores["score"]) == list(values)


def test_reference_folders_read_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text("[{name: X, chance: 0.0}]")
    target = "{name: t, label: T, description: d, population: base}"
    (tmp_path / "targets.yaml").write_text(f"[{target}]")
    csv(
        tmp_path,
        "model;revision;benchmark;score\n0012;5e12345;X;0.5\nNA;1000;X;0.25\nNA;;t;0.25\n",
        "scores.csv",
        "utf-8-sig",
    )
    csv(tmp_path, "model,family,parameters\n0012,NA,7e9\nNA,true,\n", "models.csv")
    table = load_reference(tmp_path).table
    assert list(table.scores["revision"]) == ["5e12345", "1000", ""]
    assert table.models["family"].to_dict() == {"0012": "NA", "NA": "true"}
    assert table.models["parameters"]["0012"] == 7e9
    csv(tmp_path, "model,parameters\n0012,many\n", "models.csv")
    with pytest.raises(TableError, match=r"0012: parameters is 'many', not a number"):
        load_reference(tmp_path)


def test_empty_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="the file is empty"):
        read_cells(csv(tmp_path, ""))
    with pytest.raises(TableError, match="no such file"):
        read_cells(tmp_path / "none.csv")
    with pytest.raises(TableError, match="a folder, not a file"):
        read_cells(tmp_path)


def test_costs_and_a_zoos_facts_are_of_the_models_they_name(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="a zoo is of checkpoints: capspace[collect]")
    from capspace.collect.errors import ZooError
    from capspace.collect.zoo.config.config import read_zoo
    from capspace.collect.zoo.planning.models import facts_table

    costs = csv(tmp_path, "model;cost\n0012;3\n12;4\nNA;0.5\n", encoding="utf-8-sig")
    read = read_costs(costs, ["NA", "0012"])
    assert read[["NA", "0012"]].tolist() == [0.5, 3.0]
    with pytest.raises(TableError, match="no cost of 5e1"):
        read_costs(costs, ["5e1"])
    csv(tmp_path, "model,family,training_tokens\n0012,NA,1e9\nNA,,\n", "facts.csv")
    zoo = csv(tmp_path, "checkpoints: [org/m]\npanels: smoke\nfacts: facts.csv\n", "zoo.yaml")
    facts = facts_table(read_zoo(zoo))
    assert list(facts.index) == ["0012", "NA"]
    assert facts.loc["0012"].dropna().to_dict() == {"family": "NA", "training_tokens": 1e9}
    csv(tmp_path, "model,training_tokens\na,\na,\n", "facts.csv")
    with pytest.raises(ZooError, match="has a twice"):
        facts_table(read_zoo(zoo))

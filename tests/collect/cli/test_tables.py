"""A printed table is as wide as it needs to be, however narrow the terminal."""

import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
from commands import Command
from packaging.version import Version
from store_parts import RESULT

from capspace.collect.cli import flat_tables, printing
from capspace.collect.cli.printing import print_table
from capspace.collect.cli.show import print_results, result_dict


@pytest.mark.parametrize("columns", ["20", "60", "200"])
def test_no_number_is_cut_and_texts_are_folded(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    interval, name, why = "0.069 – 0.178", "swe-bench-verified/vendor", "little tested " * 9
    print_table("", ("Name", "Interval", "Why"), [(name, interval, why)], numbers=("Interval",))
    printed = capsys.readouterr().out
    assert interval in printed
    assert name in printed
    assert printed.count("little") == 9


@pytest.mark.parametrize("columns", ["20", "60", "200"])
@pytest.mark.parametrize(
    "rows",
    [
        [("swe-bench-verified/vendor", "0.069 – 0.178", "little tested"), ("x", "–", "")],
        [("モデル", "0.5", "wide, as 日本語 is"), ("e\u0301", "1.25", "ends with a blank ")],
        [("two\nlines", "0.5", "a [b] c")],
        [],
    ],
)
@pytest.mark.skipif(
    Version(version("rich")) < Version("14"), reason="it ends the last column with blanks"
)
@pytest.mark.parametrize("numbers", [("Interval",), ("Interval", "Why")])
def test_a_table_that_is_laid_out_at_once_looks_as_rich_lays_it_out(
    rows: list[tuple[str, str, str]],
    numbers: tuple[str, ...],
    columns: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    table = ("mine: offered", ("Name", "Interval", "Why"), rows)
    print_table(*table, numbers=numbers)
    at_once = capsys.readouterr().out
    printing._print_folded(*table, numbers)
    assert at_once == capsys.readouterr().out


def test_of_a_table_that_might_fold_nothing_is_laid_out_at_once() -> None:
    names, rows = ("Name", "Interval", "Why"), [("mine", "0.5", "little tested " * 9 + "yet")]
    assert flat_tables.flat_table("", names, rows, numbers=names[1:2], width=60) is None
    assert flat_tables.flat_table("", names, rows, numbers=names[1:2], width=160) is not None


def test_a_score_of_unfinished_thoughts_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    few, many = (
        replace(RESULT, benchmark=name, provenance={"unfinished": share}, comparable=share < 0.05)
        for name, share in (("few", 0.04), ("many", 0.125))
    )
    print_results([few, many])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "did not end" in line] == [
        "many: 12.5% of the answers did not end their thought and count as wrong; the score is "
        "not comparable"
    ]
    assert result_dict(many)["provenance"] == {"unfinished": 0.125}
    assert not result_dict(many)["comparable"]


def test_a_score_of_few_items_alike_is_not_shown_as_exact(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_results([replace(RESULT, score=0.0, stderr=0.0, n_items=2)])
    printed = capsys.readouterr().out
    assert "0.306" in printed
    assert " 0.000 " in printed  # the score itself


def test_a_choice_that_no_random_subset_matches_has_no_figure(
    capspace: Command, zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three models are in reach; with one of the dearer ones, two."""
    monkeypatch.chdir(tmp_path)
    models = pd.read_csv(zoo)["Model"]
    cheap = ["org0/m0", "org3/m2", "org7/m4"]
    costs = pd.DataFrame({"model": models, "cost": [3 if m in cheap else 4 for m in models]})
    costs.to_csv("costs.csv", index=False)
    words = ("select", zoo, "--model-budget", "9", "--by", "model", "--costs", "costs.csv")
    run = capspace(*words)
    assert run.code == 0, run.err
    assert all(name in run.out for name in cheap)
    assert "no figure: no random subset within the budget estimates all components" in run.out
    assert not Path("capspace-report").exists()


def test_models_are_chosen_up_to_a_size(capspace: Command, zoo: Path) -> None:
    words = ("select", zoo, "--model-budget", "6", "--by", "model", "--json")
    sizes = {row["Model"]: row["Model Size (B)"] for row in pd.read_csv(zoo).to_dict("records")}
    for largest in (2, 30):
        chosen = json.loads(capspace(*words, "--max-size", f"{largest}e9").out)["models"]
        assert len(chosen) == 6
        assert all(sizes[model] <= largest for model in chosen)

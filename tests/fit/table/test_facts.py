"""Families that are one whatever their case and blanks, and dates that can be compared."""

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
from checkout import SHARED

from capspace.collect.errors import ZooError
from capspace.collect.zoo.config.config import read_zoo
from capspace.fit.analyses.design import Candidates, choose_models
from capspace.fit.analyses.splits import by_date
from capspace.fit.errors import DegenerateError, TableError
from capspace.fit.law.efficiency import fit_efficiency
from capspace.fit.law.problem import make_problem
from capspace.fit.table import ScoreTable
from capspace.fit.table.facts import last_day, one_spelling, read_date, read_release_date
from capspace.fit.table.readers import read_table

FAULTS = SHARED / "faults/family-blank"
LOUD = ["A", " a", "A ", "a\u00a0", "B", "b", " B  ", "B"]


def test_scores_of_two_modes_under_one_name_are_refused_by_their_modes():
    records = [{"model": "mine", "benchmark": "MMLU", "score": score} for score in (0.5, 0.6)]
    modes = pd.DataFrame({"mode": ["chat", "thinking"]}, index=["mine", "mine"])
    with pytest.raises(TableError, match="mode is both chat and thinking; scores of two modes"):
        ScoreTable.from_records(records, modes)
    with pytest.raises(TableError, match=r"MMLU is 0\.5 \(no source\) but 0\.6"):
        ScoreTable.from_records(records, modes.assign(mode="chat"))


def test_families_have_one_spelling_the_first():
    assert one_spelling(["Llama-2", "llama-2 ", " LLAMA-2", "Yi", None, "", np.nan, " "]) == [
        *("Llama-2", "Llama-2", "Llama-2", "Yi", "", "", "", ""),
    ]
    assert one_spelling(["My  Family", "my family"]) == ["My Family", "My Family"]
    unseen = ["Yi", "Yi\u200b", "\uff39\uff49", "Yi\u00a0"]  # zero width, full width, no break
    assert one_spelling(unseen) == ["Yi"] * 4


def test_every_comparison_of_families_is_blind_to_case_and_blanks():
    models = pd.Index([f"m{i}" for i in range(8)], name="model")
    facts = pd.DataFrame({"family": LOUD, "training_flops": 10.0 ** np.arange(18, 26)}, models)
    x = np.linspace(0.1, 0.8, 8)
    wide = pd.DataFrame({"B1": x, "B2": x**2}, index=models)
    table = ScoreTable.from_wide(wide, models=facts)
    assert list(table.models["family"].unique()) == ["A", "B"]
    assert len(table.select(families=["b "]).models) == 4
    problem = make_problem(wide, pd.Series(x, models), facts, name="T")
    assert list(np.unique(problem.families)) == ["A", "B"]
    laws = fit_efficiency(x, facts["training_flops"], LOUD)
    assert {name: law.n_models for name, law in laws.laws.items()} == {"A": 4, "B": 4}
    assert laws.law(" b") is laws.laws["B"]
    points = np.column_stack([x, x**2]) - [x.mean(), (x**2).mean()]
    chosen = choose_models(
        Candidates(points, list(table.models["family"])), budget=4, include=["a "], exclude=["b"]
    )
    assert chosen.units == ("A",)


def test_one_model_of_two_spellings_of_a_family_is_no_contradiction():
    rows = pd.DataFrame({"model": ["a", "a"], "family": ["Llama", "llama "]})
    table = ScoreTable(pd.DataFrame([{"model": "a", "benchmark": "B", "score": 0.5}]), rows)
    other = ScoreTable(table.scores, pd.DataFrame({"model": ["a"], "family": ["LLAMA"]}))
    assert table.merge(other).models.loc["a", "family"] == "Llama"


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        ("2024-04-18", "2024-04-18"),
        (" 2024-04 ", "2024-04"),
        (2024, "2024"),
        (2024.0, "2024"),
        (date(2024, 4, 18), "2024-04-18"),
        (pd.Timestamp("2024-04-18"), "2024-04-18"),
        ("2024-04-29T14:54:38Z", "2024-04-29"),
        (None, ""),
        (np.nan, ""),
        (pd.NaT, ""),
    ],
)
def test_iso_dates_are_read(value, iso):
    assert read_date(value, "it") == iso


@pytest.mark.parametrize(
    "value",
    [
        "\uff12\uff10\uff12\uff14",
        "2024-0\u0664",
        "18/04/2024",
        "April 2024",
        "2024-4-18",
        "45400",
        "x",
    ],
)
def test_other_dates_are_refused_with_the_line_that_shows_how(value):
    with pytest.raises(TableError, match=rf"it is '{value}'.*write dates as 2024-04-18, or"):
        read_date(value, "it")


@pytest.mark.parametrize("value", ["2023-02-29", "2024-13", "2024-00-01", "2024-01-32"])
def test_days_that_are_not_there_are_refused(value):
    with pytest.raises(TableError, match="no day of the calendar"):
        read_date(value, "it")


@pytest.mark.parametrize("value", ["2101", 9999, "2101-01-01", date(2500, 1, 1)])
def test_a_release_in_the_far_future_is_refused(value):
    assert read_date(value, "it")  # a cut may mean that there is none
    assert read_release_date("2100-12", "it") == "2100-12"
    with pytest.raises(TableError, match="in the far future; write dates as"):
        read_release_date(value, "it")


def test_the_day_that_is_not_known_is_the_last():
    assert last_day("2024") == date(2024, 12, 31)
    assert last_day("2024-02") == date(2024, 2, 29)
    assert last_day("2024-12") == date(2024, 12, 31)
    dates = ["2023", "2023-06", "2023-06-15", ""]
    facts = pd.DataFrame({"release_date": dates}, index=["year", "month", "day", "none"])
    assert by_date(facts, "2023-06-20").train.tolist() == [False, False, True, False]
    assert by_date(facts, "2023-06").train.tolist() == [False, True, True, False]
    assert by_date(facts, "2023").train.tolist() == [True, True, True, False]
    with pytest.raises(DegenerateError, match="no training model"):
        by_date(facts, "2022")


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_a_wrong_date_names_its_row_model_and_value(tmp_path, layout):
    path = tmp_path / "t.csv"
    path.write_text(
        "Model,Release Date,B\na,2024-01-01,0.1\nb,01/02/2024,0.2\n"
        if layout == "wide"
        else "model,benchmark,score,release_date\na,B,0.1,2024-01-01\nb,B,0.2,01/02/2024\n"
    )
    with pytest.raises(TableError, match=r"t.csv: row 3 \(b\): '.*' is '01/02/2024'; write dates"):
        read_table(path)
    with pytest.raises(TableError, match="b: release_date is 'soon'"):
        ScoreTable(pd.DataFrame(), pd.DataFrame({"release_date": ["soon"]}, index=["b"]))


def test_years_in_a_column_with_gaps_stay_years(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Model,Release Date,B\na,2023,0.1\nb,,0.2\n")
    assert list(read_table(path).models["release_date"]) == ["2023", ""]


def test_a_zoo_reads_dates_as_yaml_writes_them_and_points_at_others(tmp_path):
    path = tmp_path / "zoo.yaml"
    facts = "{{family: ' T ', release_date: {}}}"
    text = f"panels: smoke\ncheckpoints:\n  - ref: a/b\n    facts: {facts}\n"
    for written, iso in (("2024-04-18", "2024-04-18"), ("'2024-04'", "2024-04"), ("2024", "2024")):
        path.write_text(text.format(written))
        facts = read_zoo(path).config.checkpoints[0].facts
        assert (facts.family, facts.release_date) == ("T", iso)
    path.write_text(text.format("18.04.2024"))
    with pytest.raises(ZooError, match=r"zoo.yaml:4: .*release_date.*write dates as 2024-04-18"):
        read_zoo(path)


@pytest.mark.slow
@pytest.mark.skipif(not FAULTS.is_dir(), reason="no ../shared/data/faults")
def test_a_blank_behind_a_family_changes_nothing(capspace):
    dates = [
        json.loads(capspace("backtest", FAULTS / name, "--target-column", "T", "--json").out)
        for name in ("clean.csv", "trailing-blank.csv")
    ]
    assert dates[0] == dates[1]
    assert {m["family"] for m in dates[1]["models"]} == {f"F{i}" for i in range(6)}
    laws = [
        json.loads(
            capspace("efficiency", FAULTS / n, "--reference-family", f, "--drop", "T", "--json").out
        )
        for n, f in (("clean.csv", "F1"), ("trailing-blank.csv", "f1 "))
    ]
    assert laws[0]["families"] == laws[1]["families"]

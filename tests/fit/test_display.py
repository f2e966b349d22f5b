"""Every public result shows itself in a line, and is a table with a form in HTML."""

from __future__ import annotations

import inspect
from datetime import date
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

import capspace.collect as collect
import capspace.fit as fit
from capspace.collect import Missing, Store
from capspace.fit import (
    BudgetCurve,
    Choice,
    Comparison,
    Cost,
    Curve,
    EquivalentScale,
    Evaluation,
    Form,
    GainPrediction,
    ImportedTable,
    Interval,
    Intervention,
    ItemSelection,
    Lift,
    Measurement,
    NextEvaluations,
    Place,
    Question,
    Responses,
    ScoreAlarm,
    ScoreTable,
    ShortForm,
    SourceOffsets,
    Step,
    TargetPrediction,
    TrackRecord,
    Training,
    Treatment,
    Verdict,
    fit_efficiency,
    fit_family_law,
    load_reference,
)
from capspace.fit.decide._outlook import Bounds
from capspace.fit.prediction import PairComparison, Support
from capspace.fit.studies.ruan2024._reproduce import Reproduction
from capspace.fit.studies.ruan2024.compare import Comparison as Compared
from capspace.fit.studies.ruan2024.results import Results
from capspace.fit.table import SourceOffset

MODEL = "org/<b>"
ESCAPED = "org/&lt;b&gt;"

STEP = Step(
    Measurement("gsm8k", 100, Cost(2.0, "tokens")),
    widths=(0.1,),
    saved=0.25,
    total=None,
    bounds=Bounds(np.zeros((3, 1)), np.zeros((3, 1)), np.ones((3, 1))),
)
RECORD = TrackRecord(n=5, skipped=3, right=2, n_all=50, skipped_all=30, right_all=20)
EVALUATION = Evaluation(target="bbh", status="offered", n=40, mae=0.03, date=date(2026, 1, 1))
ROWS: list[tuple[Any, dict[str, object]]] = [
    (
        Choice((MODEL, "b"), (0, 3), "V", float("inf"), 2.0, 4.0, "exchange", 9),
        {"n_models": 2, "budget": 4.0, "value": None, "units": [MODEL, "b"]},
    ),
    (EVALUATION, {"target": "bbh", "n": 40, "mae": 0.03, "ratio": None}),
    (
        fit_family_law([1.0, 2.0], [1e21, 1e22], family=MODEL),
        {"family": MODEL, "slope": pytest.approx(1.0), "r2": None},
    ),
    (
        Lift(
            MODEL,
            Intervention("cot", "bbh", "bbh-cot"),
            0.4,
            0.5,
            0.1,
            0.05,
            0.15,
            0.9,
            40,
            1,
            2,
            Support(True, 0.0, "inside"),
        ),
        {"model": MODEL, "mean": 0.1, "intervention.treated": "bbh-cot", "advised": False},
    ),
    (
        ScoreAlarm(MODEL, ("gsm8k",), 0.1, 0.6, 0.5, 0.7, 0.001, "text low", ("cut answers",)),
        {"model": MODEL, "score": 0.1, "causes": ["cut answers"]},
    ),
    (STEP, {"benchmark": "gsm8k", "expected_width.1": 0.1, "total_cost": None}),
    (
        TargetPrediction(
            reference="study-2024",
            target="bbh",
            label="BBH",
            model=MODEL,
            status="offered",
            mean=0.5,
            lower=0.4,
            upper=0.6,
            level=0.9,
            reason="",
            gate="",
            baselines={"mean": 0.3},
            nearest_model="a",
            single_benchmark="gsm8k",
            evaluation=EVALUATION,
        ),
        {"mean": 0.5, "baselines.mean": 0.3, "evaluation.mae": 0.03, "attainable": None},
    ),
    (RECORD, {"n": 5, "right_all": 20}),
    (
        Verdict(
            model=MODEL,
            target="bbh",
            label="BBH",
            decision="measure first",
            reason="cheap",
            mean=0.5,
            lower=0.4,
            upper=0.6,
            level=0.9,
            question=Question(threshold=0.55),
            probability=0.2,
            attainable=float("nan"),
            cost=Cost(9.0, "tokens"),
            steps=(STEP,),
            n_steps=1,
            chances=(0.5,),
            saving=3.0,
            record=RECORD,
        ),
        {"decision": "measure first", "threshold": 0.55, "record.n": 5, "measure_first": ["gsm8k"]},
    ),
    (Missing(MODEL, "gsm8k", "out of\nmemory"), {"reason": "out of\nmemory", "skipped": False}),
]
IDS = [type(result).__name__ for result, _ in ROWS]


@pytest.mark.parametrize(("result", "cells"), ROWS, ids=IDS)
def test_a_result_of_one_row_is_a_table(result: Any, cells: dict[str, object]) -> None:
    frame = result.to_frame()
    assert len(frame) == 1
    row = frame.iloc[0]
    for name, value in cells.items():
        assert pd.isna(row[name]) if value is None else row[name] == value
    twice = pd.concat([frame, frame], ignore_index=True)
    assert list(twice.dtypes) == list(frame.dtypes)


@pytest.mark.parametrize("result", [result for result, _ in ROWS], ids=IDS)
def test_a_result_of_one_row_shows_itself(result: Any) -> None:
    line = repr(result)
    assert line.startswith(f"{type(result).__name__}(")
    assert "\n" not in line
    assert len(line) < 300
    html = result._repr_html_()
    assert "<table" in html
    assert "<b>" not in html
    assert (ESCAPED in html) == (MODEL in str(result.to_frame().to_dict()))


def test_shapes_of_laws_and_stores_show_themselves(tmp_path: Path) -> None:
    assert repr(Form("sigmoid", floor=0.25)) == "Form(sigmoid: 0.25 and 1)"
    assert repr(Form("sigmoid", ceiling=(0.9, 1.0))) == "Form(sigmoid: 0 and 0.9 to 1)"
    assert repr(Form("linear")) == "Form(linear)"
    with Store(tmp_path) as store:
        assert repr(store) == f"Store({tmp_path})"


def test_results_that_hold_arrays_show_how_many() -> None:
    rows = np.zeros((3, 40))
    curve = Curve(rows[0], rows[0])
    responses = Responses(rows, ["a", "b", "c"], [f"q{i}" for i in range(40)])
    assert repr(responses) == "Responses(3 models × 40 items)"
    assert repr(ItemSelection(np.arange(40), rows[0])) == "ItemSelection(40 items)"
    assert repr(Treatment("direct", rows[0], curve)) == "Treatment(direct: 40 models)"
    form = ShortForm(
        ("q0", "q1"),
        np.arange(2),
        rows[0, :2],
        0.1,
        0.0312,
        0.1,
        0.9,
        0.1,
        "random",
        {},
        20,
        4,
        1200,
    )
    assert repr(form) == "ShortForm(2 of 1,200 items, error 0.031)"
    training = Training(rows, rows[:, 0], np.array(["a", "b", "c"]), rows[0], ("A",) * 40)
    assert repr(training) == "Training(3 models × 40 benchmarks)"


TWO = np.array([0.25, 0.5])
TABLES: list[tuple[Any, str, dict[str, list[Any]]]] = [
    (
        BudgetCurve(TWO, TWO, (np.array([0.9, 0.3, 0.5]), np.array([0.4, 0.2])), 0.1),
        "BudgetCurve(2 budgets up to 0.5: chosen 0.5, all candidates 0.1)",
        {"budget": [0.25, 0.5], "random_median": [0.5, 0.3], "random_best": [0.3, 0.2]},
    ),
    (
        Comparison((MODEL, "b"), (PairComparison("t", "T", MODEL, "b", 0.8, 0.1, 0.5, 9),), {}),
        "Comparison(org/<b> above b on 1 of 1 target)",
        {"target": ["t"], "first": [MODEL], "probability": [0.8]},
    ),
    (
        Curve(TWO, TWO, TWO - 0.125, TWO + 0.125),
        "Curve(2 points from 0.25 to 0.5)",
        {"x": [0.25, 0.5], "lower": [0.125, 0.375], "upper": [0.375, 0.625]},
    ),
    (
        EquivalentScale(MODEL, TWO, TWO, TWO, 0.9, np.array([True, False]), ("", "")),
        "EquivalentScale(2 of 2 in org/<b> terms at 90%)",
        {"scale": [0.25, 0.5], "inside": [True, False]},
    ),
    (
        fit_efficiency([1.0, 2.0], [1e21, 1e22], [MODEL, MODEL]),
        "Efficiency(capability: 1 family, mean R² nan)",
        {"n_models": [2], "smallest": [1e21], "largest": [1e22]},
    ),
    (
        GainPrediction(TWO, TWO + 0.25, TWO, TWO - 0.125, TWO + 0.125, 0.9, TWO),
        "GainPrediction(2 models: mean gain +0.375, mean width 0.250 at 90%)",
        {"treated": [0.5, 0.75], "mean": [0.25, 0.5], "lower": [0.125, 0.375]},
    ),
    (
        Interval(TWO, TWO - 0.125, TWO + 0.125, 0.9),
        "Interval(2 scores at 90%)",
        {"mean": [0.25, 0.5], "lower": [0.125, 0.375], "upper": [0.375, 0.625]},
    ),
    (
        NextEvaluations(MODEL, ("bbh",), 0.9, (0.2,), (STEP,), (STEP,)),
        "NextEvaluations(org/<b>: gsm8k first, for 1 target)",
        {"benchmark": ["gsm8k"], "cost": [2.0], "place": [1], "bbh": [0.1]},
    ),
    (
        Place(TWO[None], np.eye(2)[None] / 16),
        "Place(1 model × 2 coordinates)",
        {"PC-1": [0.25], "PC-2": [0.5], "PC-2 sd": [0.25]},
    ),
    (
        Reproduction(
            Results(
                *(cast(Any, None),) * 10,
                comparisons=[Compared("s", "i", "q", 1, 1, v) for v in ("same", "differs")],
            ),
            Path("p"),
            Path("t"),
            (),
        ),
        "Reproduction(2 numbers: 1 the same, 0 better, 1 different; p)",
        {"section": ["s", "s"], "ours": [1, 1], "verdict": ["same", "differs"]},
    ),
    (
        SourceOffsets((SourceOffset("GPQA", MODEL, "b", 9, 0.0312, 0.0288, 0.987, 1),)),
        "SourceOffsets(1 pair)",
        {"source": [MODEL], "offset": [0.0312], "r": [0.987]},
    ),
]


@pytest.mark.parametrize(
    ("result", "line", "columns"), TABLES, ids=[type(row[0]).__name__ for row in TABLES]
)
def test_a_result_of_many_rows_is_a_table_and_shows_itself(
    result: Any, line: str, columns: dict[str, list[Any]]
) -> None:
    assert repr(result) == line
    frame = result.to_frame()
    for name, values in columns.items():
        assert frame[name].tolist() == pytest.approx(values)
    html = result._repr_html_()
    assert "<table" in html
    assert "<b>" not in html


def test_a_reference_is_a_table_of_its_targets() -> None:
    reference = load_reference()
    frame = reference.to_frame()
    assert frame.index.tolist() == list(reference.targets)
    assert frame.columns.tolist() == ["label", "description", "population", "n_models", "status"]
    for name, row in frame.iterrows():
        assert row["n_models"] == reference.training_counts()[name][0]
        assert row["status"] == reference.evaluations[name].status
    assert "<table" in reference._repr_html_()


def test_results_that_hold_nothing_yet_say_so() -> None:
    none = np.empty(0)
    assert repr(BudgetCurve(none, none, (), 0.5)).startswith("BudgetCurve(no budget at which")
    imported = ImportedTable("helm", ScoreTable.from_wide(pd.DataFrame({"A": [0.5]}, ["m"])), {})
    assert repr(imported) == "ImportedTable(: 1 score)"


def test_every_result_that_has_values_has_a_table() -> None:
    public = [getattr(package, name) for package in (fit, collect) for name in package.__all__]
    results = [t for t in public if inspect.isclass(t) and hasattr(t, "to_dict")]
    assert {Verdict, Missing} <= set(results)
    for result in results:
        assert hasattr(result, "to_frame"), result
        assert hasattr(result, "_repr_html_"), result
        assert result.__repr__ is not object.__repr__, result

"""Every public result shows itself in a line, and is a table with a form in HTML."""

from __future__ import annotations

import inspect
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import capspace.collect as collect
import capspace.fit as fit
from capspace.collect import Missing, Store
from capspace.fit import (
    Choice,
    Cost,
    Curve,
    Evaluation,
    Form,
    Intervention,
    ItemSelection,
    Lift,
    Measurement,
    Question,
    Responses,
    ScoreAlarm,
    Step,
    TargetPrediction,
    TrackRecord,
    Training,
    Treatment,
    Verdict,
    fit_family_law,
)
from capspace.fit.decide._outlook import Bounds

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
            MODEL, Intervention("cot", "bbh", "bbh-cot"), 0.4, 0.5, 0.1, 0.05, 0.15, 0.9, 40, 1, 2
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
    training = Training(rows, rows[:, 0], np.array(["a", "b", "c"]), rows[0], ("A",) * 40)
    assert repr(training) == "Training(3 models × 40 benchmarks)"


def test_every_result_that_has_values_has_a_table() -> None:
    public = [getattr(package, name) for package in (fit, collect) for name in package.__all__]
    results = [t for t in public if inspect.isclass(t) and hasattr(t, "to_dict")]
    assert {Verdict, Missing} <= set(results)
    for result in results:
        assert hasattr(result, "to_frame"), result
        assert hasattr(result, "_repr_html_"), result
        assert result.__repr__ is not object.__repr__, result

"""Predictions of laws that are fitted on the spot stand beside baselines of the same models."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from capspace.fit import ScoreTable, TargetLaw, load_reference, z_to_score
from capspace.fit.completion._baselines import BASELINES
from capspace.fit.prediction._law_baselines import baselines_of_rows
from capspace.fit.prediction._release import known_release_dates
from capspace.fit.reference import Benchmark, Reference, Target, target_training_table

MODELS = [f"m{i}" for i in range(6)]
SIDE = np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0])
YEARS = [2020, 2020, 2021, 2021, 2022, 2022]


def planted() -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Six models: A is -1 or 1 on the scale of the fits, the target half of it, B says nothing."""
    scores = pd.DataFrame({"A": z_to_score(SIDE), "B": [0.5, 0.5, 0.6, 0.6, 0.7, 0.7]}, MODELS)
    truth = pd.Series(z_to_score(0.5 * SIDE), MODELS, name="hard")
    return scores, truth, pd.Series([f"{year}-01-01" for year in YEARS], MODELS)


def test_each_baseline_of_a_planted_table_is_exact() -> None:
    scores, truth, released = planted()
    rows = np.array([[z_to_score(1.0), 0.6], [np.nan, 0.7]])
    dated, undated = baselines_of_rows(
        scores, truth, released, rows, [("new", "2023-01-01"), ("old", "")]
    )
    assert tuple(dated.values) == BASELINES
    assert dated.values["mean"] == pytest.approx(0.5)  # the target is as often above as below
    assert dated.values["trend"] == pytest.approx(0.5)
    assert dated.values["nearest"] == pytest.approx(truth["m3"])  # A = 1, B = 0.6
    assert dated.nearest_model == "m3"
    slope = 6 * 0.5 / (6 + 0.5)  # least squares on six standardised points, ridge 0.5
    assert dated.values["single"] == pytest.approx(float(z_to_score(slope)))
    assert dated.single_benchmark == "A"
    assert math.isnan(undated.values["trend"])
    assert undated.nearest_model == "m4"  # the first of those with B = 0.7
    assert math.isnan(undated.values["single"])  # B does not go with the target
    assert undated.single_benchmark == ""


def test_the_trend_is_a_line_over_the_release_date() -> None:
    scores, _, released = planted()
    days = [0, 0, 366, 366, 731, 731]  # of 2020-01-01; 2020 has 366
    z = np.array([-1.0, -1.0, 0.0, 0.0, 0.0, 0.0]) + np.array(days) / 1000
    truth = pd.Series(z_to_score(z), MODELS, name="hard")
    years = np.array([2020.0, 2020, 2021, 2021, 2022, 2022])
    slope, level = np.polyfit(years, z, 1)
    (row,) = baselines_of_rows(
        scores, truth, released, np.array([[0.5, 0.5]]), [("new", "2023-01-01")]
    )
    assert row.values["trend"] == pytest.approx(float(z_to_score(level + slope * 2023)))
    unknown = pd.Series("", MODELS)
    (row,) = baselines_of_rows(
        scores, truth, unknown, np.array([[0.5, 0.5]]), [("new", "2023-01-01")]
    )
    assert math.isnan(row.values["trend"])


def test_scores_beyond_a_fraction_count_as_the_end_of_the_scale() -> None:
    scores, truth, released = planted()
    truth["m1"] = 1.2
    row = np.array([[0.5, 0.5]])
    (beyond,) = baselines_of_rows(scores, truth, released, row, [("new", "2023")])
    (at_end,) = baselines_of_rows(scores, truth.clip(upper=1), released, row, [("new", "2023")])
    assert beyond.values["trend"] == at_end.values["trend"]
    assert beyond.values["single"] == at_end.values["single"]
    assert beyond.values["mean"] == pytest.approx(truth.mean())


def test_a_model_of_the_reference_is_no_baseline_of_itself() -> None:
    reference, name = load_reference(), "meta-llama/Llama-2-7b-hf"
    law = TargetLaw("bbh").fit(reference)
    rows = reference.scores().loc[[name]].rename({name: "Llama-2-7b-hf"})
    (p,) = law.predict(rows)
    assert name in law.scores_.index
    assert name not in p.models
    truth = target_training_table(reference, law.target_)[1]
    assert p.baselines["mean"] == pytest.approx(truth[list(p.models)].mean())
    assert p.nearest_model in p.models
    assert p.baselines["nearest"] == truth[p.nearest_model]
    assert p.single_benchmark in law.feature_names_in_
    assert math.isnan(p.baselines["trend"])  # the study states no dates
    shown = json.loads(json.dumps(p.to_dict(), allow_nan=False))
    assert shown["baselines"] == {**p.baselines, "trend": None}
    assert (shown["nearest_model"], shown["single_benchmark"]) == (
        p.nearest_model, p.single_benchmark,
    )  # fmt: skip
    (row,) = p.to_frame().to_dict("records")
    for baseline in ("mean", "nearest", "single"):
        assert row[baseline] == p.baselines[baseline]
    assert row["nearest_model"] == p.nearest_model


def test_a_reference_of_ones_own_has_a_trend_for_models_whose_date_is_known() -> None:
    rng = np.random.default_rng(0)
    models = [f"family{i}-7b" for i in range(30)]
    ability = rng.normal(size=30)
    scores = pd.DataFrame(
        {name: z_to_score(ability + 0.1 * rng.normal(size=30)) for name in ("A", "B", "hard")},
        models,
    )
    facts = pd.DataFrame(
        {
            "family": [f"F{i % 10}" for i in range(30)],
            "tuning": "base",
            "release_date": [f"2024-{1 + i % 12:02d}-01" for i in range(30)],
        },
        models,
    )
    own = Reference(
        ScoreTable.from_wide(scores, models=facts),
        {name: Benchmark(name=name, chance=0.0) for name in ("A", "B")},
        {"hard": Target(name="hard", label="Hard", description="", population="base")},
    )
    new = pd.DataFrame({"A": [0.6, 0.61], "B": [0.6, 0.62]}, ["stated", "undated"])
    about = pd.DataFrame({"release_date": ["2025-02", ""]}, new.index)
    table = ScoreTable.from_wide(new, models=about)
    assert known_release_dates(table, own) == {"stated": "2025-02"}
    law = TargetLaw("hard").fit(own)
    stated, undated = law.predict(new, release_dates=known_release_dates(table, own))
    assert 0 < stated.baselines["trend"] < 1
    assert math.isnan(undated.baselines["trend"])
    assert stated.mean == law.predict(new)[0].mean

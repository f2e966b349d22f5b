"""Scores of another source than a reference's widen its intervals by how far the two are apart."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from capspace.fit import BlendedPredictor, ScoreTable, load_reference, predict_targets
from capspace.fit.reference._source_spread import source_spread
from capspace.fit.table import SourceOffset, SourceOffsets

HOME = "Epoch AI Benchmarking Hub"


def pair(benchmark, source, other, *, offset=0.02, spread=0.08, n=20, r=0.95):
    return SourceOffset(benchmark, source, other, n, offset, spread, r, 0)


@pytest.fixture(scope="module")
def epoch():
    offsets = (
        pair("GPQA-diamond", HOME, "vendor"),
        pair("GPQA-diamond", HOME, "lab", spread=0.03),
        pair("MATH level 5", HOME, "vendor", offset=0.2),  # on another scale
        pair("OTIS Mock AIME", HOME, "vendor", n=4),
    )
    return replace(load_reference("epoch-2026"), offsets=SourceOffsets(offsets))


def test_the_pair_is_that_of_the_named_source_else_the_widest_that_agrees(epoch):
    def spread(benchmark, source):
        pair = source_spread(epoch, {benchmark: source}).get(benchmark)
        return None if pair is None else pair.pair.other

    assert spread("GPQA-diamond", f"{HOME}, my copy") is None
    assert spread("GPQA-diamond", epoch.table.scores["source"].iloc[0]) is None
    assert spread("GPQA-diamond", "Lab") == "lab"
    assert spread("GPQA-diamond", "measured today") == "vendor"
    assert spread("GPQA-diamond", "") == "vendor"  # one laboratory's, and not stated to be its
    assert spread("MATH level 5", "") is None  # 20 points apart
    assert spread("MATH level 5", "vendor") == "vendor"  # but named
    assert spread("OTIS Mock AIME", "vendor") is None  # too few models to know
    reported = replace(load_reference("frontier-2026"), offsets=epoch.offsets)
    assert not source_spread(reported, {"GPQA-diamond": ""})


def test_offset_and_spread_of_one_more_model_add_in_squares(epoch):
    pair = source_spread(epoch, {"GPQA-diamond": "vendor"})["GPQA-diamond"]
    assert pair.deviation == pytest.approx(np.hypot(0.02, 0.08 * np.sqrt(1 + np.pi / 40)))


@pytest.mark.slow
def test_planted_offsets_are_covered_with_the_spread_and_not_without():
    rng = np.random.default_rng(3)

    def logistic(z):
        return 1 / (1 + np.exp(-z))

    def models(n):
        able = rng.uniform(-1.5, 1.5, n)
        columns = {b: able + rng.normal(0, 0.15, n) for b in ("GPQA-diamond", "MMLU-Pro", "agent")}
        return logistic(pd.DataFrame(columns, index=[f"m{i}" for i in range(n)]))

    train, new = models(160), models(400)
    facts = pd.DataFrame(
        {
            "release_date": "2025-06-01",  # nothing drifts, and no interval grows with time
            "provider": [f"p{i % 8}" for i in range(160)],
        },
        index=train.index,
    )
    cheap = ["GPQA-diamond", "MMLU-Pro"]
    predictor = BlendedPredictor(kind="single-protocol")
    fitted = predictor.fit(train, facts, cheap=cheap, targets=["agent"]).fitted_
    elsewhere = new.copy()
    for name in cheap:
        elsewhere[name] = (new[name] + rng.normal(0.02, 0.08, len(new))).clip(0, 1)
    deviation = float(np.hypot(0.02, 0.08))
    spread = pd.DataFrame(dict.fromkeys(cheap, deviation), index=new.index)

    def coverage(rows, **arguments):
        made = fitted.predict(rows, force=True, **arguments).set_index("model").reindex(new.index)
        return ((made["lower"] <= new["agent"]) & (new["agent"] <= made["upper"])).mean()

    assert 0.85 < coverage(new) < 0.96
    assert coverage(elsewhere) < 0.8
    assert 0.87 < coverage(elsewhere, spread=spread) < 0.99
    assert coverage(new, spread=0 * spread) == coverage(new)


def test_a_prediction_says_which_scores_another_source_measured(epoch):
    rows = pd.DataFrame({"GPQA-diamond": 0.6, "OTIS Mock AIME": 0.5}, index=["new"])
    facts = pd.DataFrame({"release_date": "2025-09"}, index=["new"])
    names = ["weirdml/v2"]

    def predict(source):
        table = ScoreTable.from_wide(rows, models=facts, source=source)
        return predict_targets(table, epoch, targets=names)[0]

    own, other = predict(HOME), predict("measured at home")
    assert own.mean == other.mean
    assert other.upper - other.lower > own.upper - own.lower
    assert not own.notes
    assert "GPQA-diamond 8.5" in other.notes[0]
    assert list(source_spread(epoch, {"GPQA-diamond": ""})) == ["GPQA-diamond"]

"""Predictions: planted truth covered, gaps and noise widen, and what is unknown stays unknown."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from capspace.fit import JackknifePlus, ScoreTable, TwoView, load_reference
from capspace.fit.errors import FitError, TooFewModelsError, UnknownNameError
from capspace.fit.prediction import TargetLaw
from capspace.fit.reference import Benchmark, Reference, Target

FAST = TwoView(n_refits=8)
NAMES = ["B1", "B2", "B3", "B4", "B5"]


def planted(seed=0, n_families=14, chance=0.0, noise=0.02):
    """A reference with a known law, and models it has not seen."""
    rng = np.random.default_rng(seed)
    n = n_families * 4 + 40
    family = np.r_[np.repeat(np.arange(n_families), 4), np.full(40, n_families)]
    z = rng.normal(size=(n, 2)) + 0.5 * rng.normal(size=(n_families + 1, 2))[family]
    loadings = np.array([[0.9, 0.8, 0.7, 0.6, 0.8], [0.4, -0.5, 0.3, -0.2, 0.1]])
    x = np.clip(0.5 + 0.12 * z @ loadings + 0.01 * rng.normal(size=(n, 5)), 0, 1)
    y = chance + (1 - chance) * expit(-0.3 + 1.0 * z[:, 0] + 0.5 * z[:, 1])
    y = np.clip(y + noise * rng.normal(size=n), 0, 1)
    models = pd.Index([f"m{i}" for i in range(n)], name="model")
    scores = pd.DataFrame(x, models, NAMES)
    truth = pd.Series(y, models)
    old = family < n_families
    facts = pd.DataFrame({"family": [f"F{i}" for i in family], "tuning": "base"}, models)
    table = ScoreTable.from_wide(scores[old].assign(hard=truth[old]), models=facts[old])
    reference = Reference(
        table,
        {name: Benchmark(name=name, chance=0.0) for name in NAMES},
        {
            "hard": Target(
                name="hard", label="Hard exam", description="", population="base", chance=chance
            )
        },
    )
    return reference, scores[~old], truth[~old]


@pytest.fixture(scope="module")
def reference():
    return load_reference()


def arrays(predictions):
    return tuple(np.array([getattr(p, k) for p in predictions]) for k in ("mean", "lower", "upper"))


@pytest.mark.slow
def test_unseen_models_of_a_planted_law_are_predicted_and_covered():
    inside, wrong = [], []
    for seed in range(6):
        reference, scores, truth = planted(seed)
        mean, lower, upper = arrays(
            TargetLaw("Hard exam", n_components=2, method=FAST).fit(reference).predict(scores)
        )
        inside.extend((lower <= truth) & (truth <= upper))
        wrong.extend(mean - truth)
    assert np.mean(inside) > 0.88
    assert np.sqrt(np.mean(np.square(wrong))) < 0.05


@pytest.mark.slow
def test_what_a_prediction_says(reference):
    scores = reference.scores("base").loc[["mistralai/Mistral-7B-v0.1"]]
    prediction = TargetLaw("GSM8K CoT", method=FAST).fit(reference).predict(scores)[0]
    assert (prediction.target, prediction.label, prediction.model) == (
        "gsm8k-cot",
        "GSM8K CoT",
        scores.index[0],
    )
    assert prediction.lower < prediction.mean < prediction.upper
    assert prediction.level == 0.9
    assert prediction.method == "two-view"
    assert scores.index[0] not in prediction.models
    assert prediction.n_models == len(prediction.models) > 80
    assert set(prediction.families) >= {"Llama-2", "Pythia"}
    assert prediction.missing == ()
    assert prediction.support.inside
    assert prediction.support.distance == 0
    shown = json.loads(json.dumps(prediction.to_dict(), allow_nan=False))
    assert shown["mean"] == prediction.mean
    assert shown["n_models"] == prediction.n_models


def test_fit_and_prediction_agree(reference):
    fit = TargetLaw("bbh", method=FAST).fit(reference)
    assert fit.space_.n_components_ == 3
    np.testing.assert_allclose(
        fit.law_.curve(fit.linear_predictor_), fit.law_.predict(fit.capabilities_)
    )
    new = fit.scores_.iloc[[4]].rename(index=lambda m: "new") + 0.002  # or it is the same model
    at = fit.law_.linear_predictor(fit.space_.transform(new))
    prediction = fit.predict(new)[0]
    assert prediction.mean == pytest.approx(
        float(fit.law_.curve(prediction.linear_predictor)), abs=1e-9
    )
    assert prediction.linear_predictor == pytest.approx(float(at[0]), abs=1e-9)


@pytest.mark.slow
def test_missing_benchmarks_and_noise_widen_the_interval(reference):
    fit = TargetLaw("gsm8k-cot", method=FAST).fit(reference)
    full = fit.scores_.loc[["meta-llama/Llama-2-13b-hf"]].rename(index=lambda m: "new") + 0.002
    part = full[["MMLU", "HellaSwag"]]
    noisy = full * 0 + 0.05
    wide, missing, unsure = (
        fit.predict(s, stderr=e)[0] for s, e in ((full, None), (part, None), (full, noisy))
    )
    assert set(missing.missing) == set(full.columns) - {"MMLU", "HellaSwag"}
    assert missing.upper - missing.lower > wide.upper - wide.lower
    assert unsure.upper - unsure.lower > wide.upper - wide.lower
    assert unsure.mean == pytest.approx(wide.mean)


@pytest.mark.slow
def test_hidden_benchmarks_leave_coverage_near_its_level():
    inside = []
    rng = np.random.default_rng(0)
    for seed in range(6):
        reference, scores, truth = planted(seed)
        hidden = scores.mask(rng.random(scores.shape) < 0.5)
        hidden.iloc[:, 0] = hidden.iloc[:, 0].fillna(scores.iloc[:, 0])
        _, lower, upper = arrays(
            TargetLaw("hard", n_components=2, method=FAST).fit(reference).predict(hidden)
        )
        inside.extend((lower <= truth) & (truth <= upper))
    assert np.mean(inside) > 0.85


def test_a_model_without_any_benchmark_is_unknown_and_stays_unknown(reference):
    scores = pd.DataFrame({"MMLU": [0.5, np.nan]}, index=["some", "none"])
    some, none = TargetLaw("bbh", method=FAST).fit(reference).predict(scores)
    assert np.isfinite(some.mean)
    assert np.isnan([none.mean, none.lower, none.upper, none.linear_predictor]).all()
    assert not none.support.inside
    shown = none.to_dict()
    assert shown["mean"] is None
    assert shown["support"]["distance"] is None
    json.dumps(shown, allow_nan=False)


def test_support_says_which_way_and_how_far_outside(reference):
    fit = TargetLaw("gsm8k-cot", method=FAST).fit(reference)
    strong = pd.DataFrame(1.0, index=["super"], columns=fit.scores_.columns)
    prediction = fit.predict(strong)[0]
    assert not prediction.support.inside
    assert prediction.support.distance > 0.3
    assert "above the outermost training model" in prediction.support.summary
    place = fit.space_.transform(strong)[0]
    beyond = (place - fit.capabilities_.max(axis=0)) / fit.capabilities_.std(axis=0)
    below = (fit.capabilities_.min(axis=0) - place) / fit.capabilities_.std(axis=0)
    assert prediction.support.distance == pytest.approx(np.maximum(beyond, below).max())
    weak = pd.DataFrame(0.0, index=["none"], columns=fit.scores_.columns)
    other = fit.predict(weak, keep=True)[0]
    assert "below the outermost training model" in other.support.summary
    place = fit.space_.transform(weak)[0]
    under = (fit.capabilities_.min(axis=0) - place) / fit.capabilities_.std(axis=0)
    assert other.support.distance == pytest.approx(under.max())


@pytest.mark.slow
def test_rows_do_not_touch_each_other(reference):
    fit = TargetLaw("word-unscrambling", method=FAST).fit(reference)
    new = fit.scores_.iloc[:6].rename(index=lambda m: f"new {m}") + 0.002
    new.iloc[2, 1] = np.nan
    for method in (FAST, JackknifePlus()):
        together = arrays(fit.set_params(method=method).predict(new))
        alone = arrays([fit.predict(new.iloc[[i]])[0] for i in (0, 5)])
        np.testing.assert_allclose(together[0][[0, 5]], alone[0], atol=1e-9)
        np.testing.assert_allclose(together[1][[0, 5]], alone[1], atol=1e-9)


def test_chance_is_the_floor():
    reference, scores, _ = planted(chance=0.25)
    fit = TargetLaw("hard", n_components=2, method=FAST).fit(reference)
    assert fit.law_.floor_ == 0.25
    mean, lower, _ = arrays(fit.predict(scores))
    assert mean.min() > 0.25
    assert lower.min() < mean.min()


def test_bad_input_is_refused(reference):
    scores = pd.DataFrame({"MMLU": [45.0]}, index=["m"])
    with pytest.raises(FitError, match=r"m: MMLU is 45.0, outside \[0, 1\]"):
        TargetLaw("bbh").fit(reference).predict(scores)
    with pytest.raises(UnknownNameError, match=r"none of its benchmarks .*did you mean 'MMLU'"):
        TargetLaw("bbh").fit(reference).predict(scores.rename(columns={"MMLU": "MMLUU"}))
    with pytest.raises(UnknownNameError, match="unknown target 'bhb'"):
        TargetLaw("bhb").fit(reference).predict(scores / 100)
    few = Reference(
        reference.table.select(models=list(reference.models("base").index[:4])),
        reference.benchmarks,
        reference.targets,
    )
    with pytest.raises(TooFewModelsError, match="4 models in the reference for the 5 parameters"):
        TargetLaw("gsm8k-cot").fit(few).predict(scores / 100)


@pytest.mark.slow
@pytest.mark.parametrize("link", ["sigmoid", "sigmoid-floor"])
def test_a_space_has_no_more_components_than_benchmarks(link):
    reference, new, _ = planted()
    target = reference.targets["hard"].model_copy(update={"link": link})
    method = TwoView(n_refits=2)
    law = TargetLaw(target, n_components=9, method=method).fit(reference)
    assert law.capabilities_.shape[1] == len(NAMES)
    (many,) = law.predict(new.iloc[:1])
    assert many.notes == ("5 components, not 9: 5 benchmarks have no more",)
    (all_five,) = TargetLaw(target, n_components=5, method=method).fit(reference).predict(new[:1])
    assert (many.mean, many.lower, all_five.notes) == (all_five.mean, all_five.lower, ())
    with pytest.raises(FitError, match="n_components is 0; it must be at least 1"):
        TargetLaw(target, n_components=0).fit(reference)
    for wrong in (2.5, None, "3"):
        with pytest.raises(FitError, match=r"n_components is .*; it must be a whole number"):
            TargetLaw(target, n_components=wrong).fit(reference)


@pytest.mark.slow
def test_numbers_of_any_type_predict_the_same():
    reference, new, _ = planted()
    law = TargetLaw("hard", method=TwoView(n_refits=2)).fit(reference)
    rows = new.iloc[:2].copy()
    rows.iloc[0, 1] = np.nan
    expected = law.predict(rows)
    for other in (
        rows.astype(object).where(rows.notna(), None),
        rows.astype("Float64"),
        rows.assign(remark=["text", "is ignored"]),
    ):
        assert law.predict(other) == expected


def test_what_cannot_be_predicted_from_is_refused_in_one_line():
    reference, new, _ = planted()
    law = TargetLaw("hard", method=TwoView(n_refits=2)).fit(reference)
    row = new.iloc[:1]
    name, noise = row.index[0], 0 * row
    text: Any = "0.9"
    for refused, message in (
        (lambda: law.predict(row.astype(object).assign(B1="x")), f"{name}: B1 is 'x', not a"),
        (lambda: law.predict(row.astype(object).assign(B1=1j)), f"{name}: B1 is 1j, not a"),
        (lambda: law.predict(row[["B1", "B2", "B1"]]), "B1 is twice among the columns"),
        (lambda: law.predict(row, level=text), "level is '0.9'; it must be a number"),
        (lambda: law.predict(np.nan * row, level=2), "level is 2; it must lie"),
        (lambda: law.predict(row, stderr=noise - 1), f"{name}: the stderr of B1 is -1"),
        (lambda: law.predict(row, stderr=noise + np.inf), "the stderr of B1 is inf"),
        (lambda: law.predict(row, stderr=pd.concat([noise, noise])), "twice among the models of"),
        (
            lambda: TargetLaw("hard", method=TwoView(n_refits=0)).fit(reference).predict(row),
            "n_refits is 0; it must be at least 1",
        ),
    ):
        with pytest.raises(FitError, match=message) as caught:
            refused()
        assert "\n" not in str(caught.value)
    (bare,) = law.predict(row, stderr=pd.DataFrame({"other": [0.1]}, index=row.index))
    assert bare == law.predict(row)[0]

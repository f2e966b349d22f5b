"""Predictions: planted truth covered, gaps and noise widen, and what is unknown stays unknown."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from capspace.fit import (
    JackknifePlus,
    ScoreTable,
    TwoView,
    compare_models,
    load_reference,
    place_model,
)
from capspace.fit.decide._fitted_outlook import fitted_outlook
from capspace.fit.decide._noise_effect import PredictedWidths
from capspace.fit.errors import (
    FitError,
    RefusedTargetError,
    TooFewModelsError,
    UnknownNameError,
)
from capspace.fit.law import _multistart
from capspace.fit.prediction import TargetLaw
from capspace.fit.prediction._extrapolation import extrapolation
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
    wide, missing, unsure, sure = (
        fit.predict(s, stderr=e)[0]
        for s, e in ((full, None), (part, None), (full, noisy), (full, noisy / 1e4))
    )
    assert set(missing.missing) == set(full.columns) - {"MMLU", "HellaSwag"}
    assert missing.upper - missing.lower > wide.upper - wide.lower
    assert unsure.upper - unsure.lower > wide.upper - wide.lower
    assert sure.mean == pytest.approx(wide.mean, abs=1e-5)
    assert unsure.mean != pytest.approx(wide.mean, abs=1e-3)  # each is drawn towards the others


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


def several_targets():
    """A reference with a target that can be predicted and three that cannot, and a new model."""
    reference, scores, _ = planted()
    wide = reference.table.wide()
    wide["few"] = wide["hard"].where(np.arange(len(wide)) < 3)
    wide["flat"] = 0.5
    hard = reference.targets["hard"]
    more = {n: hard.model_copy(update={"name": n, "label": n}) for n in ("few", "flat", "else")}
    more["else"] = more["else"].model_copy(update={"space": ("B4", "B5")})
    wide["else"] = wide["hard"]
    table = ScoreTable.from_wide(wide, models=reference.table.models)
    new = ScoreTable.from_wide(scores.iloc[:1][["B1", "B2", "B3"]])
    return Reference(table, reference.benchmarks, {"hard": hard, **more}), new


def test_a_target_that_cannot_be_predicted_says_why_beside_the_others():
    reference, new = several_targets()
    placement = place_model(new, reference, method=FAST)
    assert [p.target for p in placement.predictions] == ["hard"]
    assert list(placement.unpredicted) == ["few", "flat", "else"]
    assert "3 models" in placement.unpredicted["few"]
    assert "the target is 0.5 for all 56 training models" in placement.unpredicted["flat"]
    assert placement.unpredicted["else"] == "no benchmark of the space was measured"
    name = new.models.index[0]
    for target, why in (
        ("few", "few: no law can be fitted: .*3 models"),
        ("flat", r"flat: no law can be fitted: the target is 0\.5 for all 56"),
        ("else", rf"else: {name} has none of its benchmarks \(B4, B5\); measure one of them"),
    ):
        with pytest.raises(RefusedTargetError, match=why):
            fitted_outlook(new, name, reference, [reference.target(target)])
    effect = PredictedWidths(reference, targets=["few", "else", "hard"]).effect(new)
    assert effect.targets == ("hard",)
    assert effect.unpredicted["else"] == "no benchmark of its space is measured"
    with pytest.raises(RefusedTargetError, match=r"no target can be predicted: few: .*3 models"):
        PredictedWidths(reference, targets=["few", "flat"]).effect(new)


def test_laws_that_do_not_converge_refuse_their_target_alone(monkeypatch):
    reference, scores, _ = planted()
    monkeypatch.setattr(_multistart, "_SCREENING_STEPS", 0)
    monkeypatch.setitem(_multistart.fit_best.__kwdefaults__, "max_iter", 0)
    table = ScoreTable.from_wide(scores.iloc[:2])
    first = table.select(models=list(scores.index[:1]))
    placement = place_model(first, reference)
    assert "had not converged after" in placement.unpredicted["hard"]
    assert "had not converged after" in compare_models(table, reference).uncompared["hard"]
    with pytest.raises(RefusedTargetError, match=r"hard: no law can be fitted: .*not converged"):
        fitted_outlook(first, scores.index[0], reference, [reference.target("hard")])
    with pytest.raises(RefusedTargetError, match=r"no target can be predicted: hard: .*not conv"):
        PredictedWidths(reference).effect(first)


def test_what_cannot_be_placed_is_refused_in_one_line():
    reference, scores, _ = planted()
    chance = {
        name: b.model_copy(update={"chance": 0.9}) for name, b in reference.benchmarks.items()
    }
    low = Reference(reference.table, chance, reference.targets)
    for table, given, message in (
        (
            ScoreTable.from_wide(scores.iloc[:4]),
            reference,
            r"has 4 models \(.*\.\.\.\); name the one",
        ),
        (
            ScoreTable.from_wide(scores.iloc[:2]),
            reference,
            r"has 2 models \(m56, m57\); name the one",
        ),
        (ScoreTable.from_wide(pd.DataFrame({"X": [0.5]}, ["a"])), reference, r"a has none of .*B5"),
        (ScoreTable.from_wide(0.2 * scores.iloc[:1]), low, "no score is left to place it by; "),
    ):
        with pytest.raises(UnknownNameError, match=message) as caught:
            place_model(table, given)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lower", "upper", "words"),
    [(0.1, 0.2, "below"), (0.9, 1.0, "above"), (0.1, 0.9, ""), (0.4, 0.5, "")],
)
def test_an_interval_beyond_all_scores_is_an_extrapolation(lower, upper, words):
    reason = extrapolation("t", lower, upper, {"t": (0.3, 0.8)})
    assert (words in reason) is (bool(reason) or not words)
    assert bool(reason) is bool(words)
    assert extrapolation("unscored", lower, upper, {}) == ""

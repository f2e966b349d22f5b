"""Expensive scores of new models: calibrated, from cheap cells alone, the same after storing."""

import json
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import clone

from capspace.fit import BlendedPredictor, FittedPredictor, evaluate_targets
from capspace.fit.completion._backtests import conformal_scores, quantile
from capspace.fit.completion._baselines import NAIVE
from capspace.fit.completion._blended import _MOST_RATIOS, _thinned
from capspace.fit.completion._evaluate import judge
from capspace.fit.completion._storing import read_state, write_state
from capspace.fit.errors import FitError, TooFewModelsError, UnknownNameError
from capspace.fit.reference.left_out import left_out_of_tests

KINDS = ("vendor-reported", "single-protocol")
CHEAP = ["GPQA-diamond", "MMLU-Pro", "IFEval"]
TARGETS = ["agents", "rating", "noise", "unborn"]


def world(n=70, seed=0, offset=0):
    """Models of 7 providers over two years: scores rise with ability, and ability with time."""
    rng = np.random.default_rng([seed, offset])
    names = [f"m{offset + i}" for i in range(n)]
    month = np.sort(rng.integers(0, 24, n))
    ability = rng.normal(size=n) + 0.04 * (month - 12)
    other = rng.normal(size=n)
    z = {
        "GPQA-diamond": ability,
        "MMLU-Pro": 0.8 * ability + 0.3 * other + 0.5,
        "IFEval": 0.6 * ability - 0.3 * other + 1,
        "agents": 1.1 * ability + 0.2 * other - 0.5,
        "noise": 0 * ability,
        "unborn": 0.2 * ability - 4,
        "other": ability + other,
    }
    scores = pd.DataFrame(
        {b: 1 / (1 + np.exp(-v - 0.3 * rng.normal(size=n))) for b, v in z.items()}, index=names
    )
    scores["rating"] = 1200 + 90 * ability + 20 * rng.normal(size=n)
    scores["other"] = scores["other"].mask(rng.random(n) < 0.5)
    facts = pd.DataFrame(
        {
            "release_date": [f"{2024 + m // 12}-{1 + m % 12:02d}-15" for m in month],
            "provider": [f"p{i}" for i in rng.integers(0, 7, n)],
            "reasoning": rng.random(n) < 0.5,
        },
        index=names,
    )
    return scores, facts


def fit(scores, facts, kind=KINDS[1], **more):
    return BlendedPredictor(kind=kind, n_sweeps=30).fit(
        scores, facts, cheap=CHEAP, targets=TARGETS, linear=["rating"], **more
    )


@cache
def fitted_once(kind):
    return fit(*world(), kind=kind)


@pytest.fixture(params=KINDS)
def fitted(request):
    return fitted_once(request.param)


@pytest.mark.slow
def test_new_models_of_the_same_world_lie_in_the_intervals(fitted):
    rows, facts = world(n=400, offset=1000)
    table = fitted.predict(rows, facts, targets=["agents", "rating"])
    given = table[table["reason"] == ""]
    assert len(given) > 600
    truth = np.array([rows.loc[m, t] for m, t in zip(given["model"], given["target"], strict=True)])
    inside = (given["lower"] <= truth) & (truth <= given["upper"])
    assert inside.mean() == pytest.approx(0.9, abs=0.06)
    agents = given["target"] == "agents"
    off = (given["prediction"] - truth).abs()[agents].mean()
    for baseline in ("mean", "last_five", "trend", "nearest"):
        assert off < 0.8 * (given[baseline] - truth).abs()[agents].mean()


def test_the_scale_is_the_quantile_of_its_back_tests(fitted):
    tests = [t[t["gate"] == 0] for t in (fitted.provider_tests_, fitted.forward_tests_)]
    inside = [((t["truth"] - t["point"]).abs() <= fitted.scale_ * t["width"]).mean() for t in tests]
    ratios, weight = conformal_scores(*tests)
    assert weight.sum() == pytest.approx(np.mean([len(t) / (len(t) + 1) for t in tests]))
    assert np.mean(inside) == pytest.approx(0.9 / weight.sum(), abs=0.005)
    assert quantile(ratios, weight, 0.5) < fitted.scale_ < quantile(ratios, weight, 0.99)


@pytest.mark.slow
@pytest.mark.parametrize("n_forward", [0, 2, 6, 30])
def test_a_scale_of_few_back_tests_covers_new_cells(n_forward):
    rng = np.random.default_rng(0)
    inside, uncorrected = [], []
    for _ in range(300):
        ratios, weight = conformal_scores(planted(rng, 20), planted(rng, n_forward))
        new = np.abs(rng.standard_t(8, 50))
        inside.append(new <= quantile(ratios, weight, 0.9))
        uncorrected.append(new <= quantile(ratios, weight / weight.sum(), 0.9))
    assert 0.89 < np.mean(inside) < 0.96
    assert np.mean(uncorrected) < 0.895


def test_without_back_tests_nothing_is_calibrated():
    none = planted(np.random.default_rng(0), 0)
    ratios, weight = conformal_scores(none, none)
    assert (len(ratios), len(weight)) == (0, 0)
    assert np.isnan(quantile(ratios, weight, 0.9))
    tests = {"predicted": [], **{name: [] for name in NAIVE}}
    judged = judge(["t"], none.assign(target=0, **tests), none.assign(target=0, **tests), 1.6)
    assert judged.loc["t", ["n", "n_forward", "baseline"]].tolist() == [0, 0, ""]
    assert judged.loc["t", ["mae", "ratio", "forward_mae"]].isna().all()
    assert judged.loc["t", "status"] == "refused"


def test_many_ratios_are_thinned_to_their_quantiles():
    ratios = np.linspace(0.0, 1.0, 100_001)
    few = _thinned(ratios)
    assert (few[0], few[-1], len(few)) == (0.0, 1.0, _MOST_RATIOS)
    assert np.quantile(few, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=1e-3)
    assert _thinned(few) is few


@dataclass(frozen=True)
class State:
    values: NDArray[np.float64]
    day: float
    names: tuple[str, ...]


def test_a_date_that_is_not_known_is_stored_as_such(tmp_path):
    write_state(State(np.eye(2), float("nan"), ("a",)), tmp_path / "fit")
    assert '"day": null' in (tmp_path / "fit.json").read_text()
    again = read_state(State, tmp_path / "fit")
    assert np.isnan(again.day)
    assert again.names == ("a",)
    np.testing.assert_array_equal(again.values, np.eye(2))


def planted(rng, n):
    """Return n back-tests whose errors have a width of 1 and heavy tails."""
    cells = {"point": 0.0, "width": 1.0, "gate": 0, "weight": 1.0}
    return pd.DataFrame({"truth": rng.standard_t(8, n)} | cells)


def test_a_target_of_the_new_model_never_helps_to_predict_it(fitted):
    rows, facts = world(n=5, offset=1000)
    changed = rows.copy()
    changed[[*TARGETS, "other"]] = 0.01
    pd.testing.assert_frame_equal(fitted.predict(rows, facts), fitted.predict(changed, facts))


@pytest.mark.slow
def test_a_target_of_others_does_not_move_the_space_of_a_single_protocol():
    scores, facts = world(n=40)
    views = fit(scores, facts).fitted_.views.process
    other = fit(scores.assign(agents=scores["agents"] ** 2), facts).fitted_.views.process
    np.testing.assert_array_equal(views.places, other.places)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_models_released_after_the_cut_change_nothing(kind):
    scores, facts = world(n=60)
    late = facts["release_date"] > "2025-06-30"
    assert late.sum() > 5
    spoiled = scores.copy()
    spoiled.loc[late] = spoiled.loc[late] ** 3
    rows, about = world(n=4, offset=1000)
    tables = [
        fit(s, f, kind, cut="2025-06-30").predict(rows, about)
        for s, f in ((scores, facts), (spoiled, facts), (scores[~late], facts[~late]))
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    pd.testing.assert_frame_equal(tables[0], tables[2])


@pytest.mark.slow
def test_a_model_is_not_nearest_to_itself():
    scores, facts = world(n=40)
    table = fit(scores, facts).predict(scores.iloc[:5], facts)
    assert table["in_training"].all()
    assert (table["nearest_model"] != table["model"]).all()


def test_intervals_grow_past_the_last_release(fitted):
    rows, _ = world(n=1, offset=1000)
    width = []
    for date in ("2025-06-01", "2026-03-15"):
        about = pd.DataFrame({"release_date": [date]}, index=rows.index)
        table = fitted.predict(rows, about, targets=["rating"], force=True)
        width.append(float((table["upper"] - table["lower"]).iloc[0]))
    if fitted.kind == "single-protocol":
        assert width[1] / width[0] == pytest.approx(1.18, abs=0.02)
    assert width[1] > 1.1 * width[0]


def test_gates_refuse_a_number_and_say_why(fitted):
    rows, facts = world(n=6, offset=1000)
    rows.iloc[1, :] = np.nan
    rows.iloc[1, 0] = 0.5
    rows.loc[rows.index[2], "GPQA-diamond"] = np.nan
    rows.loc[rows.index[2], "MMLU-Pro"] = np.nan
    rows.loc[rows.index[2], "IFEval"] = 0.5
    rows.loc[rows.index[3], CHEAP] = 1.0
    facts.loc[rows.index[4], "release_date"] = "2026-12-01"
    table = fitted.predict(rows, facts).set_index(["model", "target"])
    reasons = table["reason"].unstack()
    agents = reasons["agents"].to_list()
    assert agents[1] == "fewer than 2 of the reference's cheap benchmarks are known"
    assert agents[3] == "the model lies outside the capabilities of the reference's models"
    assert agents[4].startswith("the model was released more than 6 months after")
    assert reasons["unborn"].str.startswith("no model of the reference reaches 40%").all()
    refused = table["reason"] != ""
    assert table.loc[refused, ["prediction", "lower", "upper"]].isna().all().all()
    forced = fitted.predict(rows, facts, force=True)
    assert list(forced["reason"]) == list(table["reason"])
    assert forced["prediction"].notna().all()


@pytest.mark.slow
def test_a_model_needs_an_anchor():
    scores, facts = world(n=40)
    scores = scores.drop(columns="rating")
    scores["BBH"] = scores["IFEval"] ** 1.1
    predictor = BlendedPredictor(kind=KINDS[1], n_sweeps=30).fit(
        scores, facts, cheap=[*CHEAP, "BBH"], targets=["agents"]
    )
    rows = scores[["IFEval", "BBH"]].iloc[:1]
    assert (
        "needs the model's score on GPQA-diamond or MMLU-Pro"
        in predictor.predict(rows)["reason"].iloc[0]
    )
    other = BlendedPredictor(kind=KINDS[1], n_sweeps=30).fit(
        scores, facts, cheap=[*CHEAP, "BBH"], targets=["agents"], anchors=["IFEval"]
    )
    assert other.predict(rows)["reason"].iloc[0] == ""


@pytest.mark.parametrize("n", [11, 5], ids=["eleven", "too few for a view"])
def test_a_target_of_eleven_models_gets_no_number(n):
    scores, facts = world(n=40)
    scores.loc[scores.index[n:], "agents"] = np.nan
    table = fit(scores, facts).predict(scores.iloc[20:21])
    reason = table.set_index("target")["reason"]["agents"]
    assert reason == f"{n} models of the reference have this score; a prediction needs 12"


def test_back_tests_of_fractions_that_the_evaluation_offers_are_stored(fitted):
    tests = fitted.provider_tests_
    parts = left_out_of_tests(tests, fitted.fitted_, without=["other"])
    stored = {str(part.target[0]): part for part in parts}
    assert "agents" in stored
    assert not {"rating", "other"} & set(stored)  # no fraction, and not offered
    own = tests[(tests["target"] == fitted.fitted_.targets.index("agents")) & (tests["gate"] == 0)]
    np.testing.assert_array_equal(stored["agents"].score, own["score"])
    inside = [(p.lower <= p.score) & (p.score <= p.upper) for p in parts]
    assert 0.75 < np.concatenate(inside).mean() < 1


def test_a_stored_fit_predicts_the_same(fitted, tmp_path):
    rows, facts = world(n=5, offset=1000)
    fitted.fitted_.save(tmp_path / "fit")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fit.json", "fit.npz"]
    stored = FittedPredictor.load(tmp_path / "fit.npz")
    assert repr(stored) == repr(fitted.fitted_)
    for level in (0.5, 0.9):
        pd.testing.assert_frame_equal(
            stored.predict(rows, facts, level=level), fitted.predict(rows, facts, level=level)
        )
    pd.testing.assert_frame_equal(
        stored.complete(rows, facts), fitted.fitted_.complete(rows, facts)
    )
    first = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    stored.save(tmp_path / "fit")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == first


@pytest.mark.slow
def test_a_refit_to_other_models_is_the_fit_with_the_scale_as_it_was():
    scores, facts = world(n=50)
    whole = BlendedPredictor().fit(
        scores, facts, cheap=CHEAP, targets=TARGETS, linear=["rating"], cut="2025-06-30"
    )
    refitted = whole.fitted_.refitted(scores.iloc[5:], facts)
    direct = BlendedPredictor().fit(
        scores.iloc[5:], facts, cheap=CHEAP, targets=TARGETS, linear=["rating"]
    )
    assert refitted.models == direct.fitted_.models
    assert refitted.last_release == direct.fitted_.last_release
    rows = scores.iloc[:5]
    again, other = (p.predict(rows, facts, force=True) for p in (refitted, direct.fitted_))
    np.testing.assert_array_equal(again["prediction"], other["prediction"])
    assert refitted.scale() == whole.scale_
    assert not again["in_training"].any()


def test_stored_files_that_do_not_belong_together_are_refused(fitted, tmp_path):
    path = tmp_path / "fit.json"
    with pytest.raises(FitError, match="there is no such file"):
        FittedPredictor.load(path)
    fitted.fitted_.save(path)
    whole = path.read_text()
    path.write_text(json.dumps({**json.loads(whole), "version": 99}))
    with pytest.raises(FitError, match="version 99 of the format; this capspace reads"):
        FittedPredictor.load(path)
    path.write_text("{")
    with pytest.raises(FitError, match="not JSON"):
        FittedPredictor.load(path)
    path.write_text("{}")
    with pytest.raises(FitError, match="not a stored fit"):
        FittedPredictor.load(path)
    path.write_text(whole)
    path.with_suffix(".npz").write_bytes(b"PK damaged")
    with pytest.raises(FitError, match="is damaged"):
        FittedPredictor.load(path)


def test_a_sparse_row_is_completed_with_its_known_cells(fitted):
    rows, facts = world(n=300, offset=1000)
    part = rows[CHEAP].assign(unknown=0.5)
    table = fitted.fitted_.complete(part, facts, force=True)
    known = table[table["known"]]
    assert (known["score"] == known["lower"]).all()
    assert set(known["benchmark"]) == set(CHEAP)
    agents = table[table["benchmark"] == "agents"].set_index("model")
    truth = rows["agents"]
    inside = (agents["lower"] <= truth) & (truth <= agents["upper"])
    assert inside.mean() == pytest.approx(0.9, abs=0.08)
    assert fitted.fitted_.complete(part.iloc[:1] * np.nan)["score"].isna().all()


def test_gates_of_predict_hold_for_completed_targets_and_those_of_the_model_for_all(fitted):
    rows, facts = world(n=60, offset=1000)
    few = rows[CHEAP].mask(np.arange(60)[:, None] % 2 == [[0] * len(CHEAP)])
    few.loc[few.isna().all(axis=1), CHEAP[0]] = 0.5
    facts = facts.assign(release_date=["2027-01-01"] * 20 + ["2025-06-01"] * 40)
    made = fitted.fitted_.complete(few, facts)
    gated = made[~made["known"]]
    assert (gated["score"].isna() == (gated["reason"] != "")).all()
    predicted = fitted.predict(few, facts).set_index(["model", "target"])["reason"]
    targets = gated[gated["benchmark"].isin(TARGETS)].set_index(["model", "benchmark"])
    assert targets["reason"].to_dict() == predicted.to_dict()
    cheap = gated[gated["benchmark"].isin(CHEAP)]
    assert cheap[cheap["model"].isin(few.index[:20])]["reason"].str.contains("6 months").all()
    assert not cheap["reason"].str.contains("fewer than 2").any()
    assert (cheap["reason"] == "").any()
    forced = fitted.fitted_.complete(few, facts, force=True)
    assert forced["score"].notna().all()
    pd.testing.assert_series_equal(forced["reason"], made["reason"])


@pytest.mark.slow
def test_targets_are_offered_weak_or_refused_with_reasons():
    scores, facts = world()
    table = evaluate_targets(
        scores, facts, cheap=CHEAP, targets=TARGETS, kind=KINDS[1], linear=["rating"]
    )
    assert list(table.index) == TARGETS
    assert table.loc["agents", "status"] == table.loc["rating", "status"] == "offered"
    assert table.loc["agents", "n"] == 70
    assert table.loc["agents", "ratio"] < 0.8
    assert table.loc["agents", "forward_coverage"] >= 0.8
    assert table.loc["noise", "status"] in {"weak", "refused"}
    assert table.loc["noise", "reason"] != ""
    assert (table["k"] == table["k"].iloc[0]).all()
    scores, facts = world(n=30)
    few = evaluate_targets(
        scores.assign(agents=scores["agents"].where(np.arange(30) < 15)),
        facts, cheap=CHEAP, targets=["agents"], linear=["rating"], kind=KINDS[1],
    )  # fmt: skip
    assert few.loc["agents", "status"] in {"weak", "refused"}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"cheap": ["GPQA"]}, UnknownNameError, "'GPQA' is no column of the scores"),
        ({"cheap": []}, FitError, "cheap is empty"),
        ({"targets": ["IFEval"]}, FitError, "IFEval is both cheap and a target"),
        ({"linear": []}, FitError, "rating is .* outside"),
        ({"cut": "2020-01-01"}, TooFewModelsError, "0 models with scores"),
        ({"cut": "yesterday"}, FitError, "is 'yesterday'; write dates as"),
        ({"sample_weight": pd.Series(-1.0, ["m0"])}, FitError, "a number, not negative, for each"),
    ],
)
def test_bad_input_is_named(change, error, message):
    scores, facts = world(n=20)
    given = {"cheap": CHEAP, "targets": TARGETS, "linear": ["rating"], **change}
    with pytest.raises(error, match=message):
        BlendedPredictor().fit(scores, facts, **given)


def test_arguments_of_an_evaluation_are_those_of_a_fit():
    scores, facts = world(n=20)
    with pytest.raises(TypeError, match="unexpected argument 'cheep'"):
        evaluate_targets(scores, facts, cheep=CHEAP, targets=TARGETS)
    with pytest.raises(TypeError, match="'targets' is missing"):
        evaluate_targets(scores, facts, cheap=CHEAP)


def test_bad_rows_and_facts_are_named(fitted):
    scores, facts = world(n=20)
    with pytest.raises(FitError, match="the facts have no column provider"):
        fit(scores, facts.drop(columns="provider"))
    with pytest.raises(FitError, match="m3: reasoning is 'maybe'; write true or false"):
        fit(scores, facts.assign(reasoning=[*[True] * 3, "maybe", *[False] * 16]))
    with pytest.raises(FitError, match="these look like percentages"):
        fitted.predict(pd.DataFrame({"IFEval": [81.0]}, index=["new"]))
    with pytest.raises(UnknownNameError, match="none of MMLU is a known cheap benchmark"):
        fitted.predict(pd.DataFrame({"MMLU": [0.8]}, index=["new"]))
    with pytest.raises(UnknownNameError, match="'agent' is no target of this fit; did you mean"):
        fitted.predict(scores[CHEAP], targets=["agent"])
    with pytest.raises(FitError, match="level is 90; it must lie between 0 and 1"):
        fitted.predict(scores[CHEAP], level=90)
    with pytest.raises(FitError, match="kind 'vendor' is none of vendor-reported, single-pro"):
        clone(BlendedPredictor(kind="vendor")).fit(scores, facts, cheap=CHEAP, targets=TARGETS)

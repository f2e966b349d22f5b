"""Backtests on planted laws, on the study's tables, and on input that cannot be used."""

import json

import numpy as np
import pandas as pd
import pytest
from checkout import SHARED
from scipy.integrate import trapezoid
from scipy.special import expit

from capspace.fit import JackknifePlus, TwoView, backtest, error_curve, make_problem
from capspace.fit.analyses.splits import by_family, by_flops, by_rank, randomly
from capspace.fit.errors import (
    DegenerateError,
    FitError,
    TooFewModelsError,
    UnknownNameError,
)
from capspace.fit.table.readers import read_table

needs_study = pytest.mark.skipif(
    not (SHARED / "paper/expected.json").is_file(), reason="the study's tables are not in ../shared"
)
FAST = TwoView(n_refits=5)


def planted(seed=0, n_families=10, per_family=6):
    """Scores and a target that follow compute along one axis per family."""
    rng = np.random.default_rng(seed)
    n = n_families * per_family
    family = np.repeat(np.arange(n_families), per_family)
    flops = 10 ** rng.uniform(20, 24, size=n)
    z = 0.5 * (np.log10(flops) - 22) + 0.3 * rng.normal(size=n_families)[family]
    other = rng.normal(size=n)
    loadings = np.array([rng.uniform(0.5, 1.0, 5), rng.normal(0, 0.5, 5)])
    x = 0.5 + 0.15 * np.column_stack([z, other]) @ loadings + 0.01 * rng.normal(size=(n, 5))
    models = pd.Index([f"m{i}" for i in range(n)], name="model")
    scores = pd.DataFrame(np.clip(x, 0, 1), models, list("abcde"))
    truth = pd.Series(np.clip(expit(2 * z + 0.5 * other - 0.5), 0, 1), models)
    facts = pd.DataFrame(
        {
            "family": [f"family {i}" for i in family],
            "parameters": flops**0.5,
            "training_flops": flops,
            "release_date": "",
        },
        models,
    )
    return scores, truth, facts


def problem(**changes):
    scores, truth, facts = planted()
    settings = {"name": "target", **changes}
    return make_problem(scores, truth, facts, **settings)


def test_a_planted_law_predicts_the_larger_models():
    result = backtest(
        problem(), by_flops(planted()[2], 1e22), n_components=2, method=FAST, baselines=["flops"]
    )
    assert result.n_train + result.n_test == 60
    assert result.mse_test < 2e-3
    assert result.baselines[0].mse_test > 5 * result.mse_test
    assert result.rank_correlation > 0.97
    assert result.coverage > 0.8
    assert set(result.coefficients) == {"PC-1", "PC-2"}
    assert set(result.weights) == set("abcde")


def test_errors_are_those_of_the_reported_predictions():
    result = backtest(problem(), randomly(60, 0.3), n_components=2, method=FAST)
    rows = result.models
    test = rows[rows["side"] == "test"]
    assert result.mse_test == pytest.approx(((test["prediction"] - test["truth"]) ** 2).mean())
    train = rows[rows["side"] == "train"]
    assert result.mae_train == pytest.approx((train["prediction"] - train["truth"]).abs().mean())
    assert train["lower"].isna().all()
    inside = (test["lower"] <= test["truth"]) & (test["truth"] <= test["upper"])
    assert result.coverage == pytest.approx(inside.mean())
    law = result.law
    np.testing.assert_allclose(law.curve(rows["linear_predictor"]), rows["prediction"], atol=1e-9)


def test_nothing_of_the_test_side_reaches_the_fit():
    scores, truth, facts = planted()
    split = by_flops(facts, 1e22)
    clean = backtest(
        make_problem(scores, truth, facts, name="t"), split, n_components=2, method=FAST
    )
    changed = scores.copy()
    changed.loc[~split.train] = np.random.default_rng(0).uniform(size=((~split.train).sum(), 5))
    mixed = truth.where(split.train, 1 - truth)
    changed_test = backtest(
        make_problem(changed, mixed, facts, name="t"), split, n_components=2, method=FAST
    )
    assert clean.fitted.theta.tobytes() == changed_test.fitted.theta.tobytes()
    assert clean.mse_train == changed_test.mse_train


@pytest.mark.slow
@pytest.mark.parametrize("method", [FAST, JackknifePlus()])
def test_leave_one_family_out_tests_every_model_once(method):
    result = backtest(problem(), by_family(), n_components=2, method=method)
    assert result.n_test == result.n_train == 60
    assert result.models["lower"].notna().all()
    assert result.coverage > 0.8
    scores, truth, facts = planted()
    out = (facts["family"] == "family 3").to_numpy()
    from capspace.fit.analyses.splits import Split

    alone = backtest(
        make_problem(scores, truth, facts, name="t"),
        Split(~out, "one"),
        n_components=2,
        method=method,
    )
    np.testing.assert_allclose(
        result.models.loc[out, "prediction"], alone.models.loc[out, "prediction"], atol=1e-4
    )


@pytest.mark.slow
def test_baselines_are_scored_on_the_laws_models_and_name_those_without_compute():
    scores, truth, facts = planted()
    largest = facts["training_flops"].idxmax()
    facts.loc[largest, "training_flops"] = np.nan
    result = backtest(
        make_problem(scores, truth, facts, name="t"),
        by_flops(facts, 1e22),
        n_components=2,
        method=FAST,
        baselines=("flops", "size", "benchmarks", "all-benchmarks"),
    )
    by_name = {b.name: b for b in result.baselines}
    assert list(by_name) == ["flops", "size", *"abcde", "all-benchmarks"]
    assert by_name["flops"].without == (largest,)
    assert by_name["flops"].n_test == result.n_test - 1
    for name in ("size", "a", "all-benchmarks"):
        assert by_name[name].n_test == result.n_test
        assert by_name[name].law_mse_test == pytest.approx(result.mse_test)
    assert any(largest in note for note in result.notes)
    families = backtest(
        make_problem(scores, truth, facts, name="t"),
        by_family(),
        n_components=2,
        method=FAST,
        baselines=("flops",),
    )
    assert families.baselines[0].n_test == 59


def test_the_mapping_is_json_and_has_the_promised_keys():
    result = backtest(
        problem(), by_flops(planted()[2], 1e22), n_components=2, method=FAST, baselines=["size"]
    )
    outcome = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    promised = "n_train n_test mse_train mse_test mae_test coverage width baselines coefficients"
    assert set(promised.split()) <= set(outcome)
    first = outcome["models"][0]
    assert {"model", "side", "truth", "prediction", "lower", "upper"} <= set(first)
    train = next(m for m in outcome["models"] if m["side"] == "train")
    assert train["lower"] is None


def test_chance_moves_the_floor_and_the_units_of_the_errors():
    scores, truth, facts = planted()
    raised = 0.25 + 0.75 * truth
    split = by_flops(facts, 1e22)
    plain = backtest(
        make_problem(scores, truth, facts, name="t"), split, n_components=2, method=FAST
    )
    chance = backtest(
        make_problem(scores, raised, facts, name="t", chance=0.25),
        split,
        n_components=2,
        method=FAST,
    )
    assert chance.mse_test == pytest.approx(plain.mse_test, rel=1e-4)
    assert chance.mse_train == pytest.approx(plain.mse_train, rel=1e-4)
    assert chance.mae_train == pytest.approx(plain.mae_train, rel=1e-4)
    np.testing.assert_allclose(
        chance.models["prediction"], 0.25 + 0.75 * plain.models["prediction"], atol=1e-6
    )
    assert chance.floor == 0.25


def test_the_error_curve_holds_out_more_and_more():
    curve = error_curve(problem(), n_components=2, held_out=np.linspace(0.5, 0.1, 5))
    assert len(curve.mse_test) == 5
    assert curve.mse_test[-1] < curve.mse_test[0]
    known = np.abs(trapezoid(curve.mse_test, curve.held_out))
    assert curve.area == pytest.approx(known)
    few = error_curve(problem(), n_components=2, held_out=[0.97, 0.3, 0.2])
    assert list(few.failures) == [0.97]
    assert np.isnan(few.mse_test[0])
    assert "too few" in few.failures[0.97] or "training models for" in few.failures[0.97]


def test_what_joins_and_what_is_left_out_is_said():
    scores, truth, facts = planted()
    truth["stranger"] = 0.5
    scores["t"] = 0.5
    scores.loc["m0"] = np.nan
    made = make_problem(scores, truth, facts, name="t")
    assert list(made.scores.columns) == list("abcde")
    text = " | ".join(made.notes)
    assert "t is the target and was dropped from the space" in text
    assert "stranger" in text
    assert "m0" in text
    assert len(made.truth) == 59


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s, t, f: (s, t * 0 + 0.3, f), DegenerateError, "is constant \\(0.3\\)"),
        (lambda s, t, f: (s, t * 0, f), DegenerateError, "is at the floor"),
        (lambda s, t, f: (s, t * 0 + 1, f), DegenerateError, "is at the ceiling"),
        (lambda s, t, f: (s, t * 100, f), FitError, "divide by 100"),
        (lambda s, t, f: (s, t - 0.5, f), FitError, "outside \\[0, 1\\]"),
        (lambda s, t, f: (s, t.replace(t["m3"], np.inf), f), FitError, "m3: t is inf"),
        (lambda s, t, f: (s.assign(c=np.nan), t, f), DegenerateError, "benchmark c is missing"),
        (lambda s, t, f: (s, t.rename(lambda m: f"org/{m}"), f), DegenerateError, "no model of"),
    ],
)
def test_unusable_targets_are_refused(change, error, message):
    scores, truth, facts = change(*planted())
    with pytest.raises(error, match=message):
        make_problem(scores, truth, facts, name="t")


def test_unusable_settings_are_refused():
    scores, truth, facts = planted()
    with pytest.raises(UnknownNameError, match="'z' is to be dropped"):
        make_problem(scores, truth, facts, name="t", drop=["z"])
    made = make_problem(scores, truth, facts, name="t")
    with pytest.raises(UnknownNameError, match="baseline 'moon'"):
        backtest(made, by_rank(truth, 0.1), baselines=["moon"])
    with pytest.raises(TooFewModelsError, match="3 training models for the 4 parameters"):
        backtest(made, by_rank(truth, 57))
    flat = truth.where(facts["training_flops"] > 1e21, 0.0)
    with pytest.raises(DegenerateError, match="at the floor"):
        backtest(make_problem(scores, flat, facts, name="t"), by_flops(facts, 1e21))


@pytest.fixture(scope="module")
def study():
    tables = SHARED / "results/obsscaling"
    expected = json.loads((SHARED / "paper/expected.json").read_text())
    base = read_table(tables / "base_llm_benchmark_eval.csv").select(
        models=list(expected["pca"]["base_77_default"]["scores"])
    )
    instruct = read_table(tables / "instruct_llm_benchmark_eval.csv")
    targets = {
        name: read_table(tables / f"{file}.csv").wide()
        for name, file in (
            ("emergent", "base_llm_emergent_capability_eval"),
            ("post_training", "base_llm_post_training_eval"),
            ("agentic", "instruct_llm_agent_eval"),
        )
    }
    return expected, base, instruct, targets


def close(ours, theirs):
    return abs(ours - theirs) <= max(0.01 * abs(theirs), 1e-5)


@pytest.mark.slow
@needs_study
@pytest.mark.parametrize(
    ("group", "column", "scale", "chance", "link", "cutoff", "drop"),
    [
        ("emergent", "word_unscrambling_2_exact_match", 1, 0.0, "sigmoid", 84e21, []),
        ("emergent", "parsinlu_qa_2_acc", 1, 0.25, "sigmoid", 84e21, []),
        ("emergent", "arithmetic_3ds_2_acc", 1, 0.0, "sigmoid", 22e21, ["GSM8K"]),
        ("emergent", "arithmetic_2dm_2_acc", 1, 0.0, "sigmoid", 22e21, ["GSM8K"]),
        *(
            ("post_training", column, 1, 0.0, "sigmoid-floor", 84e21, ["GSM8K"])
            for column in (
                "gsm8k_5_exact_match,flexible-extract",
                "gsm8k_cot_8_exact_match,flexible-extract",
                "gsm8k_cot_self_consistency_8_exact_match,maj@5-flexible-extract",
            )
        ),
        ("agentic", "ABench-OA", 10, 0.0, "sigmoid-floor", None, []),
        ("agentic", "ABoard-Avg_SR", 100, 0.0, "sigmoid-floor", None, []),
    ],
)
def test_the_studys_errors_for_one_to_five_components(
    study, group, column, scale, chance, link, cutoff, drop
):
    """Within 1% of the lowest loss known; where the study stopped short of it, that is lower."""
    expected, base, instruct, targets = study
    names = {
        "ABench-OA": ("AgentBench", "Overall Score"),
        "ABoard-Avg_SR": ("AgentBoard", "Average Success Rate"),
    }
    if group == "agentic":
        table = instruct
        scores = table.wide().drop(columns=["Arena-Elo", "MTBench"])
        suite, quantity = names[column]
        want = expected[group][suite][quantity]
    else:
        table, scores = base, base.wide()
        want = expected[group]["tasks" if group == "emergent" else "gsm8k"][column]
    facts = table.models
    if group == "emergent":
        closed = facts["family"].isin(["Mistral", "Mixtral"])
        scores, facts = scores[~closed], facts[~closed]
    made = make_problem(
        scores,
        targets[group][column] / scale,
        facts,
        name="target",
        drop=drop,
        chance=chance,
        link=link,
    )
    split = by_flops(made.facts, cutoff) if cutoff else by_rank(made.truth, 0.1)
    from capspace.fit.law import Form
    from capspace.fit.law._refit import LawSettings, fit_once, predict_with

    for k in range(1, 6):
        label = "PC-1" if k == 1 else f"PC-1..{k}"
        settings = LawSettings(k, Form(link, chance))
        everyone = made.training(settings)
        if split.train.sum() < settings.n_components + 1 + settings.form.n_free:
            continue
        fitted = fit_once(everyone.part(split.train))
        wrong = (predict_with(fitted, everyone.scores) - everyone.target) / (1 - chance)
        ours = np.mean(wrong[split.train] ** 2), np.mean(wrong[~split.train] ** 2)
        theirs = want[label]
        assert (split.train.sum(), (~split.train).sum()) == (theirs["n_train"], theirs["n_test"])
        best = theirs["global_opt"]
        assert ours[0] <= theirs["mse_train"] * (1 + 1e-4) + 1e-9
        assert close(ours[0], best["mse_train"]), (label, ours, best)
        assert close(ours[1], best["mse_test"]), (label, ours, best)

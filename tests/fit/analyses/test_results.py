"""Results of the analyses: a data frame, one line, and HTML that holds no stranger's markup."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from capspace.fit import (
    ScalingLaw,
    ScoreTable,
    TwoView,
    analyse_efficiency,
    analyse_gain,
    analyse_space,
    backtest,
    by_flops,
    error_curve,
    load_reference,
    predict_gain,
    read_costs,
    select_models,
    target_problem,
    up_to_size,
    write_table,
)
from capspace.fit.analyses import Ledger, fit_unseen
from capspace.fit.analyses.splits import Split, randomly
from capspace.fit.errors import (
    DegenerateError,
    FitError,
    TableError,
    TooFewModelsError,
    UnknownNameError,
)

EVIL = "<script>alert(1)</script>"
N_FAMILIES, PER_FAMILY = 8, 5


@pytest.fixture(scope="module")
def table() -> ScoreTable:
    """Return 40 planted models on one axis per family; one has markup for a name."""
    rng = np.random.default_rng(3)
    n = N_FAMILIES * PER_FAMILY
    flops = 10 ** rng.uniform(21, 24, n)
    z = 0.5 * (np.log10(flops) - 22.5)
    scores = 1 / (1 + np.exp(-(z[:, None] * [1.0, 0.8, 1.2, 0.6] + rng.normal(0, 0.1, (n, 4)))))
    models = [f"m{i}" for i in range(n - 1)] + [EVIL]
    facts = pd.DataFrame(
        {
            "family": [f"F{i // PER_FAMILY}" for i in range(n)],
            "parameters": np.sqrt(flops / 120),
            "training_flops": flops,
        },
        index=models,
    )
    wide = pd.DataFrame(scores, models, list("ABCD"))
    return ScoreTable.from_wide(wide, models=facts)


@pytest.fixture(scope="module")
def targets(table: ScoreTable) -> pd.DataFrame:
    """Return a base and a treated score of the same models."""
    z = np.log10(table.models["training_flops"]) - 22.5
    return pd.DataFrame({"base": 1 / (1 + np.exp(1 - z)), "treated": 1 / (1 + np.exp(-z))})


@pytest.fixture(scope="module")
def results(table: ScoreTable, targets: pd.DataFrame) -> dict[str, Any]:
    """Return one result of each analysis."""
    problem = target_problem(table, targets["base"])
    split = by_flops(problem.facts, 1e23)
    return {
        "space": analyse_space(table, n_components=2),
        "efficiency": analyse_efficiency(table, family="F1", n_components=2),
        "gain": analyse_gain(
            table, targets["base"], targets["treated"], n_components=2, cutoff_flops=1e23
        ),
        "selection": select_models(table, 10, n_components=2),
        "backtest": backtest(problem, split, n_components=2, method=TwoView(n_refits=4)),
        "error curve": error_curve(problem, n_components=2, held_out=[0.4, 0.2]),
    }


KINDS = ["space", "efficiency", "gain", "selection", "backtest", "error curve"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_a_frame_one_line_and_json(results: dict[str, Any], kind: str) -> None:
    result = results[kind]
    assert len(result.to_frame()) > 1
    line = repr(result)
    assert line.startswith(f"{type(result).__name__}(")
    assert len(line) < 160
    assert "\n" not in line
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize("kind", KINDS)
def test_html_escapes_what_comes_from_a_table(results: dict[str, Any], kind: str) -> None:
    html = results[kind]._repr_html_()
    assert "<table" in html
    assert EVIL not in html
    if EVIL in results[kind].to_frame().index:
        assert "&lt;script&gt;" in html


def test_frames_agree_with_the_json(results: dict[str, Any], table: ScoreTable) -> None:
    space, gain = results["space"], results["gain"]
    assert space.to_dict()["places"]["m0"] == space.to_frame().loc["m0", ["PC-1", "PC-2"]].tolist()
    assert list(space.loadings.columns) == table.benchmarks
    assert gain.to_dict()["models"][0]["gain"] == gain.to_frame()["gain"].iloc[0]
    assert set(gain.to_frame().index) == set(
        table.models.index[table.models["training_flops"] > 1e23]
    )
    equivalent = results["efficiency"].to_frame()
    own = equivalent[equivalent["family"] == "F1"]
    np.testing.assert_allclose(np.log10(own["equivalent"]), np.log10(own["scale"]), atol=0.5)


@pytest.mark.slow
def test_a_gain_without_a_cutoff_looks_at_the_models_it_was_fitted_on(
    table: ScoreTable, targets: pd.DataFrame
) -> None:
    result = analyse_gain(table, targets["base"], targets["treated"], n_components=2)
    assert result.side == "fitted"
    assert len(result.to_frame()) == len(result.models) == result.fit.n_models == 40
    assert result.mse < 1e-3
    assert result.width > 0
    curves = result.curves(n_points=5)
    np.testing.assert_allclose(curves.gain.y, curves.treated.y - curves.base.y)
    with pytest.raises(DegenerateError, match=r"above the cutoff.*training FLOPs go from"):
        analyse_gain(table, targets["base"], targets["treated"], cutoff_flops=1e30)


def test_what_results_are_made_of_shows_itself_in_a_line(results: dict[str, Any]) -> None:
    gain, selection = results["gain"], results["selection"]
    predicted = gain.fit.predict(np.full((2, 4), 0.5), n_refits=2)
    shown = [predicted, gain.fit, selection.choice, selection.candidates, selection.over_budgets()]
    for thing in [*shown, by_flops(results["space"].facts, 1e23)]:
        assert len(repr(thing)) < 160
        assert "array" not in repr(thing)


def test_the_chosen_models_are_better_than_random_ones_at_every_budget(
    results: dict[str, Any],
) -> None:
    selection = results["selection"]
    curve = selection.over_budgets()
    assert curve.budgets[-1] == 10
    assert curve.chosen[-1] == selection.choice.value
    assert (np.diff(curve.chosen) <= 0).all()
    assert all(c <= r.min() + 1e-9 for c, r in zip(curve.chosen, curve.random, strict=True))
    assert curve.everything == pytest.approx(2)  # V of all candidates is the number of components
    assert curve.everything <= curve.chosen[-1]


def test_a_budget_curve_of_costs_and_of_the_determinant_is_positive(table: ScoreTable) -> None:
    costs = pd.Series(np.linspace(0.5, 2.5, 40), index=table.models.index)
    selection = select_models(
        table, 12.5, costs=costs, criterion="D", include=["F2"], n_components=2
    )
    assert "F2" in selection.choice.units
    curve = selection.over_budgets()
    assert (curve.chosen > 0).all()
    assert curve.everything <= curve.chosen[-1]
    with pytest.raises(TableError, match="no cost of <script>"):
        select_models(table, 10, costs=costs.iloc[:39], n_components=2)


def test_random_subsets_that_estimate_nothing_are_unknown_not_zero(table: ScoreTable) -> None:
    alike = ScoreTable.from_wide(table.wide().iloc[:6].assign(D=0.5), models=table.models.iloc[:6])
    selection = select_models(alike, 3, by="model", n_components=3)
    nothing = replace(selection, random=tuple(replace(c, value=np.inf) for c in selection.random))
    assert nothing.to_dict()["random"] is None
    assert "random" not in repr(nothing)


def test_only_small_models_are_candidates(table: ScoreTable) -> None:
    facts = table.models.copy()
    facts.loc["m0", "parameters"] = np.nan
    some = ScoreTable(table.scores, facts)
    small = up_to_size(some, float(facts["parameters"].median()))
    assert "m0" not in small.models.index
    assert small.notes == ("left out, size unknown: m0",)
    with pytest.raises(DegenerateError, match="no model has at most 1 parameters"):
        up_to_size(some, 1)


def test_an_error_curve_needs_two_cutoffs_and_a_baseline_its_models(table: ScoreTable) -> None:
    truth = table.wide()["D"].rename("D")
    problem = target_problem(table.select(benchmarks=["A", "B", "C"]), truth)
    with pytest.raises(DegenerateError, match="D: a law could be fitted for 1 of 2 cutoffs; the"):
        error_curve(problem, n_components=1, held_out=[0.5, 0.99])
    split = by_flops(problem.facts, 1e23)
    sizes = problem.facts["parameters"].to_numpy(dtype=float)
    for n_known, message in (
        (0, "it is known of no model to fit on"),
        (1, "n_samples = 1: too few"),
    ):
        known = np.cumsum(split.train) <= n_known
        unsized = replace(
            problem, facts=problem.facts.assign(parameters=np.where(known, sizes, np.nan))
        )
        with pytest.raises(TooFewModelsError, match=f"baseline size: {message}") as caught:
            backtest(unsized, split, n_components=1, baselines=["size"])
        assert "\n" not in str(caught.value)


def test_costs_need_their_columns(tmp_path: Any) -> None:
    path = tmp_path / "costs.csv"
    path.write_text("model,hours\na,1\n")
    with pytest.raises(TableError, match=r"costs\.csv: costs need the columns model and cost"):
        read_costs(path, ["a"])


def test_a_capability_that_is_not_there_is_named(table: ScoreTable) -> None:
    with pytest.raises(UnknownNameError, match="no capability 'PC-9'"):
        analyse_efficiency(table, capability="PC-9", family="F1", n_components=2)


def test_percentages_become_fractions_and_zeros_below_chance_are_left_out(
    table: ScoreTable, targets: pd.DataFrame
) -> None:
    truth = 25 + 75 * targets["base"]
    truth["m1"] = 0.0
    problem = target_problem(table, truth, chance=25, ceiling=100)
    assert problem.chance == 0.25
    assert problem.truth["m2"] == pytest.approx(truth["m2"] / 100)
    assert "m1" not in problem.truth.index
    assert any("m1: base is 0, far below chance" in note for note in problem.notes)
    whole = target_problem(table, truth, chance=25, ceiling=100, keep=True)
    assert "m1" in whole.truth.index


def test_a_treated_score_that_is_no_fraction_is_refused(
    table: ScoreTable, targets: pd.DataFrame
) -> None:
    base, treated = targets["base"], targets["treated"]
    with pytest.raises(FitError, match=r"m0: treated is [\d.]+, outside.*divide by 100"):
        analyse_gain(table, base, 100 * treated)
    with pytest.raises(FitError, match=r"treated is -.*give fractions"):
        analyse_gain(table, base, treated - 1)
    with pytest.raises(FitError, match="m1: treated is inf"):
        analyse_gain(table, base, treated.where(treated.index != "m1", np.inf))
    with pytest.raises(FitError, match=r"m2: base is [\d.]+, outside"):
        analyse_gain(table, base.where(base.index != "m2", 100 * base), treated)


@pytest.mark.slow
@pytest.mark.parametrize("link", ["sigmoid", "sigmoid-floor"])
def test_a_space_has_no_more_components_than_benchmarks(
    table: ScoreTable, targets: pd.DataFrame, link: Any
) -> None:
    base, treated = targets["base"], targets["treated"]
    few = table.select(benchmarks=["A", "B"])
    gain = analyse_gain(few, base, treated, n_components=20, link=link)
    assert "2 components, not 20: 2 benchmarks have no more" in gain.notes
    assert len(gain.curves(n_points=3).gain.x) == 3
    problem, method = target_problem(few, base, link=link), TwoView(n_refits=2)
    split = by_flops(problem.facts, 1e23)
    test = backtest(problem, split, n_components=12, method=method)
    assert "2 components, not 12: 2 benchmarks have no more" in test.notes
    assert len(test.coefficients) == 2
    assert len(test.curve().x) == 60
    assert error_curve(problem, n_components=12, held_out=[0.5, 0.3]).area > 0
    for refused in (
        lambda: backtest(problem, split, n_components=0),
        lambda: analyse_gain(few, base, treated, n_components=0),
    ):
        with pytest.raises(FitError, match="n_components is 0; it must be at least 1"):
            refused()


@pytest.mark.parametrize("which", ["base", "treated"])
def test_scores_that_are_no_numbers_are_named(
    table: ScoreTable, targets: pd.DataFrame, which: str
) -> None:
    odd = targets.astype(object)
    odd.loc["m3", which] = "high"
    with pytest.raises(FitError, match=f"m3: {which} is 'high', not a number"):
        analyse_gain(table, odd["base"], odd["treated"])
    with pytest.raises(FitError, match=f"m3: {which} is 'high', not a number"):
        target_problem(table, odd[which], ceiling=100)
    twice = pd.concat([targets, targets.iloc[[4]]])
    with pytest.raises(FitError, match="m4 is twice among the models with a value of base"):
        analyse_gain(table, twice["base"], targets["treated"])
    with pytest.raises(FitError, match="m4 is twice"):
        target_problem(table, twice[which])


@pytest.mark.slow
def test_a_budget_without_limit_is_drawn_up_to_all_candidates(table: ScoreTable) -> None:
    curve = select_models(table, np.inf, by="model", n_components=1).over_budgets()
    assert curve.budgets[-1] == len(table.models)
    costs = pd.Series(2.0, table.models.index)
    priced = select_models(table, np.inf, by="family", costs=costs, n_components=1).over_budgets()
    assert priced.budgets[-1] == costs.sum()
    assert priced.chosen[-1] == pytest.approx(priced.everything)
    with pytest.raises(FitError, match="budget is nan"):
        select_models(table, np.nan)
    with pytest.raises(FitError, match="m0 is twice among the models with a value of cost"):
        select_models(table, 9, costs=pd.concat([costs, costs[:1]]))


def test_a_back_test_refuses_settings_that_fit_nothing(
    table: ScoreTable, targets: pd.DataFrame
) -> None:
    problem = target_problem(table, targets["base"])
    split = by_flops(problem.facts, 1e23)
    for delta in (np.nan, -1.0, 0.0):
        with pytest.raises(FitError, match=r"delta is .*; it must be above 0"):
            backtest(problem, split, delta=delta)
    assert split.train is not None
    with pytest.raises(FitError, match="the split is of 39 models, the problem of 40"):
        backtest(problem, replace(split, train=split.train[1:]))


def test_a_choice_that_does_not_exist_is_refused(
    table: ScoreTable, targets: pd.DataFrame, tmp_path: Any
) -> None:
    base, treated = targets["base"], targets["treated"]
    wrong: Any = "families"
    for refused, message in (
        (lambda: select_models(table, 9, by=wrong), "by 'families' is none of family, model"),
        (lambda: select_models(table, 9, criterion="v"), r"criterion 'v' is none of V.*mean 'V'"),
        (lambda: select_models(table, 9, estimator=wrong), "estimator 'families' is none of"),
        (lambda: analyse_gain(table, base, treated, link=wrong), "link 'families' is none of"),
        (lambda: analyse_gain(table, base, treated, link=None), "link None is none of sigmoid"),
        (lambda: target_problem(table, base, link=wrong), "link 'families' is none of"),
        (lambda: analyse_efficiency(table, scale=wrong), "scale 'families' is none of flops, size"),
        (lambda: load_reference().scores(wrong), "population 'families' is none of base, instruct"),
        (lambda: write_table(table, tmp_path / "t.csv", layout=wrong), "layout 'families' is none"),
        (
            lambda: ScalingLaw(loss=wrong).fit(np.zeros((9, 1)), np.arange(9.0)),
            "loss 'families' is none of squared, huber",
        ),
    ):
        with pytest.raises(FitError, match=message):
            refused()
    assert list(tmp_path.iterdir()) == []


def test_ledger_entries_show_themselves(tmp_path: Any) -> None:
    reference = load_reference()
    new = reference.scores().iloc[[0]].rename(index={reference.scores().index[0]: EVIL})
    fit, notes = fit_unseen(reference, "bbh", new)
    assert any(EVIL in note for note in notes)  # equal scores: likely the same model
    book = Ledger(tmp_path / "ledger.jsonl")
    law = book.add(fit, name="first", scores=new)
    scoring = book.score("first", new, pd.Series({EVIL: 0.5}))
    with pytest.raises(FitError, match=r"bbh is 50, outside.*divide by 100"):
        book.score("first", new, pd.Series({EVIL: 50.0}))
    assert list(book.to_frame().index) == ["first"]
    assert "first" in book._repr_html_()
    assert repr(law).startswith("FrozenLaw(first: bbh frozen ")
    assert repr(scoring).startswith("Scoring(first: 1 model, mean absolute error ")
    for shown in (law, scoring):
        assert list(shown.to_frame().index) == [EVIL]
        assert EVIL not in shown._repr_html_()


def test_a_gain_of_scores_in_percent_is_refused_on_either_side(
    table: ScoreTable, targets: pd.DataFrame
) -> None:
    problem = target_problem(table, targets["base"])
    treated = targets["treated"].to_numpy()
    train = np.arange(len(treated)) < 30
    text: Any = ["high", *treated[1:]]
    mask: Any = pd.Series(train)
    for refused, message in (
        (lambda: predict_gain(problem, np.where(train, treated, 100 * treated), train,
                              treated_name="cot"), r"m30: cot is .*percentages: divide by 100"),
        (lambda: predict_gain(problem, text, train, treated_name="cot"), "m0: cot is 'high', not"),
        (lambda: predict_gain(problem, treated[1:], train, treated_name="cot"), "has shape"),
        (lambda: predict_gain(problem, treated, mask, treated_name="cot"), "given by a Series"),
        (lambda: predict_gain(problem, treated, train[1:], treated_name="cot"), "39 bools for 40"),
        (lambda: predict_gain(problem, treated, ~train & train, treated_name="cot"), "no model"),
    ):  # fmt: skip
        with pytest.raises(FitError, match=message) as caught:
            refused()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (pd.Series([True, False]), "given by a Series, not by an array of one bool per model"),
        ([0, 1], "given by a list"),
        (np.array([0, 1]), "given by a ndarray"),
        (np.eye(2, dtype=bool), "given by a ndarray"),
        ([[True], [True, False]], "given by a list"),
        ("train", "given by a str"),
        (np.zeros(3, bool), "the split 'mine' leaves no training model"),
        ([True, True], "the split 'mine' leaves no test model"),
    ],
    ids=["series", "ints", "int array", "matrix", "ragged", "text", "none", "all"],
)
def test_a_split_of_ones_own_has_a_bool_per_model_and_two_sides(train: Any, message: str) -> None:
    with pytest.raises(FitError, match=message):
        Split(train, "mine")


def test_a_list_of_bools_is_a_split() -> None:
    mine: Any = [True, False]
    train = Split(mine, "mine").train
    assert train is not None
    assert train.dtype == bool
    assert list(train) == mine


def test_parameters_that_are_no_numbers_are_refused(
    table: ScoreTable, targets: pd.DataFrame
) -> None:
    wrong: Any = "0.9"
    problem = target_problem(table, targets["base"])
    for refused, message in (
        (lambda: analyse_efficiency(table, family="F1", level=wrong), "level is '0.9'"),
        (lambda: analyse_efficiency(table, family="F1", capability=cast("str", 1)), "capability 1"),
        (lambda: analyse_space(table, n_components=cast("int", 2.5)), "n_components is 2.5"),
        (lambda: problem.settings(cast("int", None)), "n_components is None"),
        (lambda: error_curve(problem, delta=cast("float", "1")), "delta is '1'"),
        (lambda: select_models(table, 9, n_components=1, random_state=-1), "random_state is -1"),
        (lambda: randomly(9, 0.3, random_state=-1), "random_state is -1; it must be a whole"),
    ):
        with pytest.raises(FitError, match=message) as caught:
            refused()
        assert "\n" not in str(caught.value)

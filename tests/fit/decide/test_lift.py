"""The lift card predicts gains with intervals, marks what is advised, and refuses bad input."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from capspace.fit import (
    INTERVENTIONS,
    FitError,
    Intervention,
    Lift,
    ScoreTable,
    UnknownNameError,
    lift_card,
    load_reference,
    predict_lift,
)
from capspace.fit.analyses.paired_laws import fit_gain
from capspace.fit.analyses.problems import gain_problem
from capspace.fit.decide._lift import _errors, advised
from capspace.fit.errors import TooFewModelsError
from capspace.fit.prediction import Support
from capspace.fit.reference import Benchmark, Reference, Target
from capspace.fit.table.sampling import binomial_stderr

MINE = pd.DataFrame(
    {"MMLU": [0.62, 0.27], "HellaSwag": [0.81, 0.4], "ARC-C": [0.58, 0.25]}, index=["mine", "small"]
)


@pytest.fixture(scope="module")
def card() -> list[Lift]:
    return lift_card(MINE, load_reference())


@pytest.mark.slow
def test_the_study_says_what_would_help(card: list[Lift]) -> None:
    assert [(lift.model, lift.intervention) for lift in card] == [
        (model, intervention) for intervention in INTERVENTIONS for model in MINE.index
    ]
    mine = [lift for lift in card if lift.model == "mine"]
    assert all(lift.lower <= lift.mean <= lift.upper for lift in card)
    assert mine[0].lower > 0.1  # GSM8K by chain of thought
    assert [lift.advised for lift in mine] == [True, False, True]
    assert not any(lift.advised for lift in card if lift.model == "small")
    assert json.dumps([lift.to_dict() for lift in card], allow_nan=False)


@pytest.mark.slow
def test_gains_are_predicted_better_than_by_their_mean(card: list[Lift]) -> None:
    for lift in card:
        assert lift.error < 0.5 * lift.baseline_error


@pytest.mark.slow
def test_a_model_of_the_reference_does_not_predict_itself() -> None:
    reference = load_reference()
    name = "meta-llama/Llama-2-13b-hf"
    own = reference.scores().loc[[name]]
    (lift,) = lift_card(own, reference, interventions=INTERVENTIONS[:1])
    (other,) = lift_card(MINE.iloc[:1], reference, interventions=INTERVENTIONS[:1])
    assert lift.n_models == other.n_models - 1


def planted(n: int = 60) -> tuple[ScoreTable, pd.Series, pd.Series]:
    rng = np.random.default_rng(0)
    c = rng.normal(size=n)
    z = c[:, None] * [1.0, 0.8, 1.2] + 0.1 * rng.normal(size=(n, 3))
    models = [f"f{i // 4}-{i}" for i in range(n)]
    facts = pd.DataFrame({"family": [f"f{i // 4}" for i in range(n)]}, index=models)
    table = ScoreTable.from_wide(
        pd.DataFrame(1 / (1 + np.exp(-z)), models, ["A", "B", "C"]), models=facts
    )
    before = pd.Series(1 / (1 + np.exp(1 - c)), models, name="direct")
    after = pd.Series(1 / (1 + np.exp(-1 - 1.2 * c)), models, name="cot@5")
    return table, before, after


@pytest.mark.slow
def test_a_planted_gain_is_found() -> None:
    table, before, after = planted()
    scores = pd.DataFrame({"A": [0.5], "B": [0.5], "C": [0.5]}, index=["mine"])
    (lift,) = predict_lift(scores, table, before, after, Intervention("x", "direct", "cot@5", 5))
    truth = 1 / (1 + math.exp(-1)) - 1 / (1 + math.exp(1))
    assert lift.mean == pytest.approx(truth, abs=0.04)
    assert lift.lower < truth < lift.upper
    assert lift.tokens_per_point == pytest.approx((5 * 128 - 8) / (100 * lift.mean))
    cot = Intervention("x", "direct", "cot@5")
    with pytest.raises(UnknownNameError, match="none of its benchmarks"):
        predict_lift(MINE, table, before, after, cot)
    assert predict_lift(scores * math.nan, table, before, after, cot) == []


def test_errors_of_a_single_family_are_unknown() -> None:
    table, before, after = planted(24)
    alone = ScoreTable.from_wide(table.wide(), models=table.models.assign(family="one"))
    problem, treated = gain_problem(alone, before, after)
    fitted = fit_gain(problem.training(problem.settings(1)), treated)
    assert all(map(math.isnan, _errors(fitted)))


def test_an_intervention_that_cannot_be_fitted_has_no_row() -> None:
    table, before, after = planted()
    few = np.arange(60) < 4
    wide = table.wide().assign(direct=before, cot=after.where(few))
    targets = {
        name: Target(name=name, label=name, description="", population="all")
        for name in ("direct", "cot")
    }
    benchmarks = {name: Benchmark(name=name, chance=0.0) for name in "ABC"}
    reference = Reference(ScoreTable.from_wide(wide, models=table.models), benchmarks, targets)
    scores = pd.DataFrame({"A": [0.5], "B": [0.5], "C": [0.5]}, index=["mine"])
    cot = Intervention("x", "direct", "cot")
    assert lift_card(scores, reference, interventions=[cot]) == []
    with pytest.raises(TooFewModelsError):
        predict_lift(scores, table, before, wide["cot"], cot)


def test_the_cheapest_certain_gain_is_advised() -> None:
    def lift(mean: float, lower: float, samples: int, inside: bool = True) -> Lift:
        return Lift(
            "m", Intervention("x", "b", f"b@{samples}", samples), 0.3, 0.3 + mean, mean, lower,
            mean + 0.1, 0.9, 50, 0.02, 0.1, Support(inside, 0.0 if inside else 1.0, ""),
        )  # fmt: skip

    five, ten, twenty = lift(0.05, -0.01, 5), lift(0.08, 0.01, 10), lift(0.09, 0.02, 20)
    assert [each.advised for each in advised([five, ten, twenty])] == [False, True, False]
    assert math.isnan(lift(-0.01, -0.1, 5).tokens_per_point)
    outside = lift(0.2, 0.1, 5, inside=False)
    assert [each.advised for each in advised([outside])] == [False]
    assert repr(outside).endswith("outside)")
    assert outside.to_dict()["support"]["inside"] is False


@pytest.mark.slow
def test_a_model_outside_the_support_is_said_to_be_so_and_advised_nothing() -> None:
    table, before, after = planted()
    cot = Intervention("x", "direct", "cot@5", 5)
    scores = pd.DataFrame({"A": [0.5, 0.999], "B": [0.5, 0.999], "C": [0.5, 0.999]}, ["in", "out"])
    inside, outside = predict_lift(scores, table, before, after, cot)
    assert inside.support.inside
    assert not outside.support.inside
    assert "standard deviations above the outermost training model" in outside.support.summary
    low = scores.iloc[1:] * 0 + [0.001, 0.004, 0.0005]
    (below,) = advised(predict_lift(low, table, before + 0.0, after * 0 + before + 0.05, cot))
    assert not below.support.inside
    assert not below.advised


@pytest.mark.slow
def test_scores_on_few_items_widen_the_interval_of_a_gain() -> None:
    table, before, after = planted()
    cot = Intervention("x", "direct", "cot@5", 5)
    scores = pd.DataFrame({"A": [0.5], "B": [0.5], "C": [0.5]}, index=["mine"])

    def width(stderr: float | None, known: pd.DataFrame = scores) -> float:
        errors = None if stderr is None else known * 0 + stderr
        (lift,) = predict_lift(known, table, before, after, cot, stderr=errors)
        return lift.upper - lift.lower

    exact, half, few = width(None), width(0.1), width(0.29)
    assert width(0.0) == exact
    assert exact < half < few
    assert width(None, scores.assign(B=math.nan, C=math.nan)) > exact
    with pytest.raises(FitError, match=r"stderr of A is -0\.1"):
        width(-0.1)


@pytest.mark.slow
def test_a_guessing_model_measured_on_three_items_is_advised_nothing() -> None:
    benchmarks = ["MMLU", "ARC-C", "HellaSwag", "Winogrande", "TruthfulQA"]
    wide = pd.DataFrame([[1 / 3, 1 / 3, 1 / 3, 2 / 3, 0.5]], ["random"], benchmarks)
    stderr = pd.DataFrame(binomial_stderr(wide, 3), wide.index, wide.columns)
    reference = load_reference()
    chosen = INTERVENTIONS[:1]
    (exact,) = lift_card(wide, reference, interventions=chosen)
    (noisy,) = lift_card(wide, reference, interventions=chosen, stderr=stderr)
    assert exact.advised
    assert noisy.upper - noisy.lower > 1.3 * (exact.upper - exact.lower)
    assert not noisy.advised


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 0}, "samples is 0; it must be at least 1"),
        ({"tokens": math.nan}, "x: tokens is nan; it must be a number above 0"),
        ({"base_tokens": 0}, "x: base_tokens is 0; it must be a number above 0"),
    ],
)
def test_a_cost_that_is_none_is_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(FitError, match=message):
        Intervention("x", "b", "t", **changes)  # type: ignore[arg-type] # of many types

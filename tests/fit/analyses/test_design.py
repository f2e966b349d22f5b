"""Choice of models: criteria against direct linear algebra, exactness, budgets, published sets."""

import itertools
import json

import numpy as np
import pytest
from checkout import SHARED

from capspace.fit.analyses.criterion import evaluate_criterion, information_entries, whiten
from capspace.fit.analyses.design import (
    Candidates,
    choose_models,
    choose_over_budgets,
    random_choices,
)
from capspace.fit.errors import DegenerateError, FitError, TooFewModelsError, UnknownNameError


def candidates(n_families=7, k=3, seed=0):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, n_families)
    units = [f"family {i}" for i, size in enumerate(sizes) for _ in range(size)]
    points = rng.normal(size=(len(units), k))
    return points - points.mean(axis=0), units


def direct(points, rows, criterion, population=None):
    information = points[rows].T @ points[rows]
    if np.linalg.matrix_rank(information) < points.shape[1]:
        return np.inf
    if criterion == "D":
        return -np.linalg.slogdet(information)[1]
    weight = np.eye(points.shape[1])
    if criterion == "V":
        everyone = points if population is None else population
        weight = everyone.T @ everyone
    return np.trace(weight @ np.linalg.inv(information))


def brute_force(points, units, budget, criterion, cost=None):
    names = list(dict.fromkeys(units))
    charge = np.ones(len(units)) if cost is None else np.asarray(cost)
    best = np.inf
    for size in range(1, len(names) + 1):
        for chosen in itertools.combinations(names, size):
            rows = [i for i, unit in enumerate(units) if unit in chosen]
            if charge[rows].sum() <= budget:
                best = min(best, direct(points, rows, criterion))
    return best


@pytest.mark.parametrize("criterion", ["V", "A", "D"])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_criterion_agrees_with_linear_algebra(criterion, k):
    rng = np.random.default_rng(k)
    points = rng.normal(size=(40, k))
    basis = whiten(points, points) if criterion == "V" else points
    entries = information_entries(basis)
    subsets = [rng.choice(40, size, replace=False) for size in (k, k + 1, 10, 40)]
    stacked = np.column_stack([entries[:, rows].sum(axis=1) for rows in subsets])
    expected = [direct(points, rows, criterion) for rows in subsets]
    np.testing.assert_allclose(evaluate_criterion(stacked, criterion), expected, rtol=1e-7)


def test_singular_design_is_infinite():
    points = np.random.default_rng(0).normal(size=(2, 3))
    entries = information_entries(points).sum(axis=1)[:, None]
    assert evaluate_criterion(entries, "A")[0] == np.inf
    assert evaluate_criterion(np.zeros((6, 1)), "D")[0] == np.inf


@pytest.mark.parametrize("criterion", ["A", "D"])
def test_two_points_never_estimate_three_components(criterion):
    """Almost in line in two coordinates, they leave a last pivot of rounding errors that grew."""
    rng = np.random.default_rng(0)
    entries = sum(information_entries(rng.normal(size=(100_000, 3))) for _ in range(2))
    assert np.isinf(evaluate_criterion(entries, criterion)).all()
    third = entries + information_entries(rng.normal(size=(100_000, 3)))
    assert np.isfinite(evaluate_criterion(third, criterion)).mean() > 0.9999


@pytest.mark.parametrize("criterion", ["V", "A", "D"])
@pytest.mark.parametrize("max_subsets", [1, 1000])
def test_no_exchange_helps_a_budget_of_fewer_models_than_components(criterion, max_subsets):
    points, _ = candidates(n_families=8, seed=2)
    single = Candidates(points, [f"m{i}" for i in range(len(points))])
    with pytest.raises(DegenerateError, match="no subset within budget 2 estimates all 3"):
        choose_models(single, budget=2, criterion=criterion, max_subsets=max_subsets)


@pytest.mark.parametrize("criterion", ["V", "A", "D"])
@pytest.mark.parametrize("budget", [4, 6, 9, 30])
def test_exhaustive_is_the_optimum(criterion, budget):
    points, units = candidates()
    choice = choose_models(Candidates(points, units), budget=budget, criterion=criterion)
    assert choice.method == "exhaustive"
    assert choice.value == pytest.approx(brute_force(points, units, budget, criterion))
    assert choice.cost == choice.n_models <= budget
    assert choice.value == pytest.approx(direct(points, list(choice.rows), criterion))


def test_costs_in_gpu_hours():
    points, units = candidates(seed=3)
    hours = np.random.default_rng(1).uniform(0.5, 20, len(units))
    choice = choose_models(Candidates(points, units, hours), budget=60)
    assert choice.value == pytest.approx(brute_force(points, units, 60, "V", hours))
    assert choice.cost == pytest.approx(hours[list(choice.rows)].sum())
    assert choice.cost <= 60


def test_every_subset_is_counted_once():
    points, units = candidates(n_families=6)
    choice = choose_models(Candidates(points, units), budget=1000)
    assert choice.n_evaluated == 2**6 - 1
    limited = choose_models(Candidates(points, units), budget=1000, max_units=2)
    assert limited.n_evaluated == 6 + 15
    forced = choose_models(Candidates(points, units), budget=1000, include=["family 2"])
    assert forced.n_evaluated == 2**5


def test_row_order_does_not_matter():
    points, units = candidates(seed=5)
    order = np.random.default_rng(0).permutation(len(units))
    first = choose_models(Candidates(points, units), budget=8)
    second = choose_models(Candidates(points[order], [units[i] for i in order]), budget=8)
    assert set(first.units) == set(second.units)
    assert first.value == pytest.approx(second.value)


def test_v_and_d_do_not_depend_on_the_coordinates():
    points, units = candidates(seed=6)
    turned = points @ np.random.default_rng(0).normal(size=(3, 3))
    for criterion in ("V", "D"):
        first = choose_models(Candidates(points, units), budget=8, criterion=criterion)
        second = choose_models(Candidates(turned, units), budget=8, criterion=criterion)
        assert first.units == second.units


def test_population_moves_the_choice_towards_it():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(12, 2))
    units = [f"m{i}" for i in range(12)]
    far = np.array([[50.0, 0.0], [0.01, 0.02]])
    choice = choose_models(Candidates(points, units), budget=3, population=far)
    assert choice.value == pytest.approx(direct(points, list(choice.rows), "V", far))
    best = min(
        direct(points, list(rows), "V", far) for rows in itertools.combinations(range(12), 3)
    )
    assert choice.value == pytest.approx(best)


def test_include_and_exclude():
    points, units = candidates()
    choice = choose_models(
        Candidates(points, units), budget=12, include=["family 5"], exclude=["family 1", "family 3"]
    )
    assert "family 5" in choice.units
    assert not {"family 1", "family 3"} & set(choice.units)


@pytest.mark.slow
@pytest.mark.parametrize("criterion", ["V", "D"])
def test_exchange_reaches_the_exhaustive_optimum_for_single_models(criterion):
    points, _ = candidates(n_families=8, seed=2)
    points = points[:18]
    units = [f"m{i}" for i in range(18)]
    for budget in (4, 6, 9):
        exact = choose_models(Candidates(points, units), budget=budget, criterion=criterion)
        result = choose_models(
            Candidates(points, units), budget=budget, criterion=criterion, max_subsets=10
        )
        assert (exact.method, result.method) == ("exhaustive", "exchange")
        assert result.value == pytest.approx(exact.value)


def test_exchange_respects_budget_and_seed():
    points, units = candidates(n_families=12, seed=9)
    first = choose_models(Candidates(points, units), budget=10, max_subsets=1, random_state=4)
    second = choose_models(Candidates(points, units), budget=10, max_subsets=1, random_state=4)
    assert first == second
    assert first.cost <= 10


def test_a_larger_budget_is_never_worse():
    points, units = candidates(n_families=10)
    values = [
        c.value for c in choose_over_budgets(Candidates(points, units), budgets=range(4, 20, 2))
    ]
    assert values == sorted(values, reverse=True)


def test_random_choices_are_worse_and_fit_the_budget():
    points, units = candidates(n_families=12, seed=1)
    best = choose_models(Candidates(points, units), budget=10)
    drawn = random_choices(Candidates(points, units), budget=10, n_choices=20, random_state=0)
    assert all(c.cost <= 10 and c.method == "random" for c in drawn)
    assert min(c.value for c in drawn) >= best.value - 1e-9
    assert len({c.units for c in drawn}) > 10


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"include": ["family 9"]}, UnknownNameError, "no candidate 'family 9'; did you mean"),
        ({"include": ["family 1"], "exclude": ["family 1"]}, FitError, "both to include"),
        ({"budget": 2}, DegenerateError, "no subset within budget 2 estimates all 3"),
        ({"budget": 0}, DegenerateError, "nothing fits"),
        ({"include": [f"family {i}" for i in range(7)]}, FitError, "more than the budget of 4"),
    ],
)
def test_bad_input(change, error, message):
    points, units = candidates()
    with pytest.raises(error, match=message):
        choose_models(Candidates(points, units), **{"budget": 4, **change})


def test_costs_must_be_positive():
    points, units = candidates()
    with pytest.raises(FitError, match="cost must be one positive"):
        choose_models(Candidates(points, units, [-1.0] * len(units)), budget=4)


def test_points_and_budgets_must_be_there():
    points, units = candidates()
    with pytest.raises(FitError, match=rf"points must be \(n, k\) with n = {len(units)} units"):
        choose_models(Candidates(points[:-1], units), budget=4)
    with pytest.raises(FitError, match="give at least one budget"):
        choose_over_budgets(Candidates(points, units), budgets=[])


def test_candidates_without_a_place_are_named():
    points, units = candidates()
    points[3] = np.nan
    with pytest.raises(FitError, match=f"candidate 4 .{units[3]}."):
        choose_models(Candidates(points, units), budget=4)
    with pytest.raises(TooFewModelsError, match="2 candidates cannot estimate 3"):
        choose_models(Candidates(points[:2], units[:2]), budget=4)


def study_candidates(selection):
    """Return the study's candidates: families, and principal coordinates of imputed scores."""
    import pandas as pd

    from capspace.fit.space import CapabilitySpace

    expected = json.loads((SHARED / "paper/expected.json").read_text())
    frame = pd.read_csv(SHARED / "results/obsscaling/base_llm_benchmark_eval.csv")
    frame = frame.set_index("Model").loc[list(expected["pca"]["base_77_default"]["scores"])]
    scores = frame.columns[frame.columns.get_loc("MMLU") :]
    if selection == "below the cutoff":
        keep = (frame["FLOPs (1E21)"] <= 84) & frame[scores].notna().all(axis=1)
        frame, budgets = frame[keep], expected["selection"]["budgets"]
    elif selection == "all models":
        budgets = expected["selection_guide"]["all_models"]["budgets"]
    else:
        frame = frame[frame["Model Size (B)"] <= 7]
        budgets = expected["selection_guide"]["sub_7B"]["budgets"]
    space = CapabilitySpace(n_components=3, estimator="pca", clip=(0.0, 1.0)).fit(frame[scores])
    return space.transform(frame[scores]), list(frame["Model Family"]), budgets


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the study's tables are not at {SHARED}")
@pytest.mark.parametrize("selection", ["below the cutoff", "all models", "at most 7B"])
def test_study_budgets_are_met_or_beaten(selection):
    points, units, budgets = study_candidates(selection)
    include = [] if selection == "below the cutoff" else ["Llama-2"]
    choices = choose_over_budgets(
        Candidates(points, units), budgets=[int(b) for b in budgets], include=include
    )
    for choice, theirs in zip(choices, budgets.values(), strict=True):
        assert choice.method == "exhaustive"
        assert choice.value <= -theirs["objective"] * (1 + 1e-4)

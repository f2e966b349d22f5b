"""Items' parameters are recovered, and full scores estimated, on planted responses."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone

from capspace.fit.errors import (
    DegenerateError,
    FitError,
    NotConvergedError,
    TableError,
    TooFewItemsError,
    TooFewModelsError,
)
from capspace.fit.items import (
    SELECTIONS,
    ItemResponse,
    Responses,
    RidgeFromMean,
    read_responses,
    select_items,
    shorten,
)
from capspace.fit.items._candidates import clearly_best, family_folds

N_MODELS, N_ITEMS = 120, 240


@cache
def planted() -> tuple[Responses, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return answers by two-parameter curves, with abilities, difficulties, discriminations."""
    rng = np.random.default_rng(1)
    ability, difficulty = rng.normal(size=N_MODELS), rng.normal(size=N_ITEMS)
    ability = (ability - ability.mean()) / ability.std()
    discrimination = np.exp(0.3 * rng.normal(size=N_ITEMS))
    p = 1 / (1 + np.exp(-discrimination * (ability[:, None] - difficulty)))
    right = (rng.random(p.shape) < p).astype(float)
    return named(right), ability, difficulty, discrimination


def named(values: NDArray[np.float64]) -> Responses:
    rows, columns = (
        [f"{what}{i}" for i in range(n)] for what, n in zip("mq", values.shape, strict=True)
    )
    return Responses(values, rows, columns)


@cache
def fitted() -> ItemResponse:
    return ItemResponse().fit(planted()[0].values)


def test_planted_parameters_are_recovered() -> None:
    _, ability, difficulty, discrimination = planted()
    model = fitted()
    assert np.corrcoef(model.ability_, ability)[0, 1] > 0.98
    easiness = -discrimination * difficulty
    assert np.corrcoef(model.easiness_, easiness)[0, 1] > 0.95
    assert np.corrcoef(model.discrimination_, discrimination)[0, 1] > 0.5
    assert abs(np.mean(model.discrimination_ - discrimination)) < 0.1
    np.testing.assert_allclose(model.difficulty_, -model.easiness_ / model.discrimination_)
    assert clone(model).get_params() == model.get_params()


def test_a_fit_is_the_maximum_and_knows_no_order() -> None:
    responses = planted()[0]
    flipped = ItemResponse().fit(responses.values[::-1, ::-1])
    np.testing.assert_allclose(flipped.easiness_[::-1], fitted().easiness_, atol=1e-8)
    few = responses.values[:, :30]
    model = ItemResponse(tol=1e-9).fit(few)
    best = model.discrimination_, model.easiness_

    def height(a: NDArray[np.float64], d: NDArray[np.float64]) -> float:
        return model._posterior(few, np.ones((1, 30)), a, d)[1] - model._penalty(a, d)

    assert height(*best) == pytest.approx(model.log_likelihood_)
    rng = np.random.default_rng(0)
    for size in (0.003, 0.03, 0.3):
        for _ in range(5):
            moved = [part + size * rng.normal(size=30) for part in best]
            assert height(*moved) < model.log_likelihood_


def test_missing_and_fractional_answers_count_as_far_as_they_are_there() -> None:
    responses, _, difficulty, discrimination = planted()
    holes = np.where(np.random.default_rng(0).random((N_MODELS, N_ITEMS)) < 0.3, np.nan, 1)
    model = ItemResponse().fit(responses.values * holes)
    assert np.corrcoef(model.easiness_, -discrimination * difficulty)[0, 1] > 0.94
    incomplete = responses.values.copy()
    incomplete[0, 0] = np.nan  # by matrices of answers; without it by sums
    np.testing.assert_allclose(
        ItemResponse().fit(incomplete).easiness_[1:], fitted().easiness_[1:], atol=0.02
    )
    halves = ItemResponse().fit(np.full((4, 3), 0.5))
    np.testing.assert_allclose(halves.easiness_, 0, atol=1e-6)


def test_expected_responses_keep_what_is_known_and_tell_the_rest() -> None:
    responses = planted()[0]
    at = np.arange(0, N_ITEMS, 4)
    expected = fitted().expected_responses(responses.values[:, at], items=at)
    np.testing.assert_array_equal(expected[:, at], responses.values[:, at])
    errors = expected.mean(axis=1) - responses.values.mean(axis=1)
    plain = responses.values[:, at].mean(axis=1) - responses.values.mean(axis=1)
    assert np.sqrt(np.mean(errors**2)) < np.sqrt(np.mean(plain**2))


def test_informative_items_leave_the_least_variance() -> None:
    responses = planted()[0]
    model = fitted()
    total = {}
    for by in SELECTIONS:
        chosen = select_items(responses, 30, by=by, model=model)
        assert len(set(chosen.positions)) == 30
        assert np.all(np.diff(chosen.positions) > 0)
        assert chosen.weights.sum() == pytest.approx(1)
        total[by] = model.information(model.ability_)[:, chosen.positions].sum()
    assert max(total, key=lambda by: total[by]) == "informative"


def test_a_ridge_moves_with_its_mean_beyond_what_it_was_fitted_on() -> None:
    rng = np.random.default_rng(0)
    answers = (rng.random((40, 20)) < 0.4).astype(float)
    scores = answers.mean(axis=1) + 0.1 + 0.01 * rng.normal(size=40)
    estimator = RidgeFromMean().fit(answers, scores)
    assert estimator.predict(np.full((1, 20), 0.8))[0] == pytest.approx(0.9, abs=0.03)
    assert estimator.predict(np.ones((1, 20)))[0] == 1.0
    known = RidgeFromMean(weights=np.zeros(20), penalties=[1e-6]).fit(answers, answers[:, 3])
    np.testing.assert_allclose(known.coef_, np.eye(20)[3], atol=1e-3)


def test_a_short_form_states_the_error_that_it_has() -> None:
    responses = planted()[0]
    training, others = responses.of(np.arange(60)), responses.of(np.arange(60, N_MODELS))
    short = shorten(training, 30)
    assert (short.error, short.error_beyond) == short.errors[short.selection]
    assert short.highest == pytest.approx(training.values.mean(axis=1).max())
    estimates = short.estimate(others.values[:, short.positions])
    errors = estimates - others.values.mean(axis=1)
    assert np.std(errors) < 0.5 * others.values.mean(axis=1).std()
    assert 0.8 <= np.mean(np.abs(errors) <= 1.645 * short.stderr(estimates)) <= 0.99
    assert short.stderr([0.3]) == short.error
    assert short.stderr([short.highest]) == max(short.errors[short.selection])
    assert short.items == tuple(responses.items[i] for i in short.positions)


@pytest.mark.slow
def test_random_items_stay_where_choosing_others_gains_nothing() -> None:
    """All items are alike, so that any selection is a random one."""
    rng = np.random.default_rng(0)
    ability = rng.normal(size=(24, 1))
    selections = []
    for _ in range(4):
        right = rng.random((24, 60)) < 1 / (1 + np.exp(-ability))
        selections.append(shorten(named(right.astype(float)), 15).selection)
    assert sum(name.startswith("random") for name in selections) >= 3


def test_others_are_chosen_where_they_gain_clearly() -> None:
    """Half of the items are answered by chance, whoever answers."""
    rng = np.random.default_rng(0)
    ability, difficulty = rng.normal(size=(40, 1)), 0.5 * rng.normal(size=400)
    steep = np.where(np.arange(400) % 2, 4.0, 0.0)
    right = rng.random((40, 400)) < 1 / (1 + np.exp(-steep * (ability - difficulty)))
    short = shorten(named(right.astype(float)), 8)
    assert short.selection in ("informative", "anchors")
    assert np.mean(short.positions % 2) > 0.9
    assert short.error < 0.8 * short.errors["random"][0] < 0.8 * short.mean_error


def test_the_mean_of_random_items_is_their_weighted_mean() -> None:
    responses = planted()[0].of(np.arange(24))
    short = shorten(responses, 6, by=("random mean",))
    np.testing.assert_allclose(short.coef, 1 / 6)
    assert (short.selection, short.intercept) == ("random mean", 0)


def test_a_gain_within_two_standard_errors_is_no_reason() -> None:
    gains = np.array([1.0, -1.0, 2.0, -2.0, 1.5, 0.0])  # 0.25 on average, 0.63 is its error
    first = np.full(6, 5.0)
    assert clearly_best({"a": first, "b": first - gains}) == "a"
    assert clearly_best({"a": first, "b": first - gains, "c": first - gains - 2}) == "c"
    assert clearly_best({"a": first, "b": first - 2, "c": first - 1}) == "b"
    assert clearly_best({"a": first, "b": first}) == "a"


def test_ties_and_a_single_split_leave_an_error() -> None:
    right = np.zeros((24, 6))
    right[18:] = 1
    right[:, 5] = 0
    short = shorten(
        Responses(right, [str(i) for i in range(24)], list("abcdef"), ["x"] * 12 + ["y"] * 12), 2
    )
    assert 0 <= short.error <= 1
    assert short.stderr([0.1]) == short.error


def test_families_are_left_out_whole() -> None:
    families = ["a"] * 7 + ["b"] * 4 + ["c"] * 3 + ["d"]
    masks = list(family_folds(families, 3, 0))
    assert np.sum(masks, axis=0).tolist() == [1] * 15
    for mask in masks:
        left_out = {f for f, m in zip(families, mask, strict=True) if m}
        assert left_out.isdisjoint(f for f, m in zip(families, mask, strict=True) if not m)


def test_tables_are_read_by_item_and_by_response(tmp_path: Path) -> None:
    wide, long = tmp_path / "wide.csv", tmp_path / "long.csv"
    wide.write_text("Model,Family,q1,q2\na,x,1,0.5\nb,,,0\n")
    long.write_text("model,item,response,family\na,q1,1,x\na,q2,0.5,x\nb,q2,0,\n")
    for path in (wide, long):
        responses = read_responses(path)
        np.testing.assert_array_equal(responses.values, [[1, 0.5], [np.nan, 0]])
        assert list(responses.items) == ["q1", "q2"]
        assert responses.families == ("x", "b")
    wide.write_text("model,q1\norg/a,1\norg/b,0\nc,1\n")
    assert read_responses(wide).families == ("org", "org", "c")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("model,q1,q1\na,1,0\n", "two columns are called 'q1'"),
        ("model,item,response\na,q1,1\na,q1,0\n", "model 'a' has item 'q1' twice"),
        ("model,q1\na,3\n", "model 'a', item 'q1': the response is 3; each is 0 for wrong"),
        ("model,q1\na,right\n", "'right'"),
        ("model,q1,q2\na,1,\n", "item 'q2' has no response at all"),
        ("model,q1\na,1\na,0\n", "model 'a' has two rows"),
        ("model,family\na,x\n", "no column for any item"),
        ("name,q1\na,1\n", "no column model"),
        ("model,q1\n,1\n", "row 2 names no model"),
    ],
)
def test_a_table_that_is_none_is_refused_in_a_line(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(text)
    with pytest.raises(TableError) as error:
        read_responses(path)
    assert why in str(error.value)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_what_cannot_be_fitted_is_refused() -> None:
    responses = planted()[0]
    with pytest.raises(TooFewModelsError, match="19 models of 19 families"):
        shorten(responses.of(np.arange(19)), 10)
    with pytest.raises(TooFewItemsError, match="240 items of 240 are no fewer"):
        shorten(responses, 240)
    with pytest.raises(DegenerateError, match="the same score"):
        shorten(named(np.tile([0.0, 1.0], (20, 3))), 2)
    with pytest.raises(DegenerateError, match="one model alone"):
        ItemResponse().fit([[1, 0]])
    with pytest.raises(NotConvergedError, match="after 1 steps"):
        ItemResponse(max_iter=1).fit(responses.values)
    with pytest.raises(FitError, match="none of random, stratified"):
        select_items(responses, 3, by="best")
    with pytest.raises(TableError, match="item 'q' is there twice"):
        Responses(np.ones((1, 2)), ["m"], ["q", "q"])
    with pytest.raises(TooFewModelsError, match="give three"):
        RidgeFromMean().fit([[1.0]], [1.0])
    with pytest.raises(FitError, match=r"\(3, 1\) answers need as many full scores, got \(2,\)"):
        RidgeFromMean().fit([[1.0]] * 3, [1.0, 0.0])
    with pytest.raises(FitError, match="by names no selection"):
        shorten(responses, 10, by=())
    with pytest.raises(FitError, match=r"shape \(3,\); give \(n_models, n_items\)"):
        ItemResponse().fit([1.0, 0.0, 1.0])


def test_responses_have_a_row_a_weight_and_a_family_each() -> None:
    values = np.eye(2)
    for more, error, message in (
        ({"weights": [1.0]}, FitError, "one number above 0 for each of the 2 items"),
        ({"weights": [1.0, 0.0]}, FitError, "one number above 0 for each of the 2 items"),
        ({"families": ["one"]}, FitError, "1 families for 2 models"),
    ):
        with pytest.raises(error, match=message):
            Responses(values, ["a", "b"], ["p", "q"], **more)
    for wrong in (np.eye(3), np.empty((0, 0)), np.ones(2)):
        with pytest.raises(TableError, match="2 models and 2 items need a row and a column each"):
            Responses(wrong, ["a", "b"], ["p", "q"])


def test_abilities_are_told_from_some_items() -> None:
    values = planted()[0].values
    model = fitted()
    every = model.transform(values)
    assert every.shape == (len(values), 1)
    assert np.corrcoef(every[:, 0], np.nanmean(values, axis=1))[0, 1] > 0.9
    at = np.arange(0, values.shape[1], 2)
    assert np.corrcoef(every[:, 0], model.transform(values[:, at], items=at)[:, 0])[0, 1] > 0.8
    with pytest.raises(FitError, match="there are 3 items"):
        model.transform(values, items=[0, 1, 2])

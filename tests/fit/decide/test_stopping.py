"""Measuring stops where the items left out would hardly narrow the predictions."""

from __future__ import annotations

import json
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from capspace.fit import ScoreTable, TargetLaw, load_reference, predict_targets
from capspace.fit.decide._allocation import allocate_items
from capspace.fit.decide._item_pool import ItemPool, item_variance
from capspace.fit.decide._noise_effect import NoiseEffect, PredictedWidths
from capspace.fit.decide._noise_variance import NoiseVariance
from capspace.fit.decide._stopping import MeasuredItems, plan_items
from capspace.fit.decide._tolerance import Tolerance, read_seconds
from capspace.fit.errors import (
    FitError,
    RefusedTargetError,
    TooFewItemsError,
    UnknownCostError,
)
from capspace.fit.prediction._completion import complete, precision_among_models
from capspace.fit.reference._sampling_noise import noise_beyond

ENDLESS = ItemPool((1_000_000,))
SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=6)


@given(sizes=SIZES, weighted=st.booleans())
def test_more_items_of_a_pool_are_the_same_and_more(sizes: list[int], weighted: bool) -> None:
    pool = ItemPool(tuple(sizes), weighted=weighted)
    assert pool.counts(pool.n_items).tolist() == sizes
    assert pool.counts(pool.n_tasks).tolist() == [1] * len(sizes)
    turns = list(pool.turns(pool.n_items))
    assert sorted(turns) == [(t, i) for t, size in enumerate(sizes) for i in range(size)]
    weights = np.array(sizes) / sum(sizes) if weighted else np.full(len(sizes), 1 / len(sizes))
    for n in range(pool.n_tasks, pool.n_items + 1):
        expected = (weights**2 / pool.counts(n)).sum()
        assert pool.variance_factor(n) == pytest.approx(expected)


def test_tasks_of_a_mean_have_equal_shares_and_of_a_weighted_score_their_own() -> None:
    assert ItemPool((100, 50, 10)).counts(60).tolist() == [25, 25, 10]
    assert ItemPool((100, 50, 10), weighted=True).counts(32).tolist() == [20, 10, 2]


def test_a_pool_has_items_and_none_more_than_it_has() -> None:
    for sizes in ((), (3, 0)):
        with pytest.raises(FitError, match="each needs at least one"):
            ItemPool(sizes)
    for n in (1, 6):
        with pytest.raises(FitError, match=f"{n} items of 5 for 2 tasks"):
            ItemPool((2, 3)).variance_factor(n)


def test_one_target_has_the_items_of_neymans_allocation() -> None:
    effect, cost = np.array([[3.0, 1.0, 0.5]]), np.array([1.0, 4.0, 0.1])
    variance, allowed = np.array([0.25, 0.2, 0.1]), np.array([0.004])
    noise = NoiseVariance(np.sqrt(effect), np.zeros((1, 3, 3)))
    n = allocate_items(
        noise, allowed, variance=variance, cost=cost, pools=[ENDLESS] * 3, start=np.ones(3, int)
    )
    own = effect[0] * variance
    exact = np.sqrt(own / cost) * np.sqrt(own * cost).sum() / allowed
    np.testing.assert_allclose(n, exact, rtol=0.01)


def among_models(seed: int, n_targets: int, p: int) -> np.ndarray:
    """Inverse covariances of scores that one factor explains, apart from 0.01 to 0.04 of each."""
    rng = np.random.default_rng(seed)
    return np.array([
        np.linalg.inv(np.outer(w, w) + np.diag(rng.uniform(0.01, 0.04, p) ** 2))
        for w in rng.uniform(0.05, 0.2, (n_targets, p))
    ])  # fmt: skip


@pytest.mark.parametrize("tells", [False, True], ids=["alone", "with what others tell"])
@pytest.mark.parametrize("seed", range(4))
def test_several_targets_are_sure_enough_at_the_lowest_cost(seed: int, tells: bool) -> None:
    rng = np.random.default_rng(seed)
    effect = rng.exponential(size=(3, 4)) * rng.integers(0, 2, size=(3, 4)) + 0.01
    noise = NoiseVariance(
        np.sqrt(effect) * rng.choice([-1, 1], size=(3, 4)), tells * among_models(seed, 3, 4)
    )
    variance, cost = rng.uniform(0.1, 0.25, 4), rng.exponential(size=4) + 0.05
    allowed = rng.uniform(0.0005, 0.002, 3)
    pools = [ItemPool((size,)) for size in (150, 1000, 10_000, 10_000)]
    start, whole = np.full(4, 20), np.array([p.n_items for p in pools])
    n = allocate_items(noise, allowed, variance=variance, cost=cost, pools=pools, start=start)

    def slack(x: np.ndarray) -> np.ndarray:
        more = noise.added(variance * np.exp(-x)) - noise.added(variance / whole)
        return np.asarray(1 - more / allowed)

    assert (slack(np.log(n)) >= -1e-9).all()
    assert (start <= n).all()
    assert (n <= whole).all()
    best = minimize(
        lambda x: np.exp(x) @ cost / 1000,
        np.log(n),
        bounds=list(zip(np.log(start), np.log(whole), strict=True)),
        constraints={"type": "ineq", "fun": slack},
        method="SLSQP",
    )
    assert n @ cost <= 1.01 * np.exp(best.x) @ cost


def planted(n: tuple[int, int] = (50, 50), **more: float) -> list[MeasuredItems]:
    return [
        MeasuredItems("a", ItemPool((10_000,)), n[0], 0.25, 1000.0, **more),
        MeasuredItems("b", ItemPool((1000,)), n[1], 0.2, 100.0, **more),
    ]


EFFECT = NoiseEffect(
    ("t", "u"),
    ("a", "b"),
    np.array([0.1, 0.3]),
    NoiseVariance(np.sqrt([[20.0, 5.0], [1.0, 30.0]]), np.zeros((2, 2, 2))),
    {},
)


def test_noise_leaves_the_covariance_that_completions_have(scores: ScoreTable) -> None:
    """A prediction that is linear in the scores has the variance of its completions."""
    law = TargetLaw("bbh").fit(load_reference(), exclude=list(scores.models.index))
    training, own = law.fitted_.training, scores.wide(law.feature_names_in_)
    x = np.repeat(own.to_numpy(), 2, axis=0)
    x[1, [0, 4]] = np.nan
    errors = np.where(np.isnan(x), 0.0, [0.01, 0.02, 0.03, 0.02, 0.01, 0.02, 0.03, 0.02])
    spread = complete(training, x, errors)[1]
    assert spread is not None
    weight = np.array([1.0, -2.0, 0.5, 3.0, 1.0, -1.0, 2.0, 1.0])
    for cells, off, draws in zip(x, errors, spread, strict=True):
        there = ~np.isnan(cells)
        precision = precision_among_models(training, there)
        noise = NoiseVariance(np.where(there, weight, 0.0)[None], precision[None])
        variance = np.var(draws[:, there] @ weight[there])
        assert noise.added(off**2) == pytest.approx([variance], rel=1e-6)
        step = 1e-6 * np.eye(8)
        slopes = (noise.added(off**2 + row) - noise.added(off**2) for row in step)
        assert noise.slopes(off**2)[0] == pytest.approx(np.ravel(list(slopes)) / 1e-6, rel=1e-2)
    assert (np.linalg.eigvalsh(precision) > -1e-9).all()


def test_cheap_items_of_another_benchmark_save_dear_ones() -> None:
    """The prediction is the first score, which follows from the second but for 0.01."""
    covariance = np.array([[0.0201, 0.02], [0.02, 0.02]])
    cost = np.array([1.0, 0.02])
    alone, shared = (
        allocate_items(
            NoiseVariance(np.array([[1.0, 0.0]]), precision[None]),
            np.array([5e-5]),
            variance=np.full(2, 0.2),
            cost=cost,
            pools=[ENDLESS] * 2,
            start=np.full(2, 10),
        )
        for precision in (np.zeros((2, 2)), np.linalg.inv(covariance))
    )
    assert alone == pytest.approx([0.2 / (5e-5 + 2e-7), 10], abs=1)
    # of the first's variance given the second, 1e-4, half is to be left
    assert 0.2 * (1 / 5e-5 - 1 / 1e-4) < shared[0] < 0.75 * alone[0]
    assert shared[1] > 1000
    assert shared @ cost < 0.75 * (alone @ cost)


def _total(n: np.ndarray, start: np.ndarray, cost: np.ndarray, once: np.ndarray) -> float:
    return float((n - start) @ cost + (n > start) @ once)


def test_what_costs_something_once_grows_only_where_that_is_cheapest() -> None:
    saves = []
    sizes, start = np.array([150, 1000, 10_000]), np.full(3, 20)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        effect = rng.exponential(size=(2, 3)) * [1, 1, 0.1]
        noise = NoiseVariance(np.sqrt(effect), np.zeros((2, 3, 3)))
        variance, cost = rng.uniform(0.1, 0.25, 3), rng.exponential(size=3) + 0.05
        allowed = rng.uniform(0.001, 0.004, 2)
        once = rng.exponential(size=3) * [0, 30, 300]
        allocated = partial(
            allocate_items, noise, variance=variance, cost=cost, start=start
        )  # fmt: skip
        total = partial(_total, start=start, cost=cost, once=once)
        tried = []
        for grows in product([True, False], repeat=3):
            most = np.where(grows, sizes, start)
            left = allowed - noise.added(variance / most) + noise.added(variance / sizes)
            if (left > 0).all():
                pools = [ItemPool((int(size),)) for size in most]
                tried.append(total(allocated(left, pools=pools)))
        pools = [ItemPool((int(size),)) for size in sizes]
        chosen = allocated(allowed, pools=pools, once=once)
        more = noise.added(variance / chosen) - noise.added(variance / sizes)
        assert (more <= allowed * (1 + 1e-9)).all()
        assert total(chosen) == pytest.approx(min(tried), rel=0.01)
        saves.append(total(chosen) < 0.99 * total(allocated(allowed, pools=pools)))
    assert 0 < sum(saves) < len(saves)


def test_the_dearest_beside_few_items_is_left_first() -> None:
    """Not the one that grows by the fewest items, after which the dearest would have to grow."""
    noise = NoiseVariance(np.array([[1.0, 1.0, 2.0]]), np.zeros((1, 3, 3)))
    start, once = np.array([120, 100, 400]), np.array([200.0, 1000.0, 0.0])
    n = allocate_items(
        noise, np.array([0.0038]), variance=np.full(3, 0.2), cost=np.ones(3),
        pools=[ENDLESS] * 3, start=start, once=once,
    )  # fmt: skip
    assert n[1] == start[1]


def test_noise_of_scores_that_no_target_has_adds_nothing() -> None:
    noise = EFFECT.noise_of(["b", "else", "a"])
    assert noise.gain.tolist() == np.sqrt([[5.0, 0.0, 20.0], [30.0, 0.0, 1.0]]).tolist()
    assert noise.added(np.array([0.1, 9.0, 0.2])) == pytest.approx([4.5, 3.2])
    own = EFFECT.of(["u", "w"])
    assert own.targets == ("u",)
    assert own.widths(np.array([0.1, 0.1])) == pytest.approx([0.3 * np.sqrt(4.1)])


def test_the_plan_ends_where_all_other_items_would_narrow_by_the_tolerance() -> None:
    plan = plan_items(EFFECT, planted(), Tolerance.read("5%"))
    assert not plan.is_done
    then = EFFECT.widths(np.array([0.25 / plan.n_items["a"], 0.2 / plan.n_items["b"]]))
    whole = EFFECT.widths(np.array([0.25 / 10_000, 0.2 / 1000]))
    np.testing.assert_allclose(plan.width_then, then)
    np.testing.assert_allclose(plan.width_full, whole)
    assert (then / whole).max() == pytest.approx(1.05, abs=5e-4)
    after = plan_items(
        EFFECT, planted((plan.n_items["a"], plan.n_items["b"])), Tolerance.read("5%")
    )
    assert after.is_done
    assert after.token_share < 0.02
    shares, wider = zip(*after.curve, strict=True)
    assert sorted(shares) == list(shares)
    assert sorted(wider, reverse=True) == list(wider)
    json.dumps(after.to_dict(), allow_nan=False)


def test_a_tolerance_of_a_score_is_wide_for_a_narrow_interval() -> None:
    plan = plan_items(EFFECT, planted(), Tolerance.read("0.01"))
    assert (plan.width_then - plan.width_full).max() == pytest.approx(0.01, abs=2e-4)


def test_a_budget_bounds_the_seconds_and_narrows_as_far_as_it_goes() -> None:
    few = plan_items(EFFECT, planted(seconds=0.1), Tolerance.read("1%"), seconds=20.0)
    many = plan_items(EFFECT, planted(seconds=0.1), Tolerance.read("1%"), seconds=1000.0)
    assert not few.within_budget
    assert many.within_budget
    spent = 0.1 * (few.n_items["a"] + few.n_items["b"] - 100)
    assert 15 < spent <= 20
    tight = plan_items(EFFECT, planted(seconds=0.1), Tolerance.read("1e-9%"), seconds=20.0)
    assert not tight.within_budget
    assert 15 < 0.1 * (tight.n_items["a"] + tight.n_items["b"] - 100) <= 20
    none = plan_items(EFFECT, planted(seconds=0.1), Tolerance.read("1%"), seconds=0.0)
    assert none.is_done
    with pytest.raises(UnknownCostError, match="the time of an item of a is unknown"):
        plan_items(EFFECT, planted(), Tolerance.read("1%"), seconds=20.0)


def test_what_items_share_is_spent_once_for_each_benchmark_that_grows() -> None:
    """And is no reason to measure fewer of them, where it is affordable."""
    until = Tolerance.read("1%")
    plain = plan_items(EFFECT, planted(seconds=0.1), until, seconds=1000.0)
    shared = planted(seconds=0.1, shared_seconds=5.0, shared_tokens=20_000.0)
    assert plan_items(EFFECT, shared, until, seconds=1000.0).n_items == plain.n_items
    few = plan_items(EFFECT, shared, until, seconds=20.0)
    assert 5 < 0.1 * (few.n_items["a"] + few.n_items["b"] - 100) <= 20 - 2 * 5
    assert plan_items(EFFECT, shared, until, seconds=4.0).is_done
    tokens = (20_000 + 50 * 1000) + (20_000 + 50 * 100)
    whole = (20_000 + 10_000 * 1000) + (20_000 + 1000 * 100)
    assert few.token_share == tokens / whole
    assert few.curve[0][0] > 40_000 / whole


def test_few_equal_answers_are_not_sure() -> None:
    assert item_variance(np.ones(8)) == pytest.approx(0.09)
    with pytest.raises(TooFewItemsError, match="1 measured item says nothing"):
        item_variance(np.ones(1))


@pytest.fixture(scope="module")
def scores() -> ScoreTable:
    own = load_reference().scores().loc[["mistralai/Mistral-7B-v0.1"]]
    return ScoreTable.from_wide(own)


@pytest.mark.slow
def test_the_width_curve_is_that_of_the_law(scores: ScoreTable) -> None:
    reference, own = load_reference(), scores.wide()
    effect = PredictedWidths(reference, targets=["bbh"]).effect(scores)
    n = np.array([500, 300, 300, 200, 200, 300, 200, 164])
    variance = own.to_numpy()[0] * (1 - own.to_numpy()[0]) / n
    law = TargetLaw("bbh").fit(reference, exclude=list(own.index))
    stderr = own * 0 + np.sqrt(variance)
    made = [law.predict(own, stderr=each, keep=True)[0] for each in (own * 0, stderr)]
    sure, unsure = (p.upper - p.lower for p in made)
    assert effect.width == pytest.approx([sure])
    assert unsure > 1.005 * sure
    assert effect.widths(variance) == pytest.approx([unsure], rel=0.01)


def test_noise_counts_for_more_where_other_benchmarks_follow_from_the_noisy_one(
    scores: ScoreTable,
) -> None:
    widths = PredictedWidths(load_reference(), targets=["bbh"])
    few = widths.effect(scores.select(benchmarks=["ARC-C", "Winogrande", "XWinograd"]))
    whole = widths.effect(scores)
    columns = [whole.benchmarks.index(b) for b in few.benchmarks]
    assert (few.noise.gain**2 > 2 * whole.noise.gain[:, columns] ** 2).all()


@pytest.mark.slow
def test_few_items_may_have_put_a_model_beyond_a_floor() -> None:
    """Widths and noise are means over where the model may be, not those of the floor."""
    reference, target = load_reference(), "arithmetic-2da"
    low = reference.scores().loc[["EleutherAI/gpt-neo-2.7B"]] - 0.02
    widths = PredictedWidths(reference, targets=[target])
    sure = widths.effect(ScoreTable.from_wide(low))
    items = [
        {"model": "mine", "benchmark": name, "score": score, "n_items": 57}
        for name, score in low.iloc[0].items()
    ]
    few = widths.effect(ScoreTable.from_records(items))
    assert few.width > 1.5 * sure.width

    law = widths.law(target)
    cells = low[list(law.feature_names_in_)]
    full = [reference.benchmarks[name].n_items for name in cells.columns]
    off = noise_beyond(cells.to_numpy(), 57, full)
    places = complete(law.fitted_.training, cells.to_numpy(), off)[1]
    assert places is not None
    drawn = pd.DataFrame(places[0, :16], columns=cells.columns)
    made = law.predict(drawn, keep=True)
    assert few.width == pytest.approx([np.mean([p.upper - p.lower for p in made])], rel=1e-6)


def test_stored_laws_are_widened_too() -> None:
    reference = load_reference("frontier-2026")
    own = pd.DataFrame({"GPQA-diamond": 0.6, "MMLU-Pro": 0.75}, index=["mine"])
    facts = pd.DataFrame({"release_date": "2025-06"}, index=["mine"])
    widths = PredictedWidths(reference, targets=["hle/no-tools"])
    sure = widths.effect(ScoreTable.from_wide(own, models=facts))
    assert sure.benchmarks == ("GPQA-diamond", "MMLU-Pro")
    assert (sure.noise.gain > 0).any()
    assert not sure.noise.precision.any()
    few = widths.effect(ScoreTable.from_wide(own, models=facts, stderr=own * 0 + 0.06))
    assert few.width != pytest.approx(sure.width, rel=1e-3)
    assert few.width == pytest.approx(sure.width, rel=0.2)


@pytest.mark.slow
def test_stored_laws_leave_out_the_model_whose_widths_they_give() -> None:
    reference = load_reference("frontier-2026")
    table = reference.table.select(benchmarks=list(reference.benchmarks))
    own, target = table.select(models=["gpt-4.1"]), "hle/no-tools"
    effect = PredictedWidths(reference, targets=[target]).effect(own)
    (predicted,) = predict_targets(own, reference, targets=[target])
    assert effect.width == pytest.approx([predicted.upper - predicted.lower], rel=1e-6)


def test_a_target_that_stored_laws_give_no_number_of_says_why() -> None:
    facts = pd.DataFrame({"release_date": "2025-06"}, index=["mine"])
    own = ScoreTable.from_wide(pd.DataFrame({"IFEval": 0.8}, index=["mine"]), models=facts)
    widths = PredictedWidths(load_reference("frontier-2026"), targets=["mmmlu/vendor"])
    with pytest.raises(RefusedTargetError, match=r"mmmlu/vendor: fewer than 2 of the reference's"):
        widths.effect(own)


def test_a_refused_target_decides_nothing(scores: ScoreTable) -> None:
    reference = load_reference()
    assert reference.evaluations["agentboard"].status == "refused"
    with pytest.raises(RefusedTargetError, match="no target can be predicted: agentboard: refused"):
        PredictedWidths(reference, targets=["agentboard"]).effect(scores)
    with pytest.raises(RefusedTargetError, match="none of the benchmarks is one of the reference"):
        PredictedWidths(reference).check(["Chess"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "write a part of the score, as in 0.02"),
        ("small", "write a part of the score, as in 0.02"),
        ("nan", "above 0"),
        ("0", "above 0"),
        ("-5%", "above 0"),
        ("5", "did you mean 5%?"),
    ],
)
def test_a_tolerance_is_a_number_above_0(text: str, why: str) -> None:
    with pytest.raises(FitError, match=why) as error:
        Tolerance.read(text)
    assert "\n" not in str(error.value)


def test_tolerances_and_budgets_are_read() -> None:
    assert Tolerance.read(" 5 % ") == Tolerance(0.05, relative=True)
    assert [str(Tolerance.read(text)) for text in ("0.02", "2.5%")] == ["0.02", "2.5%"]
    assert [read_seconds(text) for text in ("90s", "1.5 min", "2h")] == [90, 90, 7200]


@pytest.mark.parametrize("text", ["30", "h", "0min", "-1h", "30 parsecs", "1..2h", ""])
def test_a_budget_has_a_unit_of_time(text: str) -> None:
    with pytest.raises(FitError, match="write it as 90s, 30min or 2h"):
        read_seconds(text)


def test_a_figure_ends_at_all_tokens_and_a_plan_knows_its_whole_pools() -> None:
    from capspace.fit.figures.stopping import draw_stopping

    some = plan_items(EFFECT, planted(), Tolerance.read("5%"))
    assert not some.is_whole
    axes = draw_stopping(some).axes[0]
    left, right = axes.get_xlim()
    assert 0 < left < right < 2
    labels = {label.get_text() for label in axes.get_xticklabels(which="both")}
    assert "100%" in labels
    assert not any("10^" in label for label in labels)
    assert plan_items(EFFECT, planted((10_000, 1000)), Tolerance.read("5%")).is_whole


@pytest.mark.parametrize("widening", [0.002, 0.032, 0.048, 0.3])
@pytest.mark.parametrize("share", [0.02, 0.06, 0.5])
def test_labels_of_a_stopping_curve_lie_beside_its_lines(widening: float, share: float) -> None:
    from types import SimpleNamespace

    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from capspace.fit.figures.stopping import draw_stopping

    curve = ((0.01, 0.6), (0.05, 0.06), (0.1, 0.02), (0.3, 0.005), (1.0, 1e-4))
    drawn = SimpleNamespace(
        curve=curve, token_share=share, widening=widening, tolerance=Tolerance.read("5%")
    )
    figure = draw_stopping(drawn)
    axes = figure.axes[0]
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    measured, wanted = (t for t in axes.texts if t.get_text().startswith(("measured", "wanted")))
    measured, wanted = sorted((measured, wanted), key=lambda text: text.get_text())
    assert wanted.get_text() == "wanted: at most 5% wider"
    boxes = [text.get_window_extent(renderer) for text in (measured, wanted)]
    line = axes.transData.transform((1, 0.05))[1]
    assert not any(box.y0 < line < box.y1 for box in boxes)
    assert not boxes[0].overlaps(boxes[1])
    assert boxes[0].y1 <= axes.get_window_extent(renderer).y1
    assert boxes[0].x1 <= axes.get_window_extent(renderer).x1

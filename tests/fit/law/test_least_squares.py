"""Certified nonlinear regressions, bounds, and honesty about what did not converge."""

import numpy as np
import pytest

from capspace.fit.law import ScalingLaw
from capspace.fit.law._form import Form, link_function
from capspace.fit.law._least_squares import solve

# NIST StRD, https://www.itl.nist.gov/div898/strd/nls/data/ratkowsky2.shtml and ratkowsky3.shtml
RAT42_X = np.array([9, 14, 21, 28, 42, 57, 63, 70, 79], dtype=float)
RAT42_Y = np.array([8.93, 10.80, 18.59, 22.33, 39.35, 56.11, 61.73, 64.62, 67.08])
RAT42 = {"b": [7.2462237576e01, 2.6180768402e00, 6.7359200066e-02], "rss": 8.0565229338e00}
RAT42_SD = [1.7340283401e00, 8.8295217536e-02, 3.4465663377e-03]
RAT43_X = np.arange(1, 16, dtype=float)
RAT43_Y = np.fromstring(
    "16.08 33.83 65.80 97.20 191.55 326.20 386.87 520.53 "
    "590.03 651.92 724.93 699.56 689.96 637.56 717.41",
    sep=" ",
)
RAT43 = {
    "b": [6.9964151270e02, 5.2771253025e00, 7.5962938329e-01, 1.2792483859e00],
    "rss": 8.7864049080e03,
}


def test_rat42_to_its_certified_digits():
    law = ScalingLaw(ceiling=(1.0, 1000.0)).fit(RAT42_X[:, None], RAT42_Y)
    got = [law.ceiling_, -law.intercept_, law.coef_[0]]
    np.testing.assert_allclose(got, RAT42["b"], rtol=2e-7)
    assert 2 * law.loss_ == pytest.approx(RAT42["rss"], rel=1e-10)
    order = [2, 0, 1]  # covariance is of (intercept, slope, ceiling)
    np.testing.assert_allclose(np.sqrt(np.diag(law.covariance_))[order], RAT42_SD, rtol=1e-6)


def richards(c, levels):
    """b1 (1 + exp c)^(-1/b4) with its derivatives; levels are (b1, b4)."""
    top, shape = levels[:, :1], levels[:, 1:]
    e = np.exp(c)
    u = 1 + e
    f = top * u ** (-1 / shape)
    slope = -f / shape * e / u
    bend = slope * (1 - e / u - e / (shape * u))
    by_shape = f * np.log(u) / shape**2
    by_level = np.stack([f / top, by_shape], axis=-1)
    mixed = np.stack([slope / top, slope * (np.log(u) / shape**2 - 1 / shape)], axis=-1)
    return f, slope, bend, by_level, mixed


@pytest.mark.parametrize("start", [[100.0, 10.0, 1.0, 1.0], [700.0, 5.0, 0.75, 1.3]])
def test_rat43_to_its_certified_digits_from_both_nist_starts(start):
    top, b2, b3, shape = start
    design = np.column_stack([np.ones(15), -RAT43_X])[None]
    solution = solve(
        richards, design, RAT43_Y[None], np.ones((1, 15)), np.array([[b2, b3, top, shape]])
    )
    assert solution.converged[0]
    got = solution.theta[0][[2, 0, 1, 3]]
    np.testing.assert_allclose(got, RAT43["b"], rtol=5e-7)
    assert 2 * solution.loss[0] == pytest.approx(RAT43["rss"], rel=1e-10)


def numerical(f, at, step=1e-6):
    return (f(at + step) - f(at - step)) / (2 * step)


@pytest.mark.parametrize(
    "form",
    [
        Form("sigmoid", 0.1, 0.9),
        Form("sigmoid-floor"),
        Form("sigmoid", (0.0, 0.3), (0.7, 1.0)),
        Form("linear"),
        Form("exp"),
    ],
)
def test_derivatives_of_every_link(form):
    link = link_function(form)
    c = np.linspace(-3, 2, 7)[None]
    levels = np.array([[0.15, 0.8][: form.n_free]])
    _, slope, bend, by_level, mixed = link(c, levels)
    np.testing.assert_allclose(slope, numerical(lambda v: link(v, levels)[0], c), atol=1e-8)
    np.testing.assert_allclose(bend, numerical(lambda v: link(v, levels)[1], c), atol=1e-8)
    for j in range(form.n_free):
        unit = np.eye(form.n_free)[j]

        def moved(v, part, unit=unit):
            return link(c, levels + v * unit)[part]

        np.testing.assert_allclose(
            by_level[..., j], numerical(lambda v, m=moved: m(v, 0), 0.0), atol=1e-8
        )
        np.testing.assert_allclose(
            mixed[..., j], numerical(lambda v, m=moved: m(v, 1), 0.0), atol=1e-8
        )


def test_problems_of_a_batch_do_not_touch_each_other():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 40, 2))
    design = np.concatenate([np.ones((5, 40, 1)), x], axis=2)
    beta = rng.normal(size=(5, 3))
    y = 1 / (1 + np.exp(-(design @ beta[..., None])[..., 0])) + 0.05 * rng.normal(size=(5, 40))
    link = link_function(Form("sigmoid"))
    start, weight = np.zeros((5, 3)), rng.uniform(0.5, 2, size=(5, 40))
    together = solve(link, design, y, weight, start)
    for b in range(5):
        problem = slice(b, b + 1)
        alone = solve(link, design[problem], y[problem], weight[problem], start[problem])
        np.testing.assert_allclose(together.theta[b], alone.theta[0], rtol=1e-8)


def test_a_problem_that_needs_more_steps_is_called_unconverged():
    design = np.column_stack([np.ones(9), RAT42_X])[None]
    link = link_function(Form("sigmoid", 0.0, (1.0, 1000.0)))
    solution = solve(
        link, design, RAT42_Y[None], np.ones((1, 9)), np.array([[0.0, 0.03, 500.0]]), max_iter=2
    )
    assert not solution.converged[0]
    assert solution.n_iter[0] == 3


def test_a_bound_holds_and_the_rest_is_stationary():
    rng = np.random.default_rng(1)
    x = rng.normal(size=60)
    y = 0.4 + 0.6 / (1 + np.exp(-2 * x)) + 0.01 * rng.normal(size=60)
    law = ScalingLaw(link="sigmoid-floor").fit(x[:, None], y)
    assert law.floor_ == 0.2  # the truth, 0.4, is out of bounds
    residual = law.predict(x[:, None]) - y
    slope = (law.ceiling_ - law.floor_) * (law.predict(x[:, None]) - law.floor_) / 0.8
    slope = slope * (1 - (law.predict(x[:, None]) - law.floor_) / 0.8)
    gradient = np.array([residual @ slope, residual @ (slope * x)])
    assert np.abs(gradient).max() < 1e-6
    assert np.isnan(law.covariance_[-1, -1])


def test_huber_shrugs_off_an_outlier():
    x = np.linspace(-3, 3, 40)
    y = 1 / (1 + np.exp(-1.5 * x))
    y[5] = 1.0
    robust = ScalingLaw(loss="huber", delta=0.01).fit(x[:, None], y)
    squared = ScalingLaw().fit(x[:, None], y)
    assert abs(robust.coef_[0] - 1.5) < 0.02
    assert abs(squared.coef_[0] - 1.5) > 0.1


def test_huber_of_delta_one_is_least_squares_on_fractions():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(50, 2))
    y = np.clip(1 / (1 + np.exp(-x @ [1, 2])) + 0.1 * rng.normal(size=50), 0, 1)
    robust, other = ScalingLaw(loss="huber").fit(x, y), ScalingLaw().fit(x, y)
    np.testing.assert_allclose(robust.coef_, other.coef_, rtol=1e-6)

"""The best single benchmark is found, and a Gaussian process follows a bend."""

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from capspace.fit import BestSingleBenchmark, GaussianProcessLaw
from capspace.fit.completion._single import fit_lines
from capspace.fit.errors import DegenerateError


@pytest.mark.slow
@parametrize_with_checks([BestSingleBenchmark(), GaussianProcessLaw()])
def test_scikit_learn_finds_nothing_to_complain_about(estimator, check):
    check(estimator)


def test_the_best_known_benchmark_is_used():
    rng = np.random.default_rng(0)
    ability = rng.normal(size=200)
    noise = {"close": 0.2, "far": 0.8}
    x = pd.DataFrame({n: ability + s * rng.normal(size=200) for n, s in noise.items()})
    x["against"] = -ability
    y = ability + 0.1 * rng.normal(size=200)
    law = BestSingleBenchmark().fit(x, y)
    assert np.isnan(law.correlation_[2])
    assert law.correlation_[0] > law.correlation_[1]
    deviation = law.expect(x.iloc[:1]).deviation
    assert deviation == pytest.approx(np.hypot(0.1, 0.2), abs=0.05)
    far = law.expect(x.iloc[:1].assign(close=np.nan))
    assert far.deviation > 2 * deviation
    nothing = law.expect(x.iloc[:1].assign(close=np.nan, far=np.nan))
    assert nothing.mean == pytest.approx(y.mean())
    assert nothing.deviation == pytest.approx(y.std())


def test_the_residuals_are_those_of_lines_without_the_model():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, 1))
    y = x[:, 0] + rng.normal(size=12)
    law = BestSingleBenchmark().fit(x, y)
    standard = (x[:, 0] - x.mean()) / x.std()
    left = []
    for i in range(12):
        rest = np.arange(12) != i
        design = np.column_stack([np.ones(11), standard[rest]])
        a, b = np.linalg.solve(design.T @ design + np.diag([0, 0.5]), design.T @ y[rest])
        left.append(y[i] - a - b * standard[i])
    assert law.expect(x[:1]).deviation == pytest.approx(np.sqrt(np.mean(np.square(left))))


def test_five_pairs_are_too_few_for_a_line():
    x = np.full((8, 2), np.nan)
    x[:5, 0] = np.arange(5)
    x[:6, 1] = np.arange(6)
    law = BestSingleBenchmark().fit(x, np.arange(8.0))
    assert np.isnan(law.correlation_[0])
    assert law.correlation_[1] == pytest.approx(1.0)


def test_a_bend_is_followed_and_uncertainty_grows_outside():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, size=(120, 2))
    truth = x[:, 0] + np.sin(2 * x[:, 0])
    law = GaussianProcessLaw().fit(x, truth + 0.2 * rng.normal(size=120))
    expected = law.expect(x)
    assert np.sqrt(np.mean((expected.mean - truth) ** 2)) < 0.2
    assert law.kernel_[1] > 0
    far = law.expect(np.array([[6.0, 6.0]]))
    assert far.deviation > 1.5 * expected.deviation.max()


def test_a_straight_target_needs_no_local_part():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    law = GaussianProcessLaw().fit(x, x @ [1.0, 0.5] + 0.4 * rng.normal(size=60))
    assert law.kernel_[1] == 0


def test_a_constant_target_is_refused():
    with pytest.raises(DegenerateError, match="the same for every model"):
        GaussianProcessLaw().fit(np.arange(6.0)[:, None], np.ones(6))


def test_pairs_of_no_weight_or_no_spread_have_no_line():
    x = np.column_stack([np.arange(12.0), np.ones(12), np.arange(12.0)])
    x[:6, 2] = np.nan
    x = np.vstack([x, x])
    y = np.column_stack([x[:, 0] + 1, np.ones(24)])
    weight = np.where(np.isnan(x[:, 2]), 1.0, 0.0)
    lines = fit_lines(x, y, weight)
    known = ~np.isnan(lines.slope)
    assert known.tolist() == [[True, False, False], [False, False, False]]
    assert lines.correlation[0, 0] == pytest.approx(1)

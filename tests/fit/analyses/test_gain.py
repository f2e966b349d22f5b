"""The gain of an intervention: planted pairs, coverage, and what pairing is worth."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from capspace.fit.analyses.paired_laws import error_covariance, fit_gain
from capspace.fit.errors import DegenerateError, FitError, TooFewModelsError
from capspace.fit.law._calibration import Refits
from capspace.fit.law._refit import LawSettings, Training
from capspace.fit.law.intervals import TwoView
from capspace.fit.law.path import linear_predictor, typical_path

LOADINGS = np.array([[0.5, 0.4, 0.6, 0.3], [0.3, -0.4, 0.1, 0.2]])
BASE, TREATED = np.array([2.0, 0.5]), np.array([4.0, -1.0])


def planted(rng, n_families=10, size=4, noise=0.1, shared=1.0):
    """Return scores, base, treated, families; errors of a pair correlate by ``shared``."""
    n = n_families * size
    families = np.repeat([f"family {i}" for i in range(n_families)], size)
    x = rng.normal(size=(n, 2)) * [0.5, 0.3]
    scores = 0.5 + x @ LOADINGS * 0.5 + rng.normal(0, 0.005, (n, 4))
    common, own = rng.normal(0, noise, (2, n))
    base = expit(-1 + x @ BASE + common)
    treated = expit(0.3 + x @ TREATED + shared * common + np.sqrt(1 - shared**2) * own)
    return scores, base, treated, families


def training(scores, base, families, n_components=2):
    return Training(
        scores=scores,
        target=base,
        families=families,
        chance=np.full(scores.shape[1], -0.5),
        benchmarks=tuple("ABCD"),
        settings=LawSettings(n_components=n_components, n_starts=6),
        clip=(-1.0, 2.0),
    )


def test_laws_of_a_noiseless_pair_are_recovered():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 2)) * [0.5, 0.3]
    scores = 0.5 + x @ LOADINGS * 0.5
    families = np.repeat([f"f{i}" for i in range(10)], 3)
    base, treated = expit(-1 + x @ BASE), expit(0.3 + x @ TREATED)
    fit = fit_gain(training(scores, base, families), treated)
    new = 0.5 + np.array([[0.2, 0.1], [-0.4, 0.2]]) @ LOADINGS * 0.5
    result = fit.predict(new, n_refits=5)
    np.testing.assert_allclose(result.base, expit([-0.55, -1.7]), atol=1e-4)
    np.testing.assert_allclose(result.mean, result.treated - result.base)
    # Weights act on scores as the planted coefficients act on capabilities.
    for row, beta in zip(fit.weights.to_numpy(), (BASE, TREATED), strict=True):
        np.testing.assert_allclose(LOADINGS * 0.5 @ row, beta, rtol=1e-3)
    assert list(fit.weights.columns) == list("ABCD")


def test_sensitivity_is_the_derivative_of_the_gain():
    scores, base, treated, families = planted(np.random.default_rng(1))
    fit = fit_gain(training(scores, base, families), treated)
    at, step = scores[:2], 1e-5
    slope = fit.sensitivity(at)
    for j in range(4):
        moved = [fit.predict(at + sign * step * np.eye(4)[j], n_refits=2).mean for sign in (1, -1)]
        np.testing.assert_allclose((moved[0] - moved[1]) / (2 * step), slope[:, j], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_interval_covers_new_families(shared):
    rng = np.random.default_rng(2)
    inside, width = [], []
    for _ in range(25):
        scores, base, treated, families = planted(rng, n_families=14, size=3, shared=shared)
        seen = np.isin(families, [f"family {i}" for i in range(8)])
        fit = fit_gain(training(scores[seen], base[seen], families[seen]), treated[seen])
        result = fit.predict(scores[~seen], n_refits=10)
        true = (treated - base)[~seen]
        inside.extend((result.lower <= true) & (true <= result.upper))
        width.extend(result.upper - result.lower)
    # 450 models; the interval's floor of 0.003 makes it conservative on so clean a truth.
    assert np.mean(inside) >= 0.88
    assert np.mean(width) < 0.4


def test_interval_respects_pairing():
    """A shared error cancels in the gain; the same margins unpaired leave a wider interval."""
    scores, base, treated, families = planted(np.random.default_rng(3), noise=0.5)
    paired = fit_gain(training(scores, base, families), treated).predict(scores, n_refits=10)
    own, _, other, _ = planted(np.random.default_rng(3), noise=0.5, shared=0.0)
    assert np.array_equal(own, scores)
    apart = fit_gain(training(scores, base, families), other).predict(scores, n_refits=10)
    assert paired.correlation.mean() > 0.7 > 0.4 > apart.correlation.mean()
    assert (paired.upper - paired.lower).mean() < 0.75 * (apart.upper - apart.lower).mean()


def test_either_margin_is_the_two_view_interval():
    scores, base, treated, families = planted(np.random.default_rng(9))
    fit = fit_gain(training(scores, base, families), treated)
    method = TwoView(n_refits=10, random_state=3)
    covariance = error_covariance((fit.base, fit.treated), scores[:4], 10, np.random.default_rng(3))
    for i, law in enumerate((fit.base, fit.treated)):
        result = method.predict(law, scores[:4], level=0.5)
        angle = np.arcsin(np.sqrt([result.lower, result.upper]))
        half = 1.56 * norm.ppf(0.75) / norm.ppf(0.95) * np.sqrt(covariance[:, i, i])
        np.testing.assert_allclose((angle[1] - angle[0]) / 2, half, rtol=1e-6)


def test_with_a_scale_either_margin_is_the_conformal_interval_and_pairing_counts():
    scores, base, treated, families = planted(np.random.default_rng(9), noise=0.5)
    fit = fit_gain(training(scores, base, families), treated)
    single, double = (fit.predict(scores[:5], scale=scale) for scale in (0.8, 1.6))
    assert (single.upper - single.lower < double.upper - double.lower).all()
    assert single.correlation.mean() > 0.7
    refits = Refits((fit.base, fit.treated), scores[:5], forward=False)
    covariance = refits.covariance()[refits.n :]
    for i, law in enumerate((fit.base, fit.treated)):
        alone = Refits([law], scores[:5], forward=False)
        np.testing.assert_allclose(refits.centre()[:, i], alone.centre()[:, 0], atol=1e-6)
        ratio = covariance[:, i, i] / alone.covariance()[alone.n :, 0, 0]
        assert (ratio > 0.7).all()
        assert (ratio < 1.5).all()


def test_an_intervention_that_changes_nothing_gains_nothing_for_sure():
    scores, base, _, families = planted(np.random.default_rng(4))
    result = fit_gain(training(scores, base, families), base).predict(scores, n_refits=5)
    np.testing.assert_allclose(result.mean, 0, atol=1e-12)
    np.testing.assert_allclose([result.lower, result.upper], 0, atol=1e-3)


def test_models_without_both_scores_are_left_out():
    scores, base, treated, families = planted(np.random.default_rng(5))
    base[0], treated[1] = np.nan, np.nan
    fit = fit_gain(training(scores, base, families), treated)
    assert fit.n_models == len(base) - 2
    remaining = fit_gain(training(scores[2:], base[2:], families[2:]), treated[2:])
    np.testing.assert_allclose(fit.weights, remaining.weights)


def test_same_seed_same_numbers_and_json():
    scores, base, treated, families = planted(np.random.default_rng(6))
    fit = fit_gain(training(scores, base, families), treated)
    first, two = (fit.predict(scores[:3], n_refits=5, random_state=1).to_dict() for _ in range(2))
    assert json.dumps(first, allow_nan=False) == json.dumps(two)


def test_bad_input():
    scores, base, treated, families = planted(np.random.default_rng(7))
    whole = training(scores, base, families)
    with pytest.raises(FitError, match="treated has shape"):
        fit_gain(whole, treated[1:])
    for wrong in (100 * treated, treated - 1, np.where(treated < 0.5, np.inf, treated)):
        with pytest.raises(FitError, match="outside"):
            fit_gain(whole, wrong)
    with pytest.raises(FitError, match=r"row 1: the base score is .*divide by 100"):
        fit_gain(replace(whole, target=100 * base), treated)
    with pytest.raises(TooFewModelsError, match="parameters"):
        fit_gain(whole, np.where(np.arange(len(treated)) < 2, treated, np.nan))
    with pytest.raises(FitError, match="level is 90"):
        fit_gain(whole, treated).predict(scores, level=90)
    first = replace(whole, families=np.full(len(families), "only"))
    with pytest.raises(FitError, match="'only'"):
        fit_gain(first, treated).predict(scores)


def test_typical_path_lies_on_the_law():
    scores, base, treated, families = planted(np.random.default_rng(8))
    fit = fit_gain(training(scores, base, families), treated)
    path = typical_path(fit.treated, -2, 3, n_points=7)
    np.testing.assert_allclose(path.predictor, np.linspace(-2, 3, 7))
    np.testing.assert_allclose(linear_predictor(fit.treated, path.scores), path.predictor)
    # Typical: at the mean predictor it is the mean model.
    middle = linear_predictor(fit.treated, scores).mean()
    np.testing.assert_allclose(
        typical_path(fit.treated, middle, middle + 1, 2).scores[0], scores.mean(axis=0), atol=0.01
    )
    flat = replace(fit.base, best=replace(fit.base.best, theta=0 * fit.base.best.theta))
    with pytest.raises(DegenerateError, match="does not vary over the training models"):
        typical_path(flat, -1, 1)


def test_scores_below_zero_by_noise_alone_are_fitted():
    """A score from which chance is subtracted lies a little below 0 where a model guesses."""
    scores, base, treated, families = planted(np.random.default_rng(2))
    low = np.where(base == base.min(), -0.006, base)
    fit = fit_gain(training(scores, low, families), treated)
    assert np.isfinite(fit.predict(scores[:2], n_refits=2).mean).all()
    with pytest.raises(FitError, match="outside"):
        fit_gain(training(scores, low - 0.2, families), treated)

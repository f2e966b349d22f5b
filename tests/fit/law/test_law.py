"""Laws planted and found, their uncertainty, and fits that must not be returned silently."""

from functools import partial

import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from capspace.fit import ScalingLaw
from capspace.fit.errors import (
    DegenerateError,
    FitError,
    NotConvergedError,
    TooFewModelsError,
)
from capspace.fit.law import _refit
from capspace.fit.law._form import Form
from capspace.fit.law._law import _covariance
from capspace.fit.law._multistart import fit_many
from capspace.fit.law._refit import LawSettings, Training, fit_once, predict_with, refit

BETA = np.array([2.0, -1.0, 0.5])


def planted(n=80, noise=0.02, floor=0.0, ceiling=1.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    y = floor + (ceiling - floor) * expit(-0.5 + x @ BETA)
    return x, y + noise * rng.normal(size=n)


def fails_as_it_should(estimator):
    """The check draws 27 models of 30 capabilities; test_weights_repeat_models stands for it."""
    name = "check_sample_weight_equivalence_on_dense_data"
    return {name: "fewer models than parameters are refused"}


# Of few starts: what a check finds does not depend on their number, and there are 180 checks.
@parametrize_with_checks(
    [
        ScalingLaw(n_starts=5),
        ScalingLaw(link="sigmoid-floor", n_starts=5),
        ScalingLaw(link="linear", loss="huber", n_starts=5),
    ],
    expected_failed_checks=fails_as_it_should,
)
def test_scikit_learn_finds_nothing_to_complain_about(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("law", "levels"),
    [
        (ScalingLaw(), (0.0, 1.0)),
        (ScalingLaw(floor=0.25), (0.25, 1.0)),
        (ScalingLaw(link="sigmoid-floor"), (0.1, 1.0)),
        (ScalingLaw(floor=(0.0, 0.3), ceiling=(0.6, 1.0)), (0.15, 0.85)),
        (ScalingLaw(link="sigmoid-floor", loss="huber", delta=0.05), (0.1, 1.0)),
    ],
)
def test_a_planted_law_is_found(law, levels):
    x, y = planted(n=400, noise=0.01, floor=levels[0], ceiling=levels[1])
    law.fit(x, y)
    assert law.converged_
    np.testing.assert_allclose(law.coef_, BETA, atol=0.1)
    assert law.intercept_ == pytest.approx(-0.5, abs=0.06)
    assert (law.floor_, law.ceiling_) == pytest.approx(levels, abs=0.01)
    np.testing.assert_allclose(law.predict(x), law.curve(law.linear_predictor(x)))


def test_linear_is_least_squares_and_exp_finds_its_rate():
    x, _ = planted(n=60)
    y = 0.3 + x @ [0.1, -0.05, 0.02] + 0.01 * np.random.default_rng(1).normal(size=60)
    law = ScalingLaw(link="linear").fit(x, y)
    solved = np.linalg.lstsq(np.column_stack([np.ones(60), x]), y, rcond=None)[0]
    np.testing.assert_allclose(np.r_[law.intercept_, law.coef_], solved, rtol=1e-7)
    assert np.isnan(law.floor_)
    grown = np.exp(-1 + x @ [0.5, 0.2, -0.3])
    np.testing.assert_allclose(ScalingLaw(link="exp").fit(x, grown).coef_, [0.5, 0.2, -0.3])


@pytest.mark.slow
def test_the_covariance_is_that_of_repeated_fits():
    x, _ = planted(n=60)
    mean = expit(-0.5 + x @ BETA)
    rng = np.random.default_rng(5)
    thetas, covariances = [], []
    for _ in range(150):
        law = ScalingLaw(n_starts=6).fit(x, mean + 0.05 * rng.normal(size=60))
        thetas.append(np.r_[law.intercept_, law.coef_])
        covariances.append(law.covariance_)
    spread = np.sqrt(np.diag(np.cov(np.array(thetas).T)))
    stated = np.sqrt(np.diag(np.mean(covariances, axis=0)))
    np.testing.assert_allclose(stated, spread, rtol=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5, 15, 28, 34])
def test_the_best_of_many_starts_is_the_knife_edge_that_few_starts_find(seed):
    """Six strong models stand apart: a step past them fits better than any gentle slope."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(30, 3))
    c = x @ [0.55, 0.35, 0.75]
    y = np.where(c > np.sort(c)[-6], 0.8, 0.0) + 0.05 * rng.random(30)
    y = np.clip(y + 0.3 * expit(2 * x[:, 0] - 2) * (c < 0), 0, 1)
    best, few = ScalingLaw().fit(x, y), ScalingLaw(n_starts=6).fit(x, y)
    assert best.loss_ < 0.97 * few.loss_
    starts = rng.normal(size=(2000, 4)) * rng.choice([1, 5, 25, 125], size=(2000, 1))
    solution = fit_many(
        np.broadcast_to(x, (2000, 30, 3)),
        np.broadcast_to(y, (2000, 30)),
        np.ones((2000, 30)),
        starts,
        Form("sigmoid"),
    )
    assert best.loss_ <= solution.loss[solution.converged].min() * (1 + 1e-6)


def test_order_and_units_of_the_models_change_nothing():
    x, y = planted()
    law = ScalingLaw().fit(x, y)
    order = np.random.default_rng(0).permutation(len(y))
    np.testing.assert_allclose(ScalingLaw().fit(x[order], y[order]).coef_, law.coef_, rtol=1e-5)
    scaled = ScalingLaw().fit(x * [1e-3, 1.0, 1e3] + [5, 0, 700], y)
    np.testing.assert_allclose(scaled.coef_ * [1e-3, 1.0, 1e3], law.coef_, rtol=1e-5)


def test_weights_repeat_models():
    x, y = planted(n=40)
    weight = np.random.default_rng(0).integers(0, 4, size=40)
    weighted = ScalingLaw().fit(x, y, sample_weight=weight)
    repeated = ScalingLaw().fit(np.repeat(x, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-5)
    with pytest.raises(FitError, match="shape"):
        ScalingLaw().fit(x, y, sample_weight=np.ones(3))
    with pytest.raises(FitError, match="not negative"):
        ScalingLaw().fit(x, y, sample_weight=-np.ones(40))
    with pytest.warns(DeprecationWarning, match="sample_weight"):
        former = ScalingLaw().fit_weighted(x, y, weight)
    np.testing.assert_array_equal(former.coef_, weighted.coef_)


def test_fits_that_cannot_be_trusted_are_refused():
    x, y = planted(n=40)
    with pytest.raises(TooFewModelsError, match=r"n_samples = 3: too few models for the 4"):
        ScalingLaw().fit(x[:3], y[:3])
    with pytest.raises(TooFewModelsError, match="5 parameters"):
        ScalingLaw(link="sigmoid-floor").fit(x[:4], y[:4])
    with pytest.raises(DegenerateError, match=r"is 0.25 for every"):
        ScalingLaw().fit(x, np.full(40, 0.25))
    with pytest.raises(NotConvergedError, match="had not converged"):
        ScalingLaw(n_starts=1, max_iter=1).fit(x, y)
    with pytest.raises(FitError, match="wrong way round"):
        ScalingLaw(floor=(0.2, 0.0)).fit(x, y)
    with pytest.raises(FitError, match="not below ceiling"):
        ScalingLaw(floor=1.0).fit(x, y)
    with pytest.raises(FitError, match="link 'logit'"):
        ScalingLaw(link="logit").fit(x, y)
    with pytest.raises(FitError, match="loss 'l1'"):
        ScalingLaw(loss="l1").fit(x, y)
    with pytest.raises(FitError, match="infinite bound"):
        ScalingLaw(ceiling=(0.5, np.inf)).fit(x, y)


def test_as_many_models_as_parameters_leave_the_covariance_unknown():
    x, y = planted(n=4)
    law = ScalingLaw().fit(x, np.clip(y, 0.05, 0.95))
    assert np.isnan(law.covariance_).all()


def test_a_step_ends_without_running_for_ever():
    x = np.linspace(-1, 1, 30)[:, None]
    law = ScalingLaw().fit(x, (x[:, 0] > 0.1).astype(float))
    assert law.loss_ < 1e-10
    assert law.coef_[0] > 50


def test_same_seed_same_bytes_and_clones():
    x, y = planted(n=30, noise=0.3)
    once, other = ScalingLaw(random_state=3).fit(x, y), ScalingLaw(random_state=3).fit(x, y)
    assert once.coef_.tobytes() == other.coef_.tobytes()
    assert clone(once).get_params() == once.get_params()


def test_refits_equal_fits_of_the_weighted_models_or_say_that_they_did_not_converge(monkeypatch):
    rng = np.random.default_rng(0)
    scores = np.clip(0.5 + 0.2 * rng.normal(size=(40, 1)) @ np.ones((1, 5)), 0, 1)
    scores = np.clip(scores + 0.05 * rng.normal(size=(40, 5)), 0, 1)
    scores[::9, 2] = np.nan
    y = expit(6 * (np.nanmean(scores, axis=1) - 0.5)) + 0.02 * rng.normal(size=40)
    training = Training(
        scores,
        y,
        np.repeat([f"f{i}" for i in range(8)], 5),
        np.zeros(5),
        tuple("abcde"),
        LawSettings(n_components=2),
    )
    fitted = fit_once(training)
    weight = np.ones((8, 40))
    for i in range(8):
        weight[i, 5 * i : 5 * i + 5] = 0
    together = refit(fitted, weight, scores)
    for i in range(8):
        alone = fit_once(training.part(weight[i] > 0))
        np.testing.assert_allclose(together[i], predict_with(alone, scores), atol=1e-4)
    law = ScalingLaw.of(fitted)
    np.testing.assert_allclose(law.predict(fitted.capabilities), predict_with(fitted, scores))
    assert np.isfinite(law.covariance_).all()
    with pytest.raises(TooFewModelsError, match="without one family"):
        refit(fitted, np.eye(40)[:1], scores)
    monkeypatch.setattr(_refit, "fit_many", partial(fit_many, max_iter=1))
    with pytest.raises(NotConvergedError, match=r"^8 of 8 refits did not converge; use fewer"):
        refit(fitted, weight, scores)
    assert np.isnan(refit(fitted, weight, scores, strict=False)).all()


def test_settings_that_fit_nothing_are_refused_in_one_line():
    x, y = planted(n=20)
    for settings, message in (
        ({"loss": "huber", "delta": np.nan}, "delta is nan; it must be above 0"),
        ({"loss": "huber", "delta": -1}, "delta is -1; it must be above 0"),
        ({"loss": "huber", "delta": "1"}, "delta is '1'; it must be a number above 0"),
        ({"random_state": -1}, "random_state is -1; it must be a whole number of at least 0"),
        ({"random_state": "0"}, "random_state is '0'"),
        ({"random_state": 1.5}, r"random_state is 1\.5"),
        ({"n_starts": 0}, "n_starts is 0; it must be at least 1"),
        ({"n_starts": 9.5}, r"n_starts is 9\.5; it must be a whole number"),
    ):
        with pytest.raises(FitError, match=message):
            ScalingLaw(**settings).fit(x, y)
    for wrong in (0, 2.5, None, "3"):
        with pytest.raises(FitError, match="n_components is"):
            LawSettings(n_components=wrong)


def test_what_the_data_do_not_tell_has_no_covariance():
    x, y = np.zeros((6, 1)), np.linspace(0.2, 0.8, 6)
    covariance = _covariance(x, y, np.ones(6), np.zeros(2), Form("sigmoid"))
    assert covariance.shape == (2, 2)
    assert np.isnan(covariance).all()


def test_an_exponential_law_is_its_formula():
    x = np.linspace(-1, 1, 12)[:, None]
    law = ScalingLaw(link="exp").fit(x, np.exp(0.5 * x[:, 0] - 1.5))
    assert law.predict([[0.4]]) == pytest.approx([np.exp(-1.3)], rel=1e-6)
    assert np.isfinite(law.curve([0.0, 1e6])).all()

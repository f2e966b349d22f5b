"""Intervals cover what they promise, where they promise it, and batches equal single folds."""

import numpy as np
import pytest
from scipy.special import expit

from capspace.fit import Conformal, JackknifePlus, TwoView
from capspace.fit.errors import DegenerateError, FitError
from capspace.fit.law._refit import LawSettings, Training, fit_once
from capspace.fit.law.intervals import soft_logit

N_FAMILIES, PER_FAMILY, P = 12, 4, 6


def planted(seed, noise=0.03, family_effect=0.25, n_families=N_FAMILIES):
    """Families along one strong and one weak axis; the law has an effect per family."""
    rng = np.random.default_rng(seed)
    loadings = np.array([rng.uniform(0.5, 1.0, P), rng.normal(0, 0.4, P)])
    family = np.repeat(np.arange(n_families), PER_FAMILY)
    z = rng.normal(size=(n_families, 2))[family] * 0.7 + 0.7 * rng.normal(size=(len(family), 2))
    scores = np.clip(0.5 + 0.12 * z @ loadings + 0.01 * rng.normal(size=(len(family), P)), 0, 1)
    effect = family_effect * rng.normal(size=n_families)[family]
    y = expit(-0.5 + 1.2 * z[:, 0] + 0.6 * z[:, 1] + effect)
    y = np.clip(y + noise * rng.normal(size=len(family)), 0, 1)
    return scores, y, np.array([f"family {i}" for i in family])


def training(scores, y, families, k=2):
    return Training(scores, y, families, np.zeros(P), tuple("abcdef"), LawSettings(k, n_starts=20))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "low", "high"),
    [
        (TwoView(n_refits=10), 0.86, 1.0),
        (JackknifePlus(), 0.84, 0.97),
        (Conformal(), 0.86, 0.97),
    ],
)
def test_new_families_are_covered(method, low, high):
    """Half of the families predict the other half, over planted tables."""
    inside, widths = [], []
    for seed in range(25):
        scores, y, families = planted(seed, n_families=24)
        old = np.isin(families, [f"family {i}" for i in range(12)])
        fitted = fit_once(training(scores[old], y[old], families[old]))
        interval = method.predict(fitted, scores[~old], level=0.9)
        inside.extend((interval.lower <= y[~old]) & (y[~old] <= interval.upper))
        widths.extend(interval.upper - interval.lower)
        assert ((interval.lower <= interval.mean) & (interval.mean <= interval.upper)).all()
    assert low <= np.mean(inside) <= high
    assert np.mean(widths) < 0.45


@pytest.mark.slow
@pytest.mark.parametrize("method", [TwoView(n_refits=6), JackknifePlus(), Conformal(scale=1.1)])
def test_leaving_all_families_out_at_once_equals_one_at_a_time(method):
    scores, y, families = planted(0, n_families=6)
    scores[::5, 1] = np.nan
    data = training(scores, y, families)
    together = method.leave_family_out(fit_once(data))
    for family in np.unique(families):
        out = families == family
        alone = method.predict(fit_once(data.part(~out)), scores[out])
        np.testing.assert_allclose(together.mean[out], alone.mean, atol=2e-4)
        np.testing.assert_allclose(together.lower[out], alone.lower, atol=1e-3)
        np.testing.assert_allclose(together.upper[out], alone.upper, atol=1e-3)


@pytest.mark.parametrize("method", [TwoView(n_refits=6), JackknifePlus(), Conformal()])
def test_a_higher_level_is_wider_and_stays_in_range(method):
    scores, y, families = planted(1)
    fitted = fit_once(training(scores, y, families))
    narrow, wide = (method.predict(fitted, scores[:9], level=level) for level in (0.5, 0.95))
    assert (narrow.upper - narrow.lower < wide.upper - wide.lower).all()
    assert wide.lower.min() >= 0
    assert wide.upper.max() <= 1
    with pytest.raises(FitError, match="level is 90"):
        method.predict(fitted, scores, level=90)


def test_the_two_view_interval_is_its_formula():
    """Rebuild τ² and s² from single fits of both views."""
    scores, y, families = planted(2, n_families=5)
    data = training(scores, y, families)
    soft = training(soft_logit(scores, np.zeros(P)), y, families)
    reach = float(soft_logit(np.array(1.0), np.array(0.0)))
    soft = type(soft)(**{**vars(soft), "clip": (-reach, reach)})
    method = TwoView(n_refits=3, random_state=7)
    new = scores[:4] * 0.9
    got = method.predict(fit_once(data), new, level=0.8)

    from capspace.fit.law._refit import predict_with, refit

    def g(p):
        return np.arcsin(np.sqrt(np.clip(p, 0, 1)))

    rng = np.random.default_rng(7)
    names, family = np.unique(families, return_inverse=True)
    centre = g(predict_with(fit_once(data), new))
    tau, spread = [], []
    for view, at in ((data, new), (soft, soft_logit(new, np.zeros(P)))):
        draws = rng.exponential(size=(3, len(names)))
        outside = np.empty(len(y))
        for i in range(len(names)):
            out = family == i
            outside[out] = predict_with(fit_once(view.part(~out)), view.scores[out])
        tau.append(np.mean((g(outside) - g(y)) ** 2))
        refits = refit(fit_once(view), draws[:, family], at)
        spread.append(np.mean((g(refits) - centre) ** 2, axis=0))
    half = 1.56 * 1.2815515655 / 1.6448536270
    half = half * np.sqrt(np.mean(tau) + np.mean(spread, axis=0) + 0.003)
    np.testing.assert_allclose(got.lower, np.sin(np.clip(centre - half, 0, 2)) ** 2, atol=1e-3)
    np.testing.assert_allclose(
        got.upper, np.sin(np.clip(centre + half, 0, np.pi / 2)) ** 2, atol=1e-3
    )


def test_jackknife_plus_is_its_definition():
    from capspace.fit.law._refit import predict_with

    scores, y, families = planted(3, n_families=5)
    data = training(scores, y, families)
    got = JackknifePlus().predict(fit_once(data), scores[:3], level=0.8)
    low, high = [], []
    for family in np.unique(families):
        out = families == family
        without = fit_once(data.part(~out))
        for i in np.flatnonzero(out):
            residual = abs(y[i] - predict_with(without, scores[[i]])[0])
            low.append(predict_with(without, scores[:3]) - residual)
            high.append(predict_with(without, scores[:3]) + residual)
    n = len(y)
    lower = np.sort(low, axis=0)[int(np.floor(0.2 * (n + 1))) - 1]
    upper = np.sort(high, axis=0)[int(np.ceil(0.8 * (n + 1))) - 1]
    np.testing.assert_allclose(got.lower, np.clip(lower, 0, 1), atol=1e-3)
    np.testing.assert_allclose(got.upper, np.clip(upper, 0, 1), atol=1e-3)


@pytest.mark.parametrize("method", [TwoView(n_refits=6), JackknifePlus(), Conformal()])
def test_unsure_inputs_widen_the_interval(method):
    scores, y, families = planted(4)
    fitted = fit_once(training(scores, y, families))
    new = scores[:5]
    rng = np.random.default_rng(0)
    spread = new[:, None] + 0.1 * rng.normal(size=(5, 32, P))
    sure, unsure = method.predict(fitted, new), method.predict(fitted, new, spread=spread)
    np.testing.assert_allclose(sure.mean, unsure.mean)
    assert (unsure.upper - unsure.lower > sure.upper - sure.lower).all()


def test_the_same_seed_gives_the_same_bytes():
    scores, y, families = planted(5)
    fitted = fit_once(training(scores, y, families))
    once, same, other = (
        TwoView(n_refits=5, random_state=s).predict(fitted, scores[:6]).lower.tobytes()
        for s in (1, 1, 2)
    )
    assert once == same != other


def test_soft_logit_is_symmetric_with_slope_one_in_the_middle():
    chance = np.array(0.25)
    middle = 0.25 + 0.75 / 2
    assert soft_logit(np.array(middle), chance) == pytest.approx(0)
    step = 1e-6
    up = soft_logit(np.array(middle + 0.75 * step), chance)
    assert up / step == pytest.approx(1, rel=1e-6)
    assert soft_logit(np.array(0.1), chance) == soft_logit(chance, chance)
    assert soft_logit(np.array(1.0), chance) == pytest.approx(-soft_logit(chance, chance))


def test_too_few_families_are_refused():
    scores, y, families = planted(6, n_families=2)
    single = np.full(len(y), "only")
    for method in (TwoView(n_refits=3), JackknifePlus(), Conformal()):
        with pytest.raises(DegenerateError, match="'only'"):
            method.predict(fit_once(training(scores, y, single)), scores)
        with pytest.raises(DegenerateError, match="needs three"):
            method.leave_family_out(fit_once(training(scores, y, families, k=1)))


def test_a_seed_that_is_none_is_refused():
    scores, y, families = planted(4)
    fitted = fit_once(training(scores, y, families))
    for wrong in (-1, "0", 0.5):
        with pytest.raises(FitError, match=r"random_state is .*; it must be a whole number"):
            TwoView(n_refits=2, random_state=wrong).predict(fitted, scores[:2])

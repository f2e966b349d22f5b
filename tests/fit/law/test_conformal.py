"""Conformal intervals are their formula, and are learned from the training models alone."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import clone

from capspace.fit import (
    Conformal,
    Form,
    LawSettings,
    TargetLaw,
    Training,
    TwoView,
    conformal_scale,
    load_reference,
)
from capspace.fit.errors import DegenerateError, FitError, NotConvergedError
from capspace.fit.law import _refit
from capspace.fit.law._calibration import Refits, jackknife, scale_of, typical_size
from capspace.fit.law._multistart import fit_many
from capspace.fit.law._refit import fit_once, predict_with
from capspace.fit.law._views import softened
from capspace.fit.law.conformal import joint_prediction

P = 7


def planted(seed, *, tails=np.inf, n_families=14, per_family=4):
    """Families that grow in compute along one strong axis; the law misses each by its own bit."""
    rng = np.random.default_rng(seed)
    loadings = np.array([rng.uniform(0.5, 1.0, P), rng.normal(0, 0.35, P), rng.normal(0, 0.15, P)])
    family = np.repeat(np.arange(n_families), per_family)
    n = len(family)
    compute = np.tile(np.linspace(-0.5, 0.9, per_family), n_families)
    compute += rng.uniform(-1.5, 1, n_families)[family] + 0.1 * rng.normal(size=n)
    own = rng.normal(size=(n_families, 3))[family] * [0.3, 0.7, 0.7]
    z = own + rng.normal(size=(n, 3)) * [0, 0.3, 0.3] + np.outer(compute, [1, 0, 0])
    scores = np.clip(0.45 + 0.13 * z @ loadings + 0.012 * rng.normal(size=(n, P)), 0, 1)
    miss = (
        0.3 * rng.normal(size=n_families)
        if np.isinf(tails)
        else 0.25 * rng.standard_t(tails, size=n_families)
    )
    p = expit(rng.uniform(-1.5, 0) + rng.uniform(1, 2.5) * z[:, 0] + 0.5 * z[:, 1] + miss[family])
    names = np.array([f"family {i:02d}" for i in family])
    return training(scores, rng.binomial(200, p) / 200, names, compute)


def training(scores, y, families, order=None):
    settings = LawSettings(3, form=Form("sigmoid"), n_starts=40)
    return Training(scores, y, families, np.zeros(P), tuple("abcdefg"), settings, order=order)


@pytest.mark.slow
@pytest.mark.parametrize("tails", [np.inf, 2.0], ids=["normal", "heavy"])
def test_stronger_models_are_covered(tails):
    """The weaker six tenths in compute predict the others; 90% intervals, 20 planted tables."""
    inside, width, wide = [], [], []
    for seed in range(20):
        data = planted(seed, tails=tails)
        old = data.order <= np.quantile(data.order, 0.6)
        fitted, new = fit_once(data.part(old)), data.part(~old)
        got = Conformal().predict(fitted, new.scores)
        inside.extend((got.lower <= new.target) & (new.target <= got.upper))
        width.extend(got.upper - got.lower)
        other = TwoView(n_refits=10).predict(fitted, new.scores)
        wide.extend(other.upper - other.lower)
    assert 0.84 <= np.mean(inside) <= 0.95
    assert np.mean(width) < np.mean(wide) * (1 if np.isinf(tails) else 1.1)


def test_the_interval_is_its_formula():
    """Rebuild s from single fits of both views, and the bounds for a given scale."""
    data = planted(1, n_families=5)
    fitted, new = fit_once(data), data.scores[:3] * 0.95
    got = Conformal(scale=1.3).predict(fitted, new, level=0.8)

    def g(p):
        return np.arcsin(np.sqrt(np.clip(p, 0, 1)))

    views = [(fitted, new), (softened(fitted), None)]
    views[1] = (views[1][0], soft(new))
    names = np.unique(data.families)
    errors, unsure, at = [], [], []
    for law, x in views:
        left_out = []
        for name in names:
            out = law.training.families == name
            without = fit_once(law.training.part(~out))
            left_out.append(g(predict_with(without, x)))
            truth = g(law.training.target[out])
            errors.extend(g(predict_with(without, law.training.scores[out])) - truth)
        squares = (np.array(left_out) - np.mean(left_out, axis=0)) ** 2
        unsure.append(squares.sum(axis=0) - squares.max(axis=0))
        at.append(g(predict_with(law, x)))
    tau = np.sqrt(np.pi / 2) * np.mean(np.abs(errors))
    variance = tau**2 + np.mean(unsure, axis=0) + 0.003 + (at[0] - at[1]) ** 2 / 4
    half = 1.3 * 1.2815515655 / 1.6448536270 * np.sqrt(variance * (1 + 4 / len(data.target)))
    centre = (at[0] + at[1]) / 2
    np.testing.assert_allclose(got.mean, predict_with(fitted, new))
    np.testing.assert_allclose(got.lower, np.sin(np.clip(centre - half, 0, 2)) ** 2, atol=1e-3)
    up = np.clip(centre + half, 0, np.pi / 2)
    np.testing.assert_allclose(got.upper, np.sin(up) ** 2, atol=1e-3)


@pytest.mark.parametrize("scale", [0.7, 1.15, 2.0])
def test_what_the_scores_leave_open_is_not_scaled_as_errors_of_the_law_are(scale):
    """A known variance of the inputs has the normal quantile, whatever the law's errors teach."""
    data = planted(1, n_families=5)
    fitted, new = fit_once(data), data.scores[:4] * 0.95
    rng = np.random.default_rng(0)
    spread = np.clip(new[:, None] + 0.08 * rng.normal(size=(4, 64, P)), 0, 1)

    def g(p):
        return np.arcsin(np.sqrt(np.clip(p, 0, 1)))

    mean = predict_with(fitted, new)
    completed = predict_with(fitted, spread.reshape(-1, P)).reshape(4, 64)
    inputs = np.mean((g(completed) - g(mean)[:, None]) ** 2, axis=1)
    at = {"scale": scale, "spread": spread}
    names = np.array(["own a", "own b", "own c", "own d"])
    known = joint_prediction(fitted, new, names, scale=scale).deviation_covariance
    noisy = joint_prediction(fitted, new, names, **at)
    np.testing.assert_allclose(np.diag(noisy.deviation_covariance - known), inputs)
    half = 1.6448536270 * np.sqrt(np.diag(known) + inputs)
    got = Conformal(scale=scale).predict(fitted, new, spread=spread)
    lower = np.sin(np.clip(noisy.centre - half, 0, 2)) ** 2
    np.testing.assert_allclose(got.lower, np.minimum(lower, mean), atol=1e-6)


def soft(scores):
    q = np.clip(scores, 0.0, 1.0)
    return 0.5 * 0.6 * np.log((q + 0.1) / (1.1 - q))


def test_the_scale_is_the_quantile_of_errors_by_family_and_of_later_models():
    """Each later model is predicted by a law of the models before it only."""
    data = planted(2, n_families=9)
    fitted = fit_once(data)
    refits = Refits([fitted], data.scores[:0], forward=True)
    bases = [origin.basis for origin in refits.origins]
    assert [k.sum() for k in bases] == [25, 29, 32]  # 18 and 22 of 36 are fewer than 25
    assert all(data.order[k].max() < data.order[~k].min() for k in bases)
    forward = refits.forward()
    later = ~bases[0]
    earlier = fit_once(data.part(bases[0]))
    both = [predict_with(earlier, data.scores[later])]
    both.append(predict_with(softened(earlier), soft(data.scores[later])))
    centre = np.arcsin(np.sqrt(both)).mean(axis=0)
    np.testing.assert_allclose(forward.centre[: later.sum(), 0], centre, atol=1e-3)
    assert len(forward.residual) == sum((~k).sum() for k in bases)
    expected = scale_of(
        *(
            np.abs(errors.residual[:, 0]) / np.sqrt(errors.covariance[:, 0, 0])
            for errors in (refits.leave_family_out(), forward)
        )
    )
    assert conformal_scale([fitted]) == expected
    learned = Conformal().predict(fitted, data.scores[:4])
    given = Conformal(scale=expected).predict(fitted, data.scores[:4])
    np.testing.assert_allclose(learned.lower, given.lower)
    np.testing.assert_allclose(learned.upper, given.upper)


def test_half_of_the_weight_goes_to_each_way_of_leaving_out():
    few, many = np.array([5.0] * 10), np.linspace(0, 1, 1000)
    assert scale_of(few, many) == 5.0
    assert scale_of(many, np.empty(0)) == pytest.approx(0.9, abs=0.01)
    # Of one group a fifth is a tenth of the weight.
    mixed = np.r_[np.zeros(810), np.ones(190)]
    assert scale_of(mixed, np.zeros(1000)) == 0.0
    assert scale_of(np.r_[np.zeros(790), np.ones(210)], np.zeros(1000)) == 1.0


def test_a_few_scores_ask_for_a_higher_quantile():
    assert scale_of(np.arange(1.0, 21), np.empty(0)) == 19.0
    assert scale_of(np.arange(1.0, 6), np.empty(0)) == 5.0


def test_the_target_of_the_predicted_models_is_not_looked_at():
    """Scores of other models, however wild, move neither scale nor interval of one."""
    data = planted(3)
    old = data.order <= np.quantile(data.order, 0.7)
    fitted = fit_once(data.part(old))
    new = data.scores[~old]
    whole = Conformal().predict(fitted, new)
    alone = Conformal().predict(fitted, new[:1])
    np.testing.assert_allclose(whole.lower[0], alone.lower[0])


def test_the_order_of_the_models_does_not_matter():
    data = planted(4, n_families=6)
    turned = data.part(np.arange(len(data.target)) >= 0)
    shuffle = np.random.default_rng(0).permutation(len(data.target))
    turned = replace(
        data,
        scores=data.scores[shuffle],
        target=data.target[shuffle],
        families=data.families[shuffle],
        order=data.order[shuffle],
    )
    given, reversed_ = (Conformal().predict(fit_once(d), data.scores[:3]) for d in (data, turned))
    np.testing.assert_allclose(given.lower, reversed_.lower, atol=2e-3)
    np.testing.assert_allclose(given.upper, reversed_.upper, atol=2e-3)


def test_models_of_unknown_compute_are_predicted_and_never_fitted_on():
    data = planted(5)
    unknown = np.arange(len(data.target)) % 4 == 0
    data = replace(data, order=np.where(unknown, np.nan, data.order))
    refits = Refits([fit_once(data)], data.scores[:0], forward=True)
    assert refits.origins
    assert not any(origin.basis[unknown].any() for origin in refits.origins)
    mostly = replace(data, order=np.where(np.arange(len(unknown)) % 4, np.nan, data.order))
    fitted = fit_once(mostly)
    first = fitted.capabilities[:, 0]
    for origin in Refits([fitted], data.scores[:0], forward=True).origins:
        assert first[origin.basis].max() <= first[~origin.basis].min()


def test_leaving_families_out_learns_each_scale_from_the_others():
    data = planted(6, n_families=8)
    fitted = fit_once(data)
    wild = replace(data, target=np.where(data.families == "family 03", 1.0, data.target))
    learned = Conformal().leave_family_out(fitted)
    assert (learned.lower <= learned.mean).all()
    assert (learned.mean <= learned.upper).all()
    own = Conformal().leave_family_out(fit_once(wild))
    out = data.families == "family 03"
    assert np.mean((learned.lower <= data.target) & (data.target <= learned.upper)) > 0.7
    assert np.isfinite(own.upper[out]).all()


def test_a_refit_without_a_family_that_does_not_converge_is_refused(monkeypatch):
    fitted = fit_once(planted(9, n_families=5))
    monkeypatch.setattr(_refit, "fit_many", partial(fit_many, max_iter=1))
    with pytest.raises(NotConvergedError, match="a refit without one family did not converge"):
        Conformal().predict(fitted, fitted.training.scores[:1])


def test_an_origin_of_which_a_refit_did_not_converge_tells_nothing_of_the_others():
    refits = Refits([fit_once(planted(2, n_families=9))], np.empty((0, P)), forward=True)
    whole, first = refits.forward(), refits.origins[0]
    refits.angles[:, :, first.left_out[-1]] = np.nan
    rest, n_first = refits.forward(), int((~first.basis).sum())
    assert len(whole.residual) > len(rest.residual) > 0
    for name in ("model", "centre", "residual", "covariance"):
        np.testing.assert_array_equal(getattr(rest, name), getattr(whole, name)[n_first:])


def test_targets_at_chance_and_laws_that_learned_nothing_are_refused():
    data = planted(7)
    single = np.where(data.families == "family 01", data.target, 0.0)
    for y, count in ((data.target * 1e-2, "0 of the"), (single, "4 of the")):
        law = fit_once(replace(data, target=y))
        for call in (
            lambda law=law: Conformal().predict(law, data.scores[:1]),
            lambda law=law: Conformal().leave_family_out(law),
        ):
            with pytest.raises(DegenerateError, match=f"{count} 56 models to fit on score clearly"):
                call()
    best = np.argsort(fit_once(data).capabilities[:, 0])[-4:]
    only = np.zeros(len(data.target))
    only[best] = 0.5
    with pytest.raises(DegenerateError, match="not only the most capable"):
        Conformal().predict(fit_once(replace(data, target=only)), data.scores[:1])
    noise = np.random.default_rng(1).uniform(size=56)
    law = fit_once(replace(data, target=noise))
    with pytest.raises(DegenerateError, match="the law has learned nothing"):
        Conformal().predict(law, data.scores[:1])
    with pytest.raises(DegenerateError, match="no target is left to learn a scale from"):
        conformal_scale([law])
    with pytest.raises(DegenerateError, match="no law is given"):
        conformal_scale([])
    assert conformal_scale([law, fit_once(data)]) == conformal_scale([fit_once(data)])


def test_a_scale_must_be_above_zero():
    fitted = fit_once(planted(8, n_families=4))
    for wrong in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(FitError, match="scale is"):
            Conformal(scale=wrong).predict(fitted, fitted.training.scores[:1])
    assert clone(Conformal(scale=1.2)).scale == 1.2


def test_one_influential_family_sets_no_width():
    rng = np.random.default_rng(0)
    left_out = 0.01 * rng.normal(size=(1, 2, 12, 3))
    usual = jackknife(left_out)
    left_out[:, :, 4] += 5.0
    left_out -= left_out.mean(axis=2, keepdims=True)
    assert jackknife(left_out).max() < 12 * 5.0**2 / 12**2 * 1.2
    assert usual.max() < 0.01
    errors = np.r_[np.zeros(99), 10.0]
    assert typical_size(errors) < 0.2 < np.sqrt(np.mean(errors**2))
    assert typical_size(rng.normal(size=100_000)) == pytest.approx(1, abs=0.02)


@pytest.mark.slow
def test_the_scale_of_the_packaged_study_is_what_its_targets_teach():
    reference = load_reference("study-2024")
    laws = [TargetLaw(name).fit(reference).fitted_ for name in reference.targets]
    assert reference.about.interval_scale == pytest.approx(conformal_scale(laws), abs=0.005)

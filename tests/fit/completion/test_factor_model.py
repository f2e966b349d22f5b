"""The factor model recovers planted loadings, completes hidden cells, and knows how sure it is."""

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import subspace_angles
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from capspace.fit import BayesianFactorModel, score_to_z, z_to_score
from capspace.fit.errors import DegenerateError, FitError, UnknownNameError


def planted(n=150, p=40, missing=0.6, seed=0, noise="gaussian"):
    """A general factor and two smaller ones, with noise of scale 0.4 and gaps."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    loadings = rng.normal(size=(p, 3)) * [0.25, 0.4, 0.3] + [0.9, 0, 0]
    truth = x @ loadings.T + rng.normal(size=p)
    tails = rng.standard_t(5, size=(n, p)) if noise == "student" else rng.normal(size=(n, p))
    whole = truth + 0.4 * tails
    table = np.where(rng.random((n, p)) < missing, np.nan, whole)
    return table, whole, x, loadings


@pytest.mark.slow
@parametrize_with_checks([BayesianFactorModel(), BayesianFactorModel(noise="gaussian")])
def test_scikit_learn_finds_nothing_to_complain_about(estimator, check):
    check(estimator)


@pytest.mark.parametrize("noise", ["student", "gaussian"])
def test_planted_loadings_are_recovered(noise):
    table, _, x, loadings = planted()
    model = BayesianFactorModel(noise=noise).fit(table)
    angles = subspace_angles((model.components_ * model.scale_).T, loadings)
    assert np.degrees(angles).max() < 20
    assert model.change_ < 0.01
    assert model.components_[0].sum() > 0
    places = model.transform(table)
    fitted = np.column_stack([np.ones(len(x)), places])
    left = x[:, 0] - fitted @ np.linalg.lstsq(fitted, x[:, 0], rcond=None)[0]
    assert left.std() < 0.4


@pytest.mark.parametrize(("noise", "quantile"), [("student", 2.015), ("gaussian", 1.645)])
def test_intervals_of_hidden_cells_cover(noise, quantile):
    table, whole, *_ = planted(noise=noise)
    done = BayesianFactorModel(noise=noise).fit(table).complete(table)
    hidden = np.isnan(table)
    off = np.abs(done.mean - whole)[hidden]
    assert np.sqrt(np.mean(off**2)) < 0.65
    assert np.mean(off < quantile * np.sqrt(done.variance[hidden])) == pytest.approx(0.9, abs=0.03)


def test_variance_is_wider_where_less_is_known():
    table, *_ = planted()
    model = BayesianFactorModel().fit(table)
    row = table[:1].copy()
    row[:] = np.nan
    row[0, :2] = 0.5
    few = model.complete(row).variance
    row[0, :20] = 0.5
    assert (model.complete(row).variance < few).all()


def test_student_noise_is_hardly_moved_by_outliers():
    table, whole, *_ = planted()
    rng = np.random.default_rng(5)
    wrong = ~np.isnan(table) & (rng.random(table.shape) < 0.06)
    spoiled = table + np.where(wrong, rng.choice([-6.0, 6.0], table.shape), 0.0)
    hidden = np.isnan(table)
    errors = {}
    for noise in ("student", "gaussian"):
        done = BayesianFactorModel(noise=noise).fit(spoiled).complete(spoiled)
        errors[noise] = np.median(np.abs(done.mean - whole)[hidden])
    assert errors["student"] < 0.85 * errors["gaussian"]


def test_rows_in_another_order_and_repeated_rows_of_less_weight_change_nothing():
    table, *_ = planted(n=60, p=15)
    model = BayesianFactorModel().fit(table)
    order = np.random.default_rng(0).permutation(60)
    other = BayesianFactorModel().fit(table[order])
    np.testing.assert_allclose(other.complete(table).mean, model.complete(table).mean, atol=1e-6)
    twice = BayesianFactorModel().fit(np.vstack([table, table]), sample_weight=np.full(120, 0.5))
    np.testing.assert_allclose(twice.complete(table).mean, model.complete(table).mean, atol=1e-6)


def test_a_frame_may_hold_some_of_the_columns():
    table, *_ = planted(n=60, p=6, missing=0.2)
    frame = pd.DataFrame(table, columns=list("abcdef"))
    model = clone(BayesianFactorModel(n_components=2)).fit(frame)
    assert list(model.feature_names_in_) == list("abcdef")
    part = frame[["c", "a"]].assign(unknown=1.0)
    masked = frame.copy()
    masked[["b", "d", "e", "f"]] = np.nan
    np.testing.assert_allclose(model.complete(part).mean, model.complete(masked).mean)
    assert model.place(part).covariance.shape == (60, 2, 2)
    assert np.isnan(model.transform(frame * np.nan)).all()
    assert list(model.get_feature_names_out()) == ["bayesianfactormodel0", "bayesianfactormodel1"]
    with pytest.raises(UnknownNameError, match=r"none of A, z is a column.*it has a, b"):
        model.place(pd.DataFrame({"A": [1.0], "z": [1.0]}))


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ([[1.0, np.nan], [2.0, np.nan]], DegenerateError, "column 1 is missing for every row"),
        ([[1.0, 2.0], [np.nan, np.nan]], DegenerateError, "row 2 has no cell"),
        ([[1.0, 2.0]], ValueError, "minimum of 2"),
    ],
)
def test_tables_that_cannot_be_fitted_are_named(table, error, message):
    with pytest.raises(error, match=message):
        BayesianFactorModel().fit(np.array(table))


def test_parameters_out_of_range_are_named():
    table, *_ = planted(n=20, p=4, missing=0.1)
    with pytest.raises(FitError, match="noise 'studnet' is none of student, gaussian; did you"):
        BayesianFactorModel(noise="studnet").fit(table)
    with pytest.raises(FitError, match="n_components is 0"):
        BayesianFactorModel(n_components=0).fit(table)
    with pytest.raises(FitError, match="n_sweeps is 0; it must be at least 1"):
        BayesianFactorModel(n_sweeps=0).fit(table)
    with pytest.raises(FitError, match="sample_weight"):
        BayesianFactorModel().fit(table, sample_weight=-np.ones(20))
    model = BayesianFactorModel(n_components=1, n_sweeps=2).fit(table)
    for wrong in (table[:, 1:], table[0]):
        with pytest.raises(FitError, match=r"X has shape .*, expected \(n, 4\); pass a DataFrame"):
            model.complete(wrong)


def test_scores_go_to_the_scale_of_the_fit_and_back():
    scores = np.array([0.0, 0.25, 1.0, np.nan])
    np.testing.assert_allclose(z_to_score(score_to_z(scores)), scores, atol=1e-12)
    assert score_to_z(0.5) == pytest.approx(0.0)
    assert score_to_z(0.9) == pytest.approx(np.log(0.92 / 0.12))
    assert z_to_score([-9.0, 9.0]).tolist() == [0.0, 1.0]
    rating = np.array([[0.5, 1400.0]])
    np.testing.assert_allclose(z_to_score(score_to_z(rating, [False, True]), [False, True]), rating)

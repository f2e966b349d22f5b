"""Spaces planted and found; the study's numbers; places from part of the benchmarks."""

import json

import numpy as np
import pandas as pd
import pytest
from checkout import SHARED
from scipy.linalg import subspace_angles
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from capspace.fit import CapabilitySpace, ScoreTable, analyse_space
from capspace.fit.errors import (
    DegenerateError,
    FitError,
    NotConvergedError,
    TooFewModelsError,
    UnknownNameError,
)
from capspace.fit.space._factor import fit_factor_model
from capspace.fit.space._imputation import fit_spaces, orient
from capspace.fit.table.readers import read_table

needs_study = pytest.mark.skipif(
    not (SHARED / "paper/expected.json").is_file(), reason="the study's tables are not in ../shared"
)


def planted(n=300, p=8, k=3, noise=0.02, seed=0):
    """Scores x = mean + z W + noise with strengths falling from 0.25, all loadings known."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(p, k)))[0].T
    axes[0] = np.abs(axes[0])
    axes = np.linalg.qr(axes.T)[0].T
    z = rng.normal(size=(n, k)) * np.array([0.25, 0.12, 0.06])[:k]
    mean = rng.uniform(0.4, 0.6, size=p)
    return mean + z @ axes + noise * rng.normal(size=(n, p)), z, axes, mean


@pytest.mark.slow
@parametrize_with_checks([CapabilitySpace(), CapabilitySpace(estimator="pca")])
def test_scikit_learn_finds_nothing_to_complain_about(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ["factor", "pca"])
def test_a_planted_space_is_found_up_to_rotation(estimator):
    x, _, axes, mean = planted()
    space = CapabilitySpace(estimator=estimator).fit(x)
    assert np.degrees(subspace_angles(space.components_.T, axes.T)).max() < 5
    np.testing.assert_allclose(space.mean_, mean, atol=0.05)
    np.testing.assert_allclose(space.components_ @ space.components_.T, np.eye(3), atol=1e-9)
    assert np.sqrt(space.explained_variance_) == pytest.approx([0.25, 0.12, 0.06], rel=0.15)


@pytest.mark.parametrize(("estimator", "limit"), [("factor", 0.035), ("pca", 0.12)])
def test_hidden_cells_of_a_planted_space_come_back(estimator, limit):
    x, *_ = planted()
    rng = np.random.default_rng(1)
    hidden = rng.random(x.shape) < 0.3
    hidden[hidden.all(axis=1)] = False
    space = CapabilitySpace(estimator=estimator).fit(np.where(hidden, np.nan, x))
    back = space.inverse_transform(space.transform(np.where(hidden, np.nan, x)))
    assert np.sqrt(np.mean((back - x)[hidden] ** 2)) < limit


@pytest.mark.slow
def test_the_default_estimator_recovers_hidden_scores_better_than_the_study_one():
    errors = {"factor": [], "pca": []}
    for seed in range(5):
        x, *_ = planted(n=80, seed=seed)
        hidden = np.random.default_rng(seed).random(x.shape) < 0.3
        hidden[hidden.all(axis=1)] = False
        table = np.where(hidden, np.nan, x)
        for estimator, error in errors.items():
            space = CapabilitySpace(estimator=estimator).fit(table)
            back = space.inverse_transform(space.transform(table))
            error.append(np.mean((back - x)[hidden] ** 2))
    assert CapabilitySpace().estimator == "factor"
    assert np.mean(errors["factor"]) < 0.6 * np.mean(errors["pca"])


def test_the_covariance_of_a_place_tells_how_far_off_it_is():
    """Mahalanobis distances of true coordinates follow chi-square: 90% within its quantile."""
    x, z, axes, mean = planted(n=2000, noise=0.03)
    space = CapabilitySpace().fit(x)
    truth = space.transform(mean + z @ axes)
    rng = np.random.default_rng(3)
    hidden = rng.random(x.shape) < 0.4
    hidden[hidden.all(axis=1)] = False
    place = space.place(np.where(hidden, np.nan, x))
    off = place.mean - truth
    distance = np.einsum("ni,nij,nj->n", off, np.linalg.inv(place.covariance), off)
    assert np.mean(distance < 6.251) == pytest.approx(0.9, abs=0.04)


def test_known_measurement_noise_is_taken_out():
    """Ten-item and thousand-item scores in one column: the noisy ones must count less."""
    rng = np.random.default_rng(0)
    x, _, axes, _ = planted(n=400, noise=0.01)
    stderr = np.where(rng.random(x.shape) < 0.5, 0.15, 0.005)
    noisy = x + stderr * rng.normal(size=x.shape)
    weighted = CapabilitySpace(n_components=2).fit(noisy, stderr=stderr)
    plain = CapabilitySpace(n_components=2).fit(noisy)
    truth = axes[:2]
    assert (
        subspace_angles(weighted.components_.T, truth.T).max()
        < 0.7 * subspace_angles(plain.components_.T, truth.T).max()
    )
    assert np.median(weighted.noise_variance_) < 0.25 * np.median(plain.noise_variance_)
    model = noisy[:1]
    wide = weighted.place(model, stderr=np.full_like(model, 0.2)).covariance[0]
    tight = weighted.place(model).covariance[0]
    assert np.linalg.eigvalsh(wide - tight).min() > 0


@pytest.mark.parametrize("estimator", ["factor", "pca"])
def test_rows_in_another_order_change_nothing(estimator):
    x, *_ = planted(n=60)
    x[::7, 2] = np.nan
    order = np.random.default_rng(0).permutation(60)
    space = CapabilitySpace(estimator=estimator).fit(x)
    other = CapabilitySpace(estimator=estimator).fit(x[order])
    np.testing.assert_allclose(space.components_, other.components_, atol=1e-5)
    np.testing.assert_allclose(space.transform(x)[order], other.transform(x[order]), atol=1e-5)


@pytest.mark.parametrize("estimator", ["factor", "pca"])
def test_signs_follow_the_benchmarks(estimator):
    x, *_ = planted()
    for table in (x, 1 - x):
        space = CapabilitySpace(estimator=estimator).fit(table)
        assert space.components_[0].sum() > 0
        for axis in space.components_[1:]:
            assert axis[np.abs(axis).argmax()] > 0


def test_the_first_sign_is_of_the_sum_and_the_others_of_the_largest_loading():
    axes = np.array([[-0.8, 0.45, 0.4], [-0.9, 0.3, 0.3], [0.1, 0.7, -0.7]])
    np.testing.assert_array_equal(
        orient(axes), [[-0.8, 0.45, 0.4], [0.9, -0.3, -0.3], [0.1, 0.7, -0.7]]
    )


def test_complete_tables_give_scikit_learns_principal_components():
    x, *_ = planted(n=50)
    ours, theirs = CapabilitySpace(estimator="pca").fit(x), PCA(3).fit(x)
    np.testing.assert_allclose(np.abs(ours.components_), np.abs(theirs.components_), atol=1e-8)
    np.testing.assert_allclose(ours.explained_variance_ratio_, theirs.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(ours.transform(x)), np.abs(theirs.transform(x)), atol=1e-8)


def test_imputed_cells_are_a_fixed_point_of_the_published_iteration():
    """Run the study's loop from our result: nothing moves."""
    x, *_ = planted(n=40)
    hidden = np.random.default_rng(0).random(x.shape) < 0.15
    hidden[hidden.all(axis=1)] = False
    table = np.where(hidden, np.nan, x)
    filled = fit_spaces(table, np.ones((1, 40)), clip=None).fill(table)[0]
    z = (filled - np.nanmean(table, axis=0)) / np.nanstd(table, axis=0)
    pca = PCA(1).fit(z)
    again = pca.inverse_transform(pca.transform(z))
    np.testing.assert_allclose(again[hidden], z[hidden], atol=1e-6)


def test_weights_repeat_models_and_zero_leaves_them_out():
    x, *_ = planted(n=30)
    x[::5, 3] = np.nan
    weight = np.random.default_rng(0).integers(0, 4, size=30)
    weighted = fit_spaces(x, weight[None].astype(float))
    repeated = fit_spaces(np.repeat(x, weight, axis=0), np.ones((1, weight.sum())))
    np.testing.assert_allclose(weighted.transform(x, 3), repeated.transform(x, 3), atol=1e-7)


@pytest.mark.parametrize("estimator", ["factor", "pca"])
def test_a_model_with_some_benchmarks_still_gets_a_place(estimator):
    x, *_ = planted()
    names = [f"b{j}" for j in range(8)]
    space = CapabilitySpace(estimator=estimator).fit(pd.DataFrame(x, columns=names))
    full = space.place(pd.DataFrame(x[:5], columns=names))
    part = pd.DataFrame(x[:5, :6], columns=names[:6]).assign(other=0.5)
    place = space.place(part)
    assert np.abs(place.mean - full.mean).max() < 0.25
    more = np.trace(place.covariance, axis1=1, axis2=2) - np.trace(
        full.covariance, axis1=1, axis2=2
    )
    assert (more > 0).all()
    with pytest.raises(UnknownNameError, match="b0"):
        space.place(pd.DataFrame({"nothing": [0.5]}))
    nowhere = space.place(pd.DataFrame({"b0": [np.nan]}))
    assert np.isnan(nowhere.mean).all()
    assert np.isnan(nowhere.covariance).all()


def test_works_in_a_pipeline_and_clones():
    x, *_ = planted(n=40)
    space = CapabilitySpace(n_components=2)
    assert make_pipeline(space, PCA(1)).fit_transform(x).shape == (40, 1)
    assert clone(space).get_params() == space.get_params()
    assert list(space.fit(x).get_feature_names_out()) == ["capabilityspace0", "capabilityspace1"]


def test_bad_tables_are_refused_with_a_reason():
    x, *_ = planted(n=20)
    blank = pd.DataFrame(x, columns=list("abcdefgh")).assign(c=np.nan)
    for estimator in ("factor", "pca"):
        with pytest.raises(DegenerateError, match="benchmark c is missing for every"):
            CapabilitySpace(estimator=estimator).fit(blank)
        with pytest.raises(DegenerateError, match="row 1 has no benchmark"):
            CapabilitySpace(estimator=estimator).fit(np.vstack([np.full(8, np.nan), x]))
        with pytest.raises(DegenerateError, match="varies"):
            CapabilitySpace(estimator=estimator).fit(np.full((9, 3), 0.5))
    with pytest.raises(FitError, match="estimator 'ica'"):
        CapabilitySpace(estimator="ica").fit(x)
    with pytest.raises(FitError, match="n_components is 0"):
        CapabilitySpace(n_components=0).fit(x)
    with pytest.raises(FitError, match="stderr"):
        CapabilitySpace().fit(x, stderr=-np.ones_like(x))
    with pytest.raises(FitError, match="stderr is used by estimator='factor'"):
        CapabilitySpace(estimator="pca").fit(x, stderr=np.ones_like(x))
    with pytest.raises(FitError, match=r"X has shape \(20, 7\), expected \(n, 8\)"):
        CapabilitySpace().fit(x).place(x[:, 1:])


def test_a_benchmark_that_only_models_of_no_weight_have_is_named():
    x, *_ = planted(n=20)
    x[:19, 2] = np.nan
    weight = np.ones((2, 20))
    weight[1, 19] = 0
    for names, named in ((None, "benchmark 2"), (tuple("abcdefgh"), "benchmark c")):
        with pytest.raises(DegenerateError, match=f"{named} is missing for every training model"):
            fit_spaces(x, weight, names=names)
    with pytest.raises(DegenerateError, match="benchmark 2 is missing for every training model"):
        fit_factor_model(x[:19], np.zeros((19, 8)), 2)


def test_what_does_not_converge_says_so():
    x, *_ = planted(n=40)
    x[np.random.default_rng(0).random(x.shape) < 0.3] = np.nan
    x = x[~np.isnan(x).all(axis=1)]
    with pytest.raises(NotConvergedError, match="still move"):
        fit_spaces(x, np.ones((1, len(x))), max_iter=2)
    with pytest.raises(NotConvergedError, match="likelihood still rises"):
        fit_factor_model(x, np.zeros_like(x), 3, max_iter=3)


def test_em_never_loses_likelihood_and_ends_at_a_stationary_point():
    x, *_ = planted(n=60)
    x[np.random.default_rng(0).random(x.shape) < 0.2] = np.nan
    x = x[~np.isnan(x).all(axis=1)]
    known = np.full_like(x, 1e-4)
    loose = fit_factor_model(x, known, 2, tol=1e-4)
    tight = fit_factor_model(x, known, 2, tol=1e-12)
    assert tight.log_likelihood >= loose.log_likelihood
    # brute force: the log-likelihood of a Gaussian per row, and no better neighbour
    covariance = tight.loadings @ tight.loadings.T + np.diag(tight.noise_variance)

    def log_likelihood(covariance, mean):
        total = 0.0
        for row, e in zip(x, known, strict=True):
            seen = ~np.isnan(row)
            c = covariance[np.ix_(seen, seen)] + np.diag(e[seen])
            off = row[seen] - mean[seen]
            total -= 0.5 * (
                off @ np.linalg.solve(c, off)
                + np.linalg.slogdet(c)[1]
                + seen.sum() * np.log(2 * np.pi)
            )
        return total

    best = log_likelihood(covariance, tight.mean)
    assert best == pytest.approx(tight.log_likelihood, abs=1e-6)
    rng = np.random.default_rng(1)
    for _ in range(20):
        loadings = tight.loadings + 1e-3 * rng.normal(size=tight.loadings.shape)
        moved = loadings @ loadings.T + np.diag(tight.noise_variance)
        assert log_likelihood(moved, tight.mean) <= best + 1e-4


@needs_study
@pytest.mark.parametrize(
    ("key", "table"),
    [
        ("base_77_default", "base_llm_benchmark_eval.csv"),
        ("base_77_noGSM8K", "base_llm_benchmark_eval.csv"),
        ("base_all_148", "base_llm_benchmark_eval.csv"),
        ("sub10b_92", "base_llm_benchmark_eval_sub_10b.csv"),
        ("instruct_27", "instruct_llm_benchmark_eval.csv"),
    ],
)
def test_the_studys_spaces_to_four_digits(key, table):
    expected = json.loads((SHARED / "paper/expected.json").read_text())["pca"]
    want = expected[key]
    names = [{"Winograd": "Winogrande"}.get(m, m) for m in want["metrics"]]
    scores = read_table(SHARED / "results/obsscaling" / table).wide(names)
    if key.startswith("base_77"):
        scores = scores.loc[list(expected["base_77_default"]["scores"])]
    space = CapabilitySpace(n_components=5, estimator="pca", clip=(0.0, 1.0)).fit(scores)
    np.testing.assert_allclose(
        space.explained_variance_ratio_, want["explained_variance_ratio"], atol=1e-4
    )
    loadings = np.array([list(row.values()) for row in want["components"].values()])
    sign = np.sign((loadings * space.components_).sum(axis=1))
    np.testing.assert_allclose(space.components_ * sign[:, None], loadings, atol=1e-4)
    for cell, value in want["imputed_cells"].items():
        model, benchmark = cell.rsplit("|", 1)
        row = scores.loc[[model]]
        filled = space._model.fill(row.to_numpy())[0, 0]
        at = names.index({"Winograd": "Winogrande"}.get(benchmark, benchmark))
        assert filled[at] == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("labelled", [True, False])
def test_what_cannot_be_placed_is_refused_in_one_line(labelled):
    x, *_ = planted(n=30)
    table = pd.DataFrame(x, columns=[f"b{j}" for j in range(8)])
    space = CapabilitySpace(n_components=2).fit(table if labelled else x)
    new, noise = table.iloc[:2].astype(object), 0.0 * table.iloc[:2]
    for scores, stderr, message in (
        (new.assign(b1="x"), None, "'x', not a number"),
        (new.assign(b1=1j), None, "1j, not a number"),
        (new.assign(b1=np.inf), None, "row 1: .* is infinite"),
        (new, noise.assign(b1="x"), "'x', not a number"),
        (new, noise - 1, "stderr must be finite and not negative"),
        (new, noise + np.inf, "stderr must be finite and not negative"),
        (new, noise[:1], r"stderr has shape \(1, 8\), the scores \(2, 8\)"),
    ):
        given = (scores, stderr) if labelled else (scores.to_numpy(), np.asarray(stderr))
        with pytest.raises(FitError, match=message) as caught:
            space.place(given[0], stderr=None if stderr is None else given[1])
        assert "\n" not in str(caught.value)
    if not labelled:
        for wrong in ([0.1] * 8, [[0.1], [0.2, 0.3]]):
            with pytest.raises(FitError, match=r"expected \(n, p\)|different lengths"):
                space.place(wrong)
        return
    with pytest.raises(FitError, match="b1 is twice among the columns"):
        space.place(new[["b0", "b1", "b1"]])
    missing = new.assign(b1=pd.NA)
    expected = space.place(table.iloc[:2].assign(b1=np.nan)).mean
    np.testing.assert_array_equal(space.place(missing).mean, expected)
    for wrong in (2.5, None, "3"):
        with pytest.raises(FitError, match=r"n_components is .*; it must be a whole number"):
            CapabilitySpace(n_components=wrong).fit(table)


def test_a_table_of_one_model_is_a_line():
    table = ScoreTable.from_wide(pd.DataFrame({"A": [0.2], "B": [0.3]}, index=["m"]))
    with pytest.raises(TooFewModelsError, match="a space needs at least two models"):
        analyse_space(table)

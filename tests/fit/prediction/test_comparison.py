"""Probabilities that one model scores above another: planted pairs, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from capspace.fit import (
    ScoreTable,
    TargetLaw,
    compare_models,
    conformal_scale,
    load_reference,
    predict_targets,
)
from capspace.fit.errors import FitError, UnknownNameError
from capspace.fit.law._calibration import Refits, family_correlation
from capspace.fit.law._refit import fit_once
from capspace.fit.law.conformal import joint_prediction
from capspace.fit.prediction._compare_models import probability_above
from capspace.fit.prediction._reference_laws import stored_laws
from capspace.fit.prediction._score_errors import score_errors
from capspace.fit.prediction._shared_errors import covariance_of_sources
from capspace.fit.reference import Benchmark, Reference, Target
from capspace.fit.table import SourceOffset, SourceOffsets

NAMES = ["B1", "B2", "B3", "B4", "B5"]


def planted(seed=0, *, n_families=12, n_new=30, family_effect=0.3, rises=True):
    """A reference with a known law that misses each family by its own bit, and new models."""
    rng = np.random.default_rng(seed)
    n = n_families * 4 + n_new
    family = np.r_[np.repeat(np.arange(n_families), 4), n_families + np.arange(n_new)]
    z = 0.8 * rng.normal(size=(n, 2)) + 0.5 * rng.normal(size=(n_families + n_new, 2))[family]
    loadings = np.array([[0.9, 0.8, 0.7, 0.6, 0.8], [0.4, -0.5, 0.3, -0.2, 0.1]])
    x = np.clip(0.5 + 0.1 * z @ loadings + 0.01 * rng.normal(size=(n, 5)), 0, 1)
    miss = family_effect * rng.normal(size=n_families + n_new)[family]
    y = expit(-0.3 + 1.0 * z[:, 0] + 0.5 * z[:, 1] + miss) * (1 if rises else 0.01)
    models = pd.Index([f"m{i}" for i in range(n)], name="model")
    scores, truth = pd.DataFrame(x, models, NAMES), pd.Series(y, models)
    old = family < n_families
    facts = pd.DataFrame({"family": [f"F{i}" for i in family], "tuning": "base"}, models)
    table = ScoreTable.from_wide(scores[old].assign(hard=truth[old]), models=facts[old])
    benchmarks = {name: Benchmark(name=name, chance=0.0) for name in NAMES}
    target = Target(name="hard", label="Hard exam", description="", population="base")
    return Reference(table, benchmarks, {"hard": target}), scores[~old], truth[~old]


def compare(scores, reference, *, family=None, stderr=None, **more):
    """Compare rows of a data frame, of one family or each of its own."""
    facts = pd.DataFrame(index=scores.index)
    if family is not None:
        facts["family"] = family
    table = ScoreTable.from_wide(scores, models=facts)
    if stderr is not None:
        table = replace(table, scores=table.scores.assign(stderr=stderr))
    return compare_models(table, reference, **more)


@pytest.mark.slow
def test_stated_probabilities_hold_on_planted_pairs():
    stated, above = [], []
    for seed in range(12):
        reference, scores, truth = planted(seed)
        for pair in compare(scores, reference).pairs:
            p, right = pair.probability, truth[pair.first] > truth[pair.second]
            stated.append(max(p, 1 - p))
            above.append(right if p >= 0.5 else not right)
    stated, above = np.array(stated), np.array(above, dtype=float)
    for low, high in ((0.5, 0.7), (0.7, 0.9), (0.9, 0.99), (0.99, 1.01)):
        part = (stated >= low) & (stated < high)
        assert part.sum() > 300
        assert above[part].mean() == pytest.approx(stated[part].mean(), abs=0.08)


@pytest.mark.slow
def test_what_a_comparison_says():
    reference, scores, truth = planted()
    result = compare(scores.iloc[:3], reference)
    assert result.models == ("m48", "m49", "m50")
    frame = result.to_frame()
    assert list(frame["first"]) == ["m48", "m48", "m49"]
    assert frame["probability"].between(0, 1).all()
    assert (np.sign(frame["probability"] - 0.5) == np.sign(frame["difference"])).all()
    assert repr(result) == "Comparison(3 models × 1 target)"
    json.dumps(result.to_dict(), allow_nan=False)
    law = TargetLaw("hard").fit(reference)
    means = [p.mean for p in law.predict(scores.iloc[:2])]
    assert frame["difference"][0] == pytest.approx(means[0] - means[1])
    best, worst = truth.idxmax(), truth.idxmin()
    (pair,) = compare(scores, reference, models=[best, worst], targets=["Hard exam"]).pairs
    assert pair.probability > 0.9
    assert (pair.target, pair.label, pair.n_models) == ("hard", "Hard exam", 48)


@pytest.mark.slow
def test_the_other_order_has_the_other_probability():
    reference, scores, _ = planted(1)
    (pair,) = compare(scores.iloc[[0, 1]], reference).pairs
    (two,) = compare(scores.iloc[[1, 0]], reference).pairs
    assert pair.probability == pytest.approx(1 - two.probability)
    assert pair.difference == pytest.approx(-two.difference)
    (same,) = compare(
        pd.concat([scores.iloc[[0]], scores.iloc[[0]].rename({"m48": "twin"})]), reference
    ).pairs
    assert same.probability == 0.5
    assert same.correlation > 0


@pytest.mark.slow
def test_two_models_err_alike_as_far_as_the_law_is_unsure_or_their_family_is_one():
    reference, scores, _ = planted(2, family_effect=0.8)
    apart = compare(scores.iloc[:2], reference).pairs[0]
    alike = compare(scores.iloc[:2], reference, family="F")
    assert alike.pairs[0].correlation > apart.correlation + 0.2
    sure, less_sure = (abs(p.probability - 0.5) for p in (alike.pairs[0], apart))
    assert sure > less_sure


@pytest.mark.slow
def test_gaps_and_noise_make_a_probability_less_sure():
    reference, scores, truth = planted(3)
    order = truth.sort_values().index
    pair = scores.loc[[order[12], order[19]]]
    whole = compare(pair, reference).pairs[0].probability
    gappy = compare(pair[["B1"]], reference).pairs[0].probability
    noisy = compare(pair, reference, stderr=0.1).pairs[0].probability
    assert whole < gappy < 0.5
    assert whole < noisy < 0.5


def test_the_covariance_has_the_marginal_variances_and_is_one():
    reference, scores, _ = planted(4)
    fitted = TargetLaw("hard").fit(reference).fitted_
    x = scores.to_numpy()[:6]
    joint = joint_prediction(fitted, x, np.array(list("abcdef")))
    alone = Refits([fitted], x, forward=False).covariance()[len(fitted.training.target) :, 0, 0]
    scale = conformal_scale([fitted]) / 1.6448536
    covariance = joint.deviation_covariance
    np.testing.assert_allclose(np.diag(covariance), alone * scale**2, rtol=1e-6)
    np.testing.assert_allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0
    assert probability_above(joint, 0, 1) == pytest.approx(1 - probability_above(joint, 1, 0))


def test_errors_of_a_family_correlate_as_planted():
    rng = np.random.default_rng(0)
    family = np.repeat(np.arange(300), 4)
    shared = rng.normal(size=300)[family] * np.sqrt(0.6)
    errors = shared + rng.normal(size=1200) * np.sqrt(0.4)
    assert family_correlation(errors, family) == pytest.approx(0.6, abs=0.07)
    assert family_correlation(errors, np.arange(1200)) == 0.0
    assert family_correlation(np.tile([1.0, -1.0], 600), np.repeat(np.arange(600), 2)) == 0.0


@pytest.mark.slow
def test_models_of_the_reference_are_left_out_for_both():
    reference = load_reference()
    names = ["mistralai/Mistral-7B-v0.1", "meta-llama/Llama-2-7b-hf"]
    scores = reference.scores("base").loc[names]
    scores.index = ["mistralai/Mistral-7B-v0.1", "mine"]
    result = compare(scores, reference, targets=["agentbench"])
    everyone = TargetLaw("agentbench").fit(reference)
    assert not everyone.truth_.index.isin(names).any()
    assert result.pairs[0].n_models == len(everyone.truth_)
    note, _ = result.notes
    assert note.startswith("mine: left out of its fits: meta-llama/Llama-2-7b-hf (likely the same")
    result = compare(scores, reference, targets=["bbh"])
    everyone = TargetLaw("bbh").fit(reference)
    assert result.pairs[0].n_models == len(everyone.truth_) - 2
    assert result.pairs[0].probability > 0.5


@pytest.mark.slow
def test_targets_that_cannot_be_compared_say_why():
    reference, scores, _ = planted(5, rises=False)
    result = compare(scores.iloc[:2], reference)
    assert result.pairs == ()
    assert "clearly above chance" in result.uncompared["hard"]
    assert repr(result) == "Comparison(m48 above m49 on 0 of 0 targets)"
    reference, scores, _ = planted(6, n_new=2)
    few = scores.assign(B9=0.5)
    few.loc["m49", NAMES] = np.nan
    assert "m49 has none of" in compare(few, reference).uncompared["hard"]


def test_bad_input_is_refused_in_one_line():
    reference, scores, _ = planted(7)
    for call, error, words in (
        (lambda: compare(scores.iloc[:1], reference), FitError, "1 model to compare"),
        (
            lambda: compare(scores, reference, models=["m48", "m4"]),
            UnknownNameError,
            "no model 'm4' in the table",
        ),
        (lambda: compare(scores, reference, targets=["no"]), UnknownNameError, "'no'"),
        (lambda: compare(100 * scores, reference), FitError, "outside"),
        (
            lambda: compare(scores.set_axis(list("abcde"), axis=1), reference),
            UnknownNameError,
            "no score is of a benchmark of the reference",
        ),
    ):
        with pytest.raises(error, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_reference_with_stored_laws_compares_this_years_models():
    reference = load_reference("frontier-2026")
    scores = pd.DataFrame(
        {"GPQA-diamond": [0.62, 0.48, 0.62], "MMLU-Pro": [0.78, 0.7, 0.78]},
        index=["mine", "older", "twin"],
    )
    facts = pd.DataFrame({"release_date": "2025-05", "mode": "thinking"}, index=scores.index)
    table = ScoreTable.from_wide(scores, models=facts)
    names = ["swe-bench-verified/vendor", "terminal-bench-2/vendor"]
    result = compare_models(table, reference, targets=names)
    above, same, below = result.pairs
    assert above.probability > 0.7
    assert same.probability == 0.5
    assert below.probability < 0.3
    (refused,) = result.uncompared
    assert refused == "terminal-bench-2/vendor"
    (p, q) = predict_targets(table, reference, targets=names[:1])[:2]
    assert above.difference == pytest.approx(p.mean - q.mean)


@pytest.mark.slow
def test_a_model_of_a_reference_with_stored_laws_is_left_out_of_them():
    reference = load_reference("frontier-2026")
    target, name = "hle/no-tools", "gpt-4.1"
    cheap = reference.scores().loc[[name]].dropna(axis=1)
    scores = pd.concat([cheap, (0.9 * cheap).rename({name: "mine"})])
    facts = pd.DataFrame({"release_date": "2025-05", "mode": "thinking"}, index=scores.index)
    table = ScoreTable.from_wide(scores, models=facts)
    others = ScoreTable.from_wide(
        pd.concat([(0.95 * cheap).rename({name: "new"}), (0.9 * cheap).rename({name: "mine"})]),
        models=facts.rename({name: "new"}),
    )
    (pair,) = compare_models(table, reference, targets=[target], force=True).pairs
    (other,) = compare_models(others, reference, targets=[target], force=True).pairs
    assert pair.n_models == other.n_models - 1
    p, q = predict_targets(table, reference, targets=[target], exclude=[name], force=True)
    assert pair.difference == pytest.approx(p.mean - q.mean, rel=1e-6)


def test_a_fit_once_joint_prediction_takes_a_given_scale():
    reference, scores, _ = planted(8)
    fitted = fit_once(TargetLaw("hard").fit(reference).fitted_.training)
    wide = joint_prediction(fitted, scores.to_numpy()[:2], np.array(["a", "b"]), scale=3.0)
    tight = joint_prediction(fitted, scores.to_numpy()[:2], np.array(["a", "b"]), scale=0.5)
    assert abs(probability_above(wide, 0, 1) - 0.5) < abs(probability_above(tight, 0, 1) - 0.5)


HOME, HERE = "Epoch AI Benchmarking Hub", "measured here"
OFFSET, SPREAD = 0.05, 0.04


@pytest.fixture(scope="module")
def epoch():
    """A reference that another source measures 5 points above, with a spread of 4."""
    cheap = load_reference("epoch-2026")
    pairs = [SourceOffset(b, HERE, HOME, 400, OFFSET, SPREAD, 0.97, 0) for b in cheap.benchmarks]
    return replace(cheap, offsets=SourceOffsets(tuple(pairs)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second"), [(HOME, HERE), (HERE, HERE)], ids=["own-and-other", "both-other"]
)
def test_the_spread_of_sources_covers_planted_differences(epoch, first, second):
    """Scores off by a planted offset and spread move the difference by as much as is stated."""
    rng = np.random.default_rng(5)
    laws = stored_laws(epoch)
    n, names = 400, list(laws.cheap)
    true = pd.DataFrame(
        rng.uniform(0.3, 0.7, (2 * n, len(names))), [f"m{i}" for i in range(2 * n)], names
    )
    facts = pd.DataFrame({"release_date": "2025-06", "provider": "", "reasoning": ""}, true.index)
    sources = np.repeat([first, second], n)[:, None] == HERE
    seen = true + np.where(sources, OFFSET + SPREAD * rng.normal(size=true.shape), 0.0)
    moved = laws.in_logits(seen, facts)[0] - laws.in_logits(true, facts)[0]
    long = ScoreTable.from_wide(seen.iloc[[0, n]])
    where = long.scores["model"].map({"m0": first, f"m{n}": second})
    table = replace(long, scores=long.scores.assign(source=where))
    errors = [score_errors(table, name, epoch, names) for name in ("m0", f"m{n}")]  # of all pairs
    inside = []
    for pairs in np.arange(n).reshape(-1, 8):  # a few at once: all pairs have a covariance
        rows, at = np.r_[pairs, n + pairs], np.arange(8)
        each = np.repeat(errors, 8)
        c = covariance_of_sources(laws, seen.iloc[rows], facts.iloc[rows], each)
        size = np.sqrt(c[:, at, at] + c[:, 8 + at, 8 + at] - 2 * c[:, at, 8 + at]).T
        inside.append(np.abs(moved[pairs] - moved[n + pairs]) <= 1.645 * size)
    assert np.mean(inside) == pytest.approx(0.9, abs=0.06)


def test_an_offset_that_two_models_share_cancels(epoch):
    wide = pd.DataFrame({"GPQA-diamond": [0.6, 0.5], "OTIS Mock AIME": [0.5, 0.3]}, ["a", "b"])
    facts = pd.DataFrame({"release_date": "2025-06"}, index=wide.index)

    def probability(*sources):
        table = ScoreTable.from_wide(wide, models=facts)
        where = table.scores["model"].map(dict(zip("ab", sources, strict=True)))
        table = replace(table, scores=table.scores.assign(source=where))
        result = compare_models(table, epoch, targets=["hle/no-tools"])
        return result.pairs[0].probability

    known, shared, apart = (probability(*s) for s in ((HOME,) * 2, (HERE,) * 2, (HERE, "")))
    assert known > shared > apart > 0.5


def test_weak_targets_are_marked_and_refused_ones_compared_by_force_alone():
    reference = load_reference("frontier-2026")
    scores = pd.DataFrame({"GPQA-diamond": [0.62, 0.5], "MMLU-Pro": [0.78, 0.7]}, ["mine", "older"])
    facts = pd.DataFrame({"release_date": ["2025-05", "2027-05"]}, index=scores.index)
    names = ["hle/no-tools", "swe-bench-verified/vendor", "terminal-bench-2/vendor"]
    late = ScoreTable.from_wide(scores, models=facts)
    reason = compare_models(late, reference, targets=names).uncompared["hle/no-tools"]
    assert reason.startswith("older: the model was released more than 6 months after")
    table = ScoreTable.from_wide(scores, models=facts.assign(release_date="2025-05"))
    result = compare_models(table, reference, targets=names)
    assert [p.status for p in result.pairs] == ["offered", "weak"]
    assert result.pairs[1].reason.startswith("error 0.855 of the trend baseline's")
    assert result.uncompared[names[2]].startswith("the trend baseline does as well")
    forced = compare_models(table, reference, targets=names, force=True)
    assert [p.status for p in forced.pairs] == ["offered", "weak", "refused"]
    assert forced.pairs[2].reason == result.uncompared[names[2]]
    assert forced.to_frame()["status"].tolist() == ["offered", "weak", "refused"]
    assert not forced.uncompared

"""Paired and unpaired tests hold their level, and find what is planted."""

import numpy as np
import pytest
from scipy.stats import binomtest

from capspace.fit import TooFewItemsError
from capspace.fit.decide._paired import holm, paired_drift, unpaired_drift


def test_mcnemar_is_the_binomial_test_of_the_items_that_differ() -> None:
    own = np.array([1] * 50 + [0] * 12 + [1] * 3)
    other = np.array([1] * 50 + [1] * 12 + [0] * 3)
    drift = paired_drift(own, other)
    assert drift.p_value == pytest.approx(binomtest(3, 15).pvalue)
    assert drift.difference == pytest.approx(9 / 65)
    assert drift.lower < 9 / 65 < drift.upper
    assert paired_drift(own, own).p_value == 1


def test_clean_pairs_are_found_no_oftener_than_the_level() -> None:
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(300):
        own = rng.random(100) < 0.6
        flipped = rng.random(100) < 0.2
        p_values.append(paired_drift(own, np.where(flipped, ~own & (rng.random(100) < 0.6), own)))
    assert np.mean([d.p_value <= 0.05 for d in p_values]) < 1  # planted drift is not level
    level = []
    for _ in range(400):
        a, b = rng.random((2, 100)) < 0.5
        level.append(paired_drift(a, b).p_value <= 0.05)
    assert np.mean(level) < 0.08


def test_masses_are_compared_by_sign_flips() -> None:
    rng = np.random.default_rng(1)
    own = rng.random(60)
    drift = paired_drift(own, own + 0.05 + 0.02 * rng.normal(size=60))
    assert drift.test == "sign flips"
    assert drift.p_value < 0.001
    assert paired_drift(own, own).p_value == 1


def test_two_scores_are_compared_by_their_errors() -> None:
    assert unpaired_drift(0.5, 0.01, 0.52, 0.01).p_value == pytest.approx(0.1573, abs=1e-4)
    with pytest.raises(TooFewItemsError, match="a standard error is not known"):
        unpaired_drift(0.5, float("nan"), 0.5, 0.01)
    with pytest.raises(TooFewItemsError, match="nothing can be paired"):
        paired_drift([], [])


def test_holm_keeps_the_order_and_the_level() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []

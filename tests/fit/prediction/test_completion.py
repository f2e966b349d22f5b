"""Missing and noisy scores are inferred from the others, by the factor model of the reference."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from capspace.fit.law._refit import Training
from capspace.fit.prediction._completion import complete
from capspace.fit.space._factor import fit_factor_model

Array = NDArray[np.float64]

N_TRAINED, P = 400, 6


class Planted:
    """Scores of two factors and of what each benchmark has of its own."""

    def __init__(self, n_new: int = 1) -> None:
        rng = np.random.default_rng(5)
        self.mean = np.full(P, 0.5)
        self.loadings = rng.normal(size=(P, 2)) * 0.06
        self.own = rng.uniform(0.01, 0.04, P)
        self.rng = rng
        self.trained, self.new = self.draw(N_TRAINED), self.draw(n_new)

    def draw(self, n: int) -> Array:
        factors = self.rng.normal(size=(n, 2)) @ self.loadings.T
        return np.asarray(self.mean + factors + self.rng.normal(size=(n, P)) * self.own)

    @property
    def training(self) -> Training:
        return Training(
            self.trained,
            self.trained[:, 0],
            np.arange(N_TRAINED).astype(str),
            chance=np.zeros(P),
            benchmarks=tuple(f"B{i}" for i in range(P)),
        )


def conditional(planted: Planted, x: Array, errors: Array) -> tuple[Array, Array]:
    """Return mean (p,) and covariance (p, p) of the scores, given noisy ones, some of them NaN."""
    model = fit_factor_model(planted.trained, np.zeros_like(planted.trained), 2)
    joint = model.loadings @ model.loadings.T + np.diag(model.noise_variance)
    seen = ~np.isnan(x)
    gain = joint[:, seen] @ np.linalg.inv(joint[np.ix_(seen, seen)] + np.diag(errors[seen] ** 2))
    return model.mean + gain @ (x - model.mean)[seen], joint - gain @ joint[seen]


@pytest.mark.parametrize("missing", [[], [2], [0, 5]])
def test_scores_given_noisy_ones_are_those_of_the_joint_normal_distribution(missing) -> None:
    planted = Planted()
    errors = np.array([0.0, 0.01, 0.03, 0.05, 0.2, 0.02])
    x = planted.new.copy()
    x[0, missing] = np.nan
    filled, drawn = complete(planted.training, x, errors[None])
    mean, covariance = conditional(planted, x[0], errors)
    np.testing.assert_allclose(filled[0], mean, atol=1e-9)
    assert drawn is not None
    np.testing.assert_allclose(drawn[0].mean(axis=0), mean, atol=1e-9)
    sd = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    np.testing.assert_allclose(drawn[0].std(axis=0), sd, rtol=0.05, atol=1e-6)


def test_what_is_drawn_for_a_model_does_not_depend_on_the_others() -> None:
    planted = Planted(n_new=5)
    errors = np.full((5, P), 0.03)
    _, together = complete(planted.training, planted.new, errors)
    _, alone = complete(planted.training, planted.new[3:4], errors[:1])
    assert together is not None
    assert alone is not None
    np.testing.assert_allclose(together[3], alone[0], rtol=1e-12)


def test_a_score_without_noise_stays_and_one_with_much_is_as_if_it_were_missing() -> None:
    planted = Planted()
    single = np.zeros((1, P))
    single[0, 3] = 50.0
    blank = planted.new.copy()
    blank[0, 3] = np.nan
    by_noise, by_blank = (
        complete(planted.training, planted.new, single),
        complete(planted.training, blank, 0 * single),
    )
    np.testing.assert_allclose(by_noise[0], by_blank[0], atol=1e-6)
    np.testing.assert_allclose(by_noise[1], by_blank[1], atol=1e-4)
    others = [i for i in range(P) if i != 3]
    np.testing.assert_array_equal(by_noise[0][:, others], planted.new[:, others])


def test_few_items_are_nearer_to_the_truth_by_what_the_other_benchmarks_say() -> None:
    """And the draws are as far apart as the truth is away."""
    planted = Planted(n_new=300)
    errors = np.full_like(planted.new, 0.05)
    noisy = planted.new + planted.rng.normal(size=planted.new.shape) * errors
    filled, drawn = complete(planted.training, noisy, errors)
    assert drawn is not None
    away = np.sqrt(np.mean((filled - planted.new) ** 2, axis=0))
    assert (away < 0.8 * np.sqrt(np.mean((noisy - planted.new) ** 2, axis=0))).all()
    spread = np.sqrt(np.mean((drawn - filled[:, None]) ** 2, axis=(0, 1)))
    np.testing.assert_allclose(spread, away, rtol=0.15)

"""The two-parameter item response model gives each item's difficulty and discrimination."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..errors import DegenerateError, FitError, NotConvergedError, check_count, check_positive
from ._responses import checked_matrix

__all__ = ["ItemResponse"]

Floats = NDArray[np.float64]
WIDEST = 4.0
"""Abilities are integrated from minus to plus so many of their standard deviations."""


class ItemResponse(BaseEstimator):  # type: ignore[misc] # scikit-learn is untyped
    """Difficulty and discrimination of items, by marginal maximum likelihood.

    A model of ability θ answers item j rightly with probability 1 / (1 + exp(-a_j (θ - b_j))).
    Abilities are standard normal; they are integrated out, so that items are estimated consistently
    also where each model has few of them.

    Parameters
    ----------
    discrimination_scale : float, default 0.5
        Standard deviation of the normal prior of a_j about 1; it may turn out negative, of an item
        that better models get wrong.
    easiness_scale : float, default 2
        Standard deviation of the normal prior of -a_j b_j about 0.
    n_nodes : int, default 81
        Points at which the integral over abilities is taken.
    max_iter : int, default 500
        Most steps of the EM algorithm.
    tol : float, default 1e-5
        The fit ends when the penalised log-likelihood grows by less than this share of itself.

    Attributes
    ----------
    discrimination_ : array (n_items,)
        a_j.
    easiness_ : array (n_items,)
        -a_j b_j: the log odds of a right answer at ability 0.
    difficulty_ : array (n_items,)
        b_j: the ability at which half of the answers are right; infinite where a_j is 0.
    ability_ : array (n_models,)
        Posterior means of the abilities of the models that were fitted.
    log_likelihood_ : float
        Marginal, with the logarithm of the priors' densities up to a constant.
    n_iter_ : int
        Steps that were taken.

    Raises
    ------
    TableError
        A response is not between 0 and 1.
    NotConvergedError
        The likelihood still grows after ``max_iter`` steps.

    See Also
    --------
    select_items : Uses its parameters to select items.
    Responses : What it is fitted to.

    Notes
    -----
    EM over a grid of abilities; each step does one Newton step for each item's two parameters, in
    which its expected, penalised log-likelihood is concave. Fractions count as so much of a right
    and of a wrong answer; missing cells (NaN) as nothing.

    References
    ----------
    A. Birnbaum, Some latent trait models, in Lord and Novick, *Statistical Theories of Mental Test
    Scores* (1968), ch. 17; R. D. Bock and M. Aitkin, Marginal maximum likelihood estimation of item
    parameters: application of an EM algorithm, *Psychometrika* 46 (1981).

    Examples
    --------
    >>> import numpy as np
    >>> answers = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]] * 5)
    >>> model = ItemResponse().fit(answers)
    >>> np.argsort(model.difficulty_).tolist()
    [0, 1, 2]

    """

    def __init__(
        self,
        *,
        discrimination_scale: float = 0.5,
        easiness_scale: float = 2.0,
        n_nodes: int = 81,
        max_iter: int = 500,
        tol: float = 1e-5,
    ) -> None:
        self.discrimination_scale = discrimination_scale
        self.easiness_scale = easiness_scale
        self.n_nodes = n_nodes
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Fit to responses (n_models, n_items), each from 0 to 1 or NaN."""
        for name in ("discrimination_scale", "easiness_scale", "tol"):
            check_positive(getattr(self, name), name)
        check_count(self.n_nodes, "n_nodes")
        values = _matrix(X)
        if len(values) < 2:
            raise DegenerateError("one model alone does not tell items apart; give more")
        right, answered = _parts(values)
        self._nodes, self._log_prior = _grid(self.n_nodes)
        a = np.ones(values.shape[1])
        share = np.clip(np.nanmean(values, axis=0), 0.02, 0.98)
        d = np.log(share / (1 - share))
        before = -np.inf
        for step in range(1, self.max_iter + 1):
            posterior, likelihood = self._posterior(right, answered, a, d)
            now = likelihood - self._penalty(a, d)
            if now - before < self.tol * abs(now):
                break
            before, self.n_iter_ = now, step
            a, d = self._newton(posterior.T @ right, _counts(posterior, answered), a, d)
        else:
            raise NotConvergedError(
                f"the item response model still improves after {self.max_iter} steps; raise "
                "max_iter, or leave out items that hardly any model answered"
            )
        self.discrimination_, self.easiness_ = a, d
        with np.errstate(divide="ignore"):
            self.difficulty_ = -d / a
        self.ability_ = posterior @ self._nodes
        self.log_likelihood_ = float(now)
        self.n_features_in_ = values.shape[1]
        return self

    def transform(self, X: ArrayLike, *, items: ArrayLike | None = None) -> Floats:
        """Return the abilities (n_models, 1) of models by their responses, as posterior means.

        ``items`` are the positions of the columns of X among the items that were fitted, by default
        all of them.
        """
        return (self._of(X, items) @ self._nodes)[:, None]

    def predict_proba(self, abilities: ArrayLike) -> Floats:
        """Return the probability (n_models, n_items) of a right answer at these abilities."""
        check_is_fitted(self)
        ability = np.asarray(abilities, float).reshape(-1, 1)
        return np.asarray(expit(ability * self.discrimination_ + self.easiness_))

    def information(self, abilities: ArrayLike) -> Floats:
        """Return Fisher's information (n_models, n_items) of each item: a² p (1 - p)."""
        p = self.predict_proba(abilities)
        return np.asarray(self.discrimination_**2 * p * (1 - p))

    def expected_responses(self, X: ArrayLike, *, items: ArrayLike | None = None) -> Floats:
        """Return what each model is expected to score on every item (n_models, n_items).

        Answers that are known stand as they are, and the others have their expectation over the
        posterior of the ability; the mean of a row is the estimate p-IRT of the full score.

        Parameters
        ----------
        X : array (n_models, n)
            Responses to some items.
        items : array (n,), optional
            Which those are, by default all.

        References
        ----------
        F. Maia Polo et al., tinyBenchmarks: evaluating LLMs with fewer examples (2024), arXiv
        2402.14992, section 3.

        """
        posterior = self._of(X, items)
        expected = posterior @ self.predict_proba(self._nodes)
        at = np.arange(expected.shape[1]) if items is None else np.asarray(items, int)
        values = np.asarray(X, float)
        expected[:, at] = np.where(np.isnan(values), expected[:, at], values)
        return np.asarray(expected)

    def _of(self, X: ArrayLike, items: ArrayLike | None) -> Floats:
        check_is_fitted(self)
        at = np.arange(self.n_features_in_) if items is None else np.asarray(items, int)
        values = np.asarray(X, float)
        if values.ndim != 2 or values.shape[1] != len(at):
            raise FitError(f"responses have the shape {values.shape}; there are {len(at)} items")
        right, answered = _parts(values)
        return self._posterior(right, answered, self.discrimination_[at], self.easiness_[at])[0]

    def _posterior(
        self, right: Floats, answered: Floats, a: Floats, d: Floats
    ) -> tuple[Floats, float]:
        """Return the posterior (n_models, n_nodes) of abilities, and the log-likelihood.

        As log p - log (1 - p) is linear, right answers need no matrix of items and nodes.
        """
        log_wrong = log_expit(-np.outer(self._nodes, a) - d)
        joint = np.outer(right @ a, self._nodes) + (right @ d)[:, None] + self._log_prior
        joint += answered @ log_wrong.T
        highest = joint.max(axis=1, keepdims=True)
        posterior = np.exp(joint - highest)
        total = posterior.sum(axis=1, keepdims=True)
        return posterior / total, float((highest + np.log(total)).sum())

    def _penalty(self, a: Floats, d: Floats) -> float:
        scaled = ((a - 1) / self.discrimination_scale, d / self.easiness_scale)
        return float(sum((part**2).sum() / 2 for part in scaled))

    def _newton(self, right: Floats, n: Floats, a: Floats, d: Floats) -> tuple[Floats, Floats]:
        """Return parameters after a step, from expected right answers and answers at each node."""
        t = self._nodes
        p = expit(np.outer(t, a) + d)
        left, weight = right - n * p, n * p * (1 - p)
        tight_a, tight_d = self.discrimination_scale**-2, self.easiness_scale**-2
        slope_a = t @ left - (a - 1) * tight_a
        slope_d = left.sum(axis=0) - d * tight_d
        aa, ad, dd = (t * t) @ weight + tight_a, t @ weight, weight.sum(axis=0) + tight_d
        determinant = aa * dd - ad**2
        step_a = (dd * slope_a - ad * slope_d) / determinant
        step_d = (aa * slope_d - ad * slope_a) / determinant
        # Far from its optimum a logistic likelihood is so flat that a whole step leads astray.
        shorter = 1 / np.maximum(1.0, np.hypot(step_a, step_d))
        return a + shorter * step_a, d + shorter * step_d

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _matrix(X: ArrayLike) -> Floats:
    values = np.asarray(X, float)
    if values.ndim != 2:
        raise FitError(f"responses have the shape {values.shape}; give (n_models, n_items)")
    rows, columns = ([str(i) for i in range(n)] for n in values.shape)
    return checked_matrix(values, rows, columns)


def _parts(values: Floats) -> tuple[Floats, Floats]:
    """Return how much of each answer is right, and 1 where there is one, else 0.

    Where all are there, the second has one row for all models.
    """
    is_missing = np.isnan(values)
    if not is_missing.any():
        return values, np.ones((1, values.shape[1]))
    return np.nan_to_num(values), 1.0 - is_missing


def _counts(posterior: Floats, answered: Floats) -> Floats:
    """Return the answers expected at each node: (n_nodes, n_items), or one column for all items."""
    if len(answered) == 1:
        return posterior.sum(axis=0)[:, None]
    return np.asarray(posterior.T @ answered)


def _grid(n_nodes: int) -> tuple[Floats, Floats]:
    nodes = np.linspace(-WIDEST, WIDEST, n_nodes)
    density = np.exp(-(nodes**2) / 2)
    return nodes, np.log(density / density.sum())

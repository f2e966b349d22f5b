"""Candidates for a short form are compared on models left out of their construction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._item_response import ItemResponse
from ._responses import Responses
from ._ridge import RidgeFromMean
from ._selection import select_items

__all__ = [
    "CANDIDATES",
    "RANDOM_MEAN",
    "Candidate",
    "clearly_best",
    "completed",
    "family_folds",
    "made_candidate",
    "residuals_left_out",
]

Floats = NDArray[np.float64]
RANDOM_MEAN = "random mean"
CANDIDATES = ("random", RANDOM_MEAN, "stratified", "informative", "anchors")
N_STDERRS = 2.0
"""Of a gain that is clear; on planted responses one let candidates win by luck twice as often."""
N_DRAWS = 5
"""Of items drawn at random, so that the luck of a draw decides little."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """Items, and the linear estimate of the full score from them.

    Attributes
    ----------
    positions : array (n,)
        Where the items stand among all, ascending.
    coef : array (n,)
        By which responses are multiplied.
    intercept : float
        What is added.

    """

    positions: NDArray[np.intp]
    coef: Floats
    intercept: float

    def estimate(self, responses: ArrayLike) -> Floats:
        """Return the full scores (n_models,) by responses (n_models, n), within 0 and 1."""
        return np.asarray(np.clip(np.asarray(responses, float) @ self.coef + self.intercept, 0, 1))


def made_candidate(
    training: Responses, model: ItemResponse, n_items: int, name: str, seed: int
) -> Candidate:
    """Return the candidate of a name.

    Parameters
    ----------
    training : Responses
        Of training models, none missing.
    model : ItemResponse
        Fitted to them.
    n_items : int
        How many items it has.
    name : str
        A selection of ``select_items``, with a ridge regression; or ``random mean``.
    seed : int
        Of what is random.

    """
    by = "random" if name == RANDOM_MEAN else name
    chosen = select_items(training, n_items, by=by, model=model, random_state=seed)
    if name == RANDOM_MEAN:
        return Candidate(chosen.positions, chosen.weights, 0.0)
    ridge = RidgeFromMean(weights=chosen.weights)
    ridge.fit(training.values[:, chosen.positions], training.values @ training.weights)
    return Candidate(chosen.positions, ridge.coef_, ridge.intercept_)


def completed(responses: Responses) -> tuple[Responses, ItemResponse]:
    """Return responses with the expected ones where they are missing, and the model fitted."""
    model = ItemResponse().fit(responses.values)
    return replace(responses, values=model.expected_responses(responses.values)), model


def residuals_left_out(
    responses: Responses,
    scores: Floats,
    n_items: int,
    names: Sequence[str],
    is_left_out: NDArray[np.bool_],
    seed: int,
) -> dict[str, Floats]:
    """Return estimated less true full scores of models that everything is made without.

    Parameters
    ----------
    responses : Responses
        Of all models.
    scores : array (n_models,)
        Full scores.
    n_items : int
        How many items a candidate has.
    names : sequence of str
        Candidates.
    is_left_out : array (n_models,) of bool
        Which models are left out.
    seed : int
        Of what is random.

    Returns
    -------
    dict
        By candidate, residuals (n_draws, n_left_out).

    """
    training, model = completed(responses.of(~is_left_out))
    expected = model.expected_responses(responses.values[is_left_out])
    true = scores[is_left_out]
    residuals = {}
    for name in names:
        n_draws = N_DRAWS if name in ("random", RANDOM_MEAN, "stratified") else 1
        seeds = range(seed * N_DRAWS, seed * N_DRAWS + n_draws)
        made = [made_candidate(training, model, n_items, name, each) for each in seeds]
        residuals[name] = np.stack([c.estimate(expected[:, c.positions]) - true for c in made])
    return residuals


def clearly_best(squares: Mapping[str, ArrayLike]) -> str:
    """Return the first candidate, or the best of those that beat it clearly.

    Clearly: the gain in mean square error is, in the mean over parts, larger than two standard
    errors of that mean.

    Parameters
    ----------
    squares : mapping
        By candidate, mean square errors (n_parts,) of the same models, left out part by part.

    Examples
    --------
    >>> clearly_best({"random": [4.0, 6.0, 5.0], "informative": [2.0, 3.0, 3.0]})
    'informative'
    >>> clearly_best({"random": [4.0, 6.0, 5.0], "informative": [1.0, 9.0, 4.0]})
    'random'

    """
    first = next(iter(squares))
    best, most = first, 0.0
    for name, values in squares.items():
        gains = np.asarray(squares[first], float) - np.asarray(values, float)
        stderr = float(np.std(gains, ddof=1)) / len(gains) ** 0.5
        if gains.mean() > max(N_STDERRS * stderr, most):
            best, most = name, float(gains.mean())
    return best


def family_folds(
    families: Sequence[str], n_folds: int, random_state: int
) -> Iterator[NDArray[np.bool_]]:
    """Yield masks of the models that are left out together: whole families, about as many each."""
    names, counts = np.unique(np.asarray(families), return_counts=True)
    tie = np.random.default_rng(random_state).permutation(len(names))
    fold_of: dict[str, int] = {}
    sizes = [0] * min(n_folds, len(names))
    for i in np.lexsort((tie, -counts)):
        smallest = int(np.argmin(sizes))
        fold_of[str(names[i])] = smallest
        sizes[smallest] += int(counts[i])
    fold = np.array([fold_of[str(family)] for family in families])
    for number in range(len(sizes)):
        yield fold == number

"""A short form of a benchmark is some of its items, and an estimate of its full score from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from .._display import counted
from ..errors import DegenerateError, FitError, TooFewModelsError
from ._candidates import (
    CANDIDATES,
    RANDOM_MEAN,
    Candidate,
    clearly_best,
    completed,
    family_folds,
    made_candidate,
    residuals_left_out,
)
from ._responses import Responses

__all__ = ["FEWEST_MODELS", "ShortForm", "shorten"]

Floats = NDArray[np.float64]
FEWEST_MODELS = 20
N_FOLDS = 5
STRONGEST = 0.25


@dataclass(frozen=True, repr=False, eq=False)
class ShortForm:
    """Some items of a benchmark, with the estimate of its full score.

    Attributes
    ----------
    items : tuple of str
        Which they are.
    positions : array (n,)
        Where they stand among all items, ascending.
    coef : array (n,)
        By which answers are multiplied.
    intercept : float
        What is added.
    error : float
        Root mean square error of the full score so estimated, of models whose families were left
        out of the choice of items and of the estimate.
    error_beyond : float
        That of models above ``highest``: of the strongest quarter, by all others alone.
    highest : float
        The best full score of a training model.
    mean_error : float
        That of the plain mean of as many random items, on the same models: the baseline.
    selection : str
        How the items were selected, see ``select_items``; or ``random mean``, where their plain
        mean is the estimate.
    errors : mapping
        By each candidate, ``error`` and ``error_beyond``.
    n_models, n_families, n_items : int
        Training models, their families, and all items of the benchmark.

    See Also
    --------
    shorten : Makes one.
    ItemSelection : Items without an estimate.

    """

    items: tuple[str, ...]
    positions: NDArray[np.intp]
    coef: Floats
    intercept: float
    error: float
    error_beyond: float
    highest: float
    mean_error: float
    selection: str
    errors: Mapping[str, tuple[float, float]]
    n_models: int
    n_families: int
    n_items: int

    def __repr__(self) -> str:
        return f"ShortForm({len(self.items)} of {self.n_items:,} items, error {self.error:.3f})"

    def stderr(self, scores: ArrayLike) -> Floats:
        """Return how far estimated full scores (n_models,) lie from the true ones.

        It is ``error``, or the larger ``error_beyond`` where a score may lie above ``highest``.
        """
        beyond = max(self.error, self.error_beyond)
        may_be_beyond = np.asarray(scores, float) > self.highest - beyond
        return np.where(may_be_beyond, beyond, self.error)

    def estimate(self, answers: ArrayLike) -> Floats:
        """Return the full scores (n_models,) of answers (n_models, n), within 0 and 1."""
        return Candidate(self.positions, self.coef, self.intercept).estimate(answers)


def shorten(
    responses: Responses,
    n_items: int,
    *,
    by: Sequence[str] = CANDIDATES,
    random_state: int = 0,
) -> ShortForm:
    """Choose items of a benchmark and fit the estimate of its full score from them.

    Parameters
    ----------
    responses : Responses
        Of the training models, to all items.
    n_items : int
        How many items to keep.
    by : sequence of str
        Candidates: selections of ``select_items``, or ``random mean``. By default random items,
        their plain mean, stratified, informative ones, and anchors.
    random_state : int
        Seed of what is random.

    Raises
    ------
    TooFewModelsError
        Fewer than 20 models, or all are of one family.
    TooFewItemsError
        The benchmark has no more items than that.
    DegenerateError
        All models have the same score.

    See Also
    --------
    select_items : The choice of items alone.
    ShortForm : What is returned.

    Notes
    -----
    The full score is estimated by ``RidgeFromMean``, by ``random mean`` without any training. All
    is repeated with each fifth of the families left out, and with the strongest quarter of the
    models left out; items that are random are drawn five times there.

    The first candidate is taken unless another is clearly better on the models left out: its mean
    square error is lower by more than two standard errors of that gain over these (six) parts. Of
    several such, the one with the least error is taken. So random items stay, unless choosing
    others shows that it pays.

    The errors on models left out state how far the estimate lies from the truth: widened by
    Student's t over the normal quantile, so that 1.645 of them cover 90% of few families, too.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ability, difficulty = rng.normal(size=(60, 1)), rng.normal(size=200)
    >>> answers = rng.random((60, 200)) < 1 / (1 + np.exp(difficulty - ability))
    >>> names = [str(i) for i in range(200)]
    >>> short = shorten(Responses(answers, models=names[:60], items=names), 20)
    >>> len(short.items), short.error < short.mean_error
    (20, True)

    """
    if not by:
        raise FitError("by names no selection to choose from")
    families = sorted(set(responses.families))
    if responses.n_models < FEWEST_MODELS or len(families) < 2:
        kin = "1 family" if len(families) == 1 else f"{len(families)} families"
        raise TooFewModelsError(
            f"too few models to choose items by: {counted(responses.n_models, 'model')} of {kin}; "
            f"at least {FEWEST_MODELS} models of two families are needed"
        )
    training, model = completed(responses)
    scores = training.values @ training.weights
    if np.ptp(scores) < 1e-9:
        raise DegenerateError("all models have the same score, so that no item tells them apart")
    is_strong = np.zeros(len(scores), bool)
    is_strong[np.argsort(scores, kind="stable")[-round(STRONGEST * len(scores)) :]] = True
    names = tuple(dict.fromkeys((*by, RANDOM_MEAN)))
    *within, beyond = (
        residuals_left_out(responses, scores, n_items, names, mask, random_state + number)
        for number, mask in enumerate(
            (*family_folds(responses.families, N_FOLDS, random_state), is_strong)
        )
    )
    wider = float(stdtrit(len(families) - 1, 0.95) / ndtri(0.95))
    errors = {
        name: (
            min(1.0, wider * _root_mean_square([part[name] for part in within])),
            min(1.0, wider * _root_mean_square([beyond[name]])),
        )
        for name in names
    }
    best = clearly_best(
        {name: [np.mean(part[name] ** 2) for part in (*within, beyond)] for name in by}
    )
    chosen = made_candidate(training, model, n_items, best, random_state)
    return ShortForm(
        items=tuple(responses.items[i] for i in chosen.positions),
        positions=chosen.positions,
        coef=chosen.coef,
        intercept=chosen.intercept,
        error=errors[best][0],
        error_beyond=errors[best][1],
        highest=float(scores.max()),
        mean_error=errors[RANDOM_MEAN][0],
        selection=best,
        errors={name: errors[name] for name in by},
        n_models=responses.n_models,
        n_families=len(families),
        n_items=responses.n_items,
    )


def _root_mean_square(residuals: Sequence[Floats]) -> float:
    """Return that over models, each of which counts alike however often items were drawn."""
    means = np.concatenate([np.mean(part**2, axis=0) for part in residuals])
    return float(np.sqrt(np.mean(means)))

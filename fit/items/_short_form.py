"""A short form of a benchmark is some of its items, and an estimate of its full score from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm as normal
from scipy.stats import t as student

from ..errors import DegenerateError, FitError, TooFewModelsError
from ._item_response import ItemResponse
from ._responses import Responses
from ._ridge import RidgeFromMean
from ._selection import ItemSelection, select_items

__all__ = ["FEWEST_MODELS", "ShortForm", "family_folds", "shorten"]

Floats = NDArray[np.float64]
CANDIDATES = ("stratified", "informative", "anchors")
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
        How the items were selected; see ``select_items``.
    errors : mapping
        By each selection that was tried, ``error`` and ``error_beyond``.
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
        return np.asarray(np.clip(np.asarray(answers, float) @ self.coef + self.intercept, 0, 1))


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
        Selections to choose from, by the error on families that are left out.
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
    The full score is estimated by ``RidgeFromMean``. It and the choice of items are repeated with
    each fifth of the families left out, and with the strongest quarter of the models left out. The
    errors there choose between selections, by the mean square over both, and state how far the
    estimate lies from the truth: widened by Student's t over the normal quantile, so that 1.645 of
    them cover 90% of few families, too.

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
        raise TooFewModelsError(
            f"{responses.n_models} models of {len(families)} families are too few to choose items "
            f"by; at least {FEWEST_MODELS} models of two families are needed"
        )
    scores = full_scores(responses)
    if np.ptp(scores) < 1e-9:
        raise DegenerateError("all models have the same score, so that no item tells them apart")
    within = _Residuals(responses, scores, n_items, (*by, "random"), random_state)
    for is_left_out in family_folds(responses.families, N_FOLDS, random_state):
        within.add(is_left_out)
    beyond = _Residuals(responses, scores, n_items, by, random_state)
    is_strong = np.zeros(len(scores), bool)
    is_strong[np.argsort(scores, kind="stable")[-round(STRONGEST * len(scores)) :]] = True
    beyond.add(is_strong)
    wider = float(student.ppf(0.95, len(families) - 1) / normal.ppf(0.95))
    errors = {
        name: (min(1.0, within.error(name) * wider), min(1.0, beyond.error(name) * wider))
        for name in by
    }
    counts = within.count, beyond.count
    best = min(by, key=lambda name: np.average(np.square(errors[name]), weights=counts))
    model = ItemResponse().fit(responses.values)
    chosen = select_items(responses, n_items, by=best, model=model, random_state=random_state)
    estimator = _fitted(responses, model, chosen)
    return ShortForm(
        items=tuple(responses.items[i] for i in chosen.positions),
        positions=chosen.positions,
        coef=estimator.coef_,
        intercept=estimator.intercept_,
        error=errors[best][0],
        error_beyond=errors[best][1],
        highest=float(scores.max()),
        mean_error=within.error("random"),
        selection=best,
        errors=errors,
        n_models=responses.n_models,
        n_families=len(families),
        n_items=responses.n_items,
    )


def full_scores(responses: Responses) -> Floats:
    """Return the benchmark's score (n_models,) of each model; missing answers are expected ones."""
    if not np.isnan(responses.values).any():
        return responses.values @ responses.weights
    model = ItemResponse().fit(responses.values)
    return model.expected_responses(responses.values) @ responses.weights


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


class _Residuals:
    """Estimated less true full scores of models that are left out, by selection."""

    def __init__(
        self,
        responses: Responses,
        scores: Floats,
        n_items: int,
        selections: Sequence[str],
        random_state: int,
    ) -> None:
        self._responses, self._scores, self._n_items = responses, scores, n_items
        self._parts: dict[str, list[Floats]] = {name: [] for name in selections}
        self._seed = random_state

    @property
    def count(self) -> int:
        """Models that were left out, over all folds."""
        return sum(map(len, next(iter(self._parts.values()))))

    def add(self, is_left_out: NDArray[np.bool_]) -> None:
        """Leave models out of everything, and add their residuals."""
        training = self._responses.of(~is_left_out)
        model = ItemResponse().fit(training.values)
        answers = model.expected_responses(self._responses.values[is_left_out])
        for name, parts in self._parts.items():
            seed = self._seed + len(parts)
            chosen = select_items(training, self._n_items, by=name, model=model, random_state=seed)
            own = answers[:, chosen.positions]
            if name == "random":
                estimated = own @ chosen.weights
            else:
                estimated = _fitted(training, model, chosen).predict(own)
            parts.append(estimated - self._scores[is_left_out])

    def error(self, name: str) -> float:
        """Return the root mean square of a selection's residuals."""
        return float(np.sqrt(np.mean(np.concatenate(self._parts[name]) ** 2)))


def _fitted(training: Responses, model: ItemResponse, chosen: ItemSelection) -> RidgeFromMean:
    answers = model.expected_responses(training.values)
    return RidgeFromMean(weights=chosen.weights).fit(
        answers[:, chosen.positions], answers @ training.weights
    )

"""Select items that are most informative about the full score, or that represent all others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._display import counted
from ..errors import TooFewItemsError, check_choice, check_count
from ._item_response import ItemResponse
from ._responses import Responses

__all__ = ["SELECTIONS", "ItemSelection", "select_items"]

Floats = NDArray[np.float64]
N_ABILITIES = 25
"""Abilities, evenly spread over those of the models, at which items are to be informative."""


@dataclass(frozen=True, repr=False, eq=False)
class ItemSelection:
    """Some items of a benchmark, and how much each counts in a plain mean of them.

    Attributes
    ----------
    positions : array (n,)
        Which items, ascending.
    weights : array (n,)
        How much of the benchmark each stands for; they add up to 1.

    See Also
    --------
    select_items : Makes one.
    ShortForm : Such items, with the estimate of the full score.

    Examples
    --------
    >>> import numpy as np
    >>> from capspace.fit import ItemSelection
    >>> ItemSelection(np.array([0, 7]), np.array([0.5, 0.5]))
    ItemSelection(2 items)

    """

    positions: NDArray[np.intp]
    weights: Floats

    def __repr__(self) -> str:
        return f"ItemSelection({counted(len(self.positions), 'item')})"


def select_items(
    responses: Responses,
    n_items: int,
    *,
    by: str = "stratified",
    model: ItemResponse | None = None,
    random_state: int = 0,
) -> ItemSelection:
    """Select items of a benchmark.

    Parameters
    ----------
    responses : Responses
        Of training models.
    n_items : int
        How many.
    by : {"random", "stratified", "informative", "anchors", "alike"}, default "stratified"
        ``random``: at random. ``stratified``: one at random of each of n strata of difficulty.
        ``informative``: those whose Fisher information leaves the least variance of the full score,
        over the abilities of the models. ``anchors``: of each of n clusters of items of like
        parameters the one nearest to the middle, with the weight of its cluster. ``alike``:
        clusters of items which the same models answer rightly.
    model : ItemResponse, optional
        Fitted to the responses; fitted here by default, where it is needed.
    random_state : int
        Seed of what is random.

    Returns
    -------
    ItemSelection
        Its positions and weights.

    Raises
    ------
    TooFewItemsError
        The benchmark has no more items than that.

    See Also
    --------
    shorten : Also fits the estimate of the full score.
    ItemSelection : What is returned.

    References
    ----------
    F. Maia Polo et al., tinyBenchmarks (2024), arXiv 2402.14992, section 3, for anchors; A. Kipnis
    et al., metabench (2024), arXiv 2407.12844, section 2, for Fisher information.

    Examples
    --------
    >>> import numpy as np
    >>> answers = np.random.default_rng(0).random((30, 40)) < np.linspace(0.1, 0.9, 40)
    >>> names = [str(i) for i in range(40)]
    >>> chosen = select_items(Responses(answers, models=names[:30], items=names), 8)
    >>> len(chosen.positions), round(float(chosen.weights.sum()), 6)
    (8, 1.0)

    """
    check_choice(by, SELECTIONS, "by")
    check_count(n_items, "n_items")
    if n_items >= responses.n_items:
        raise TooFewItemsError(
            f"{n_items:,} items of {responses.n_items:,} are no fewer than all; ask for fewer"
        )
    if model is None and by != "random":
        model = ItemResponse().fit(responses.values)
    rng = np.random.default_rng(random_state)
    positions, weights = SELECTIONS[by](responses, model, n_items, rng)
    order = np.argsort(positions)
    return ItemSelection(positions[order], weights[order] / weights.sum())


_Selected = tuple[NDArray[np.intp], Floats]


def _random(
    responses: Responses, model: ItemResponse, n: int, rng: np.random.Generator
) -> _Selected:
    positions = rng.permutation(responses.n_items)[:n]
    return positions, responses.weights[positions]


def _stratified(
    responses: Responses, model: ItemResponse, n: int, rng: np.random.Generator
) -> _Selected:
    order = np.argsort(model.easiness_, kind="stable")
    # Each item lies in the stratum of the middle of its share, and none is empty.
    strata = [part for part in np.array_split(order, n) if len(part)]
    chosen = np.array([rng.choice(part) for part in strata])
    return chosen, np.array([responses.weights[part].sum() for part in strata])


def _informative(
    responses: Responses, model: ItemResponse, n: int, rng: np.random.Generator
) -> _Selected:
    """Take the item that leaves the least variance of the full score, again and again.

    The variance of the ability is 1 / (1 + Σ information), the prior's 1 included, and that of the
    score at an ability is by the slope there; the mean over abilities is what is minimised.
    """
    abilities = np.quantile(model.ability_, (np.arange(N_ABILITIES) + 0.5) / N_ABILITIES)
    information = model.information(abilities)
    p = model.predict_proba(abilities)
    slope = (model.discrimination_ * p * (1 - p)) @ responses.weights
    total = np.ones(N_ABILITIES)
    chosen: list[int] = []
    is_free = np.ones(responses.n_items, bool)
    for _ in range(n):
        left = (slope[:, None] ** 2 / (total[:, None] + information)).sum(axis=0)
        best = int(np.where(is_free, left, np.inf).argmin())
        chosen.append(best)
        is_free[best] = False
        total = total + information[:, best]
    positions = np.array(chosen)
    return positions, responses.weights[positions]


def _anchors(
    responses: Responses, model: ItemResponse, n: int, rng: np.random.Generator
) -> _Selected:
    parameters = np.column_stack([model.discrimination_, model.easiness_])
    return _clustered(parameters / (parameters.std(axis=0) + 1e-9), responses, n, rng)


def _alike(
    responses: Responses, model: ItemResponse, n: int, rng: np.random.Generator
) -> _Selected:
    return _clustered(model.expected_responses(responses.values).T, responses, n, rng)


def _clustered(points: Floats, responses: Responses, n: int, rng: np.random.Generator) -> _Selected:
    """Return of each cluster of points the item in its middle, and the weight of the cluster."""
    from sklearn.cluster import KMeans

    # Points that coincide are one cluster: what tells them apart decides nothing.
    points = points + 1e-6 * rng.standard_normal(points.shape)
    seed = int(rng.integers(2**31))
    clusters = KMeans(n, n_init=1, max_iter=50, random_state=seed).fit(points)
    nearest = ((points - clusters.cluster_centers_[clusters.labels_]) ** 2).sum(axis=1)
    members = [np.flatnonzero(clusters.labels_ == k) for k in range(n)]
    chosen = np.array([part[nearest[part].argmin()] for part in members])
    return chosen, np.array([responses.weights[part].sum() for part in members])


SELECTIONS: dict[str, Callable[..., _Selected]] = {
    "random": _random,
    "stratified": _stratified,
    "informative": _informative,
    "anchors": _anchors,
    "alike": _alike,
}
"""By name, how items can be selected."""

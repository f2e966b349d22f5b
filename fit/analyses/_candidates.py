"""Candidates are models that may be measured; a choice is a subset of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import ArrayLike

from .._display import SingleRow
from .._json import json_dict
from .criterion import Criterion

__all__ = ["Candidates", "Choice"]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Models that may be measured.

    Attributes
    ----------
    points : (n, k) array
        Capabilities of the models, centred on them.
    units : sequence of n str
        What is taken or left as a whole: each model's family, or its own name.
    cost : (n,) array, optional
        Cost of each model, such as GPU-hours; 1 each by default, so that a budget counts models.

    See Also
    --------
    choose_models : Chooses among them under a budget.
    Choice : What is chosen.

    Examples
    --------
    >>> from capspace.fit import Candidates
    >>> Candidates([[-1.0], [0.2], [0.8]], units=["a", "b", "b"], cost=[1, 2, 4])
    Candidates(3 models, 2 units)

    """

    points: ArrayLike
    units: Sequence[str]
    cost: ArrayLike | None = None

    def __repr__(self) -> str:
        return f"Candidates({len(self.units)} models, {len(set(self.units))} units)"


@dataclass(frozen=True)
class Choice(SingleRow):
    """A chosen subset of models.

    Attributes
    ----------
    units : tuple of str
        Chosen units (families, or single models), in the candidates' order.
    rows : tuple of int
        Chosen models, as row numbers of the candidates.
    criterion : {"V", "A", "D"}
        What was minimised.
    value : float
        The criterion of this subset; infinite if it cannot estimate every component.
    cost, budget : float
        What the subset costs and what was allowed, in models unless costs were given.
    method : {"exhaustive", "exchange", "random"}
        "exhaustive" is a proven optimum; "exchange" is the best of a local search.
    n_evaluated : int
        Subsets whose criterion was computed.

    See Also
    --------
    choose_models, choose_over_budgets : Make the best ones.
    random_choices : Make the ones to compare it with.

    Examples
    --------
    >>> from capspace.fit import Candidates, choose_models
    >>> points = [[-1.0, 0.1], [1.0, 0.0], [0.1, -1.0], [-0.1, 0.9]]
    >>> choice = choose_models(Candidates(points, units=list("abcd")), budget=2)
    >>> choice
    Choice(2 models of 2 units, cost 2 of 2, V 3.8, exhaustive)
    >>> choice.to_frame()["units"].iloc[0]
    ['b', 'c']

    """

    units: tuple[str, ...]
    rows: tuple[int, ...]
    criterion: Criterion
    value: float
    cost: float
    budget: float
    method: Literal["exhaustive", "exchange", "random"]
    n_evaluated: int

    @property
    def n_models(self) -> int:
        """Number of chosen models."""
        return len(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values; an infinite criterion is None."""
        return json_dict({**vars(self), "n_models": self.n_models})

    def __repr__(self) -> str:
        return (
            f"Choice({self.n_models} models of {len(self.units)} units, cost {self.cost:g} of "
            f"{self.budget:g}, {self.criterion} {self.value:.4g}, {self.method})"
        )

"""Compare chosen with random subsets of models, budget by budget."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._display import counted, frame_html
from ..errors import FitError
from .criterion import Criterion, evaluate_criterion, information_entries, whiten
from .design import Candidates, Choice, choose_models, random_choices

__all__ = ["BudgetCurve", "curve_over_budgets", "finite_values"]

Floats = NDArray[np.float64]

_N_RANDOM = 40
_N_BUDGETS = 8


@dataclass(frozen=True, eq=False)
class BudgetCurve:
    """The criterion of chosen and of random subsets at rising budgets; lower is better.

    Attributes
    ----------
    budgets : (m,) array
        Those at which the subset chosen, and some random one, estimate every component.
    chosen : (m,) array
    random : tuple of m arrays
        Of random subsets that estimate every component.
    everything : float
        Of all candidates.

    See Also
    --------
    choose_over_budgets : Chooses for several budgets in one search.
    draw_budget_curve : Draws the curve of a selection.

    Notes
    -----
    V and A are variances. D, minus the log determinant of the information of k components, is
    given as exp(D / k), the geometric mean of the variances, so that it is positive too.

    """

    budgets: Floats
    chosen: Floats
    random: tuple[Floats, ...]
    everything: float

    def to_frame(self) -> pd.DataFrame:
        """Return one row per budget: the subset chosen, and the median and best random one."""
        return pd.DataFrame(
            {
                "budget": self.budgets,
                "chosen": self.chosen,
                "random_median": [float(np.median(values)) for values in self.random],
                "random_best": [float(values.min()) for values in self.random],
            }
        )

    def __repr__(self) -> str:
        if not len(self.budgets):
            return "BudgetCurve(no budget at which random subsets estimate every component)"
        return (
            f"BudgetCurve({counted(len(self.budgets), 'budget')} up to {self.budgets[-1]:g}: "
            f"chosen {self.chosen[-1]:.4g}, all candidates {self.everything:.4g})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)


def curve_over_budgets(
    candidates: Candidates,
    *,
    budget: float,
    criterion: Criterion = "V",
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    random_state: int = 0,
) -> BudgetCurve:
    """Choose models, and draw random ones, at several budgets up to the largest.

    Parameters
    ----------
    candidates : Candidates
        Models to choose from.
    budget : float
        The largest, infinite for that of all candidates; a budget too small to estimate every
        component is left out.
    criterion, include, exclude
        As for ``choose_models``.
    random_state : int
        Seed of the random subsets.

    """
    if budget == np.inf:  # for everything there is
        costs = 1.0 if candidates.cost is None else candidates.cost
        budget = float(np.sum(np.broadcast_to(costs, len(np.asarray(candidates.points)))))
    required, ruled_out = tuple(include), tuple(exclude)
    budgets, chosen, random = [], [], []
    for limit in _budgets(budget, whole=candidates.cost is None):
        try:
            best = choose_models(
                candidates,
                budget=limit,
                criterion=criterion,
                include=required,
                exclude=ruled_out,
            )
        except FitError:
            continue  # too small for every component, or for what must be in
        drawn = random_choices(
            candidates,
            budget=limit,
            criterion=criterion,
            n_choices=_N_RANDOM,
            random_state=random_state,
        )
        if len(values := finite_values(drawn)):
            budgets.append(limit)
            chosen.append(best.value)
            random.append(values)
    z = np.asarray(candidates.points, dtype=float)
    entries = information_entries(whiten(z, z) if criterion == "V" else z).sum(axis=1)
    everything = evaluate_criterion(entries[:, None], criterion)

    def variance(values: Floats) -> Floats:
        return np.asarray(np.exp(values / z.shape[1])) if criterion == "D" else values

    return BudgetCurve(
        np.array(budgets),
        variance(np.array(chosen)),
        tuple(variance(values) for values in random),
        float(variance(everything)[0]),
    )


def finite_values(choices: Iterable[Choice]) -> Floats:
    """Return the criterion of those choices that estimate every component."""
    values = np.array([choice.value for choice in choices], dtype=float)
    return np.asarray(values[np.isfinite(values)])


def _budgets(largest: float, *, whole: bool) -> list[float]:
    """Return rising budgets that end at ``largest``; whole numbers where a budget counts models."""
    even = np.linspace(largest / _N_BUDGETS, largest, _N_BUDGETS)
    if not whole:
        return [float(b) for b in even]
    return [float(b) for b in dict.fromkeys([*np.floor(even[:-1]), largest]) if b >= 1]

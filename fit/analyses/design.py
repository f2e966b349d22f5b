"""Choose which models to measure: optimal subsets of families or of models in a budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import (
    DegenerateError,
    FitError,
    TooFewModelsError,
    UnknownNameError,
    near_matches,
)
from ..law._seeds import random_generator
from ..table.facts import family_key
from ._candidates import Candidates, Choice
from .criterion import Criterion, evaluate_criterion, information_entries, whiten
from .search import Pool, exchange, exhaustive, n_subsets_bound

__all__ = ["Candidates", "Choice", "choose_models", "choose_over_budgets", "random_choices"]

Floats = NDArray[np.float64]
MAX_SUBSETS = 1 << 22


def choose_models(
    candidates: Candidates,
    *,
    budget: float,
    criterion: Criterion = "V",
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    population: ArrayLike | None = None,
    max_units: int | None = None,
    max_subsets: int = MAX_SUBSETS,
    random_state: int = 0,
) -> Choice:
    """Choose the subset of models within ``budget`` from which a law is estimated best.

    The parameters are those of ``choose_over_budgets``, with one budget.

    See Also
    --------
    select_models : The same from a score table.

    Examples
    --------
    >>> import numpy as np
    >>> points = np.array([[-1.0, 0.1], [1.0, 0.0], [0.1, -1.0], [-0.1, 0.9]])
    >>> choose_models(Candidates(points, ["a", "b", "c", "d"]), budget=2).units
    ('b', 'c')

    """
    return choose_over_budgets(
        candidates,
        budgets=[budget],
        criterion=criterion,
        include=include,
        exclude=exclude,
        population=population,
        max_units=max_units,
        max_subsets=max_subsets,
        random_state=random_state,
    )[0]


def choose_over_budgets(
    candidates: Candidates,
    *,
    budgets: Sequence[float],
    criterion: Criterion = "V",
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    population: ArrayLike | None = None,
    max_units: int | None = None,
    max_subsets: int = MAX_SUBSETS,
    random_state: int = 0,
) -> list[Choice]:
    """Choose the best subset of models for each of several budgets in one search.

    Parameters
    ----------
    candidates : Candidates
        Models to choose from.
    budgets : sequence of float
        Largest total cost allowed.
    criterion : {"V", "A", "D"}
        Summed prediction variance over ``population``, summed coefficient variance, or minus the
        log determinant of the information.
    include, exclude : iterable of str
        Units that must be chosen, and units that must not.
    population : (p, k) array, optional
        Models whose prediction counts under "V"; the candidates by default.
    max_units : int, optional
        Largest number of units.
    max_subsets : int
        The search is exhaustive up to this many subsets, by exchange beyond.
    random_state : int
        Seed of the exchange's restarts.

    Returns
    -------
    list of Choice
        One per budget; ``method`` says whether it is a proven optimum.

    Raises
    ------
    TooFewModelsError
        Fewer candidates than components.
    DegenerateError
        No subset within a budget estimates all components.
    UnknownNameError
        A unit to include or exclude is not there.
    FitError
        NaN points, costs that are not positive, units both included and excluded, or an included
        set that alone exceeds a budget.

    See Also
    --------
    choose_models : Chooses for one budget.
    select_models : Chooses from a table of scores, and compares with random subsets.

    References
    ----------
    Ruan et al. 2024, arXiv 2405.10938, section 5 (V-optimality). Atkinson, Donev & Tobias 2007,
    "Optimum Experimental Designs", chapters 10 and 12.

    Examples
    --------
    >>> import numpy as np
    >>> points = np.array([[-1.0, 0.1], [1.0, 0.0], [0.1, -1.0], [-0.1, 0.9]])
    >>> choices = choose_over_budgets(Candidates(points, ["a", "b", "c", "d"]), budgets=[2, 3])
    >>> [choice.units for choice in choices]
    [('b', 'c'), ('a', 'b', 'c')]

    """
    z, charges = _checked(candidates)
    units = candidates.units
    names = list(dict.fromkeys(units))
    must, free = _allowed(names, include, exclude)
    member = np.array([[u == name for u in units] for name in names], dtype=float)
    everyone = z if population is None else np.asarray(population, dtype=float)
    basis = whiten(z, everyone) if criterion == "V" else z
    entries = information_entries(basis) @ member.T
    unit_cost = member @ charges
    pool = Pool(
        entries=np.ascontiguousarray(entries[:, free]),
        costs=unit_cost[free],
        base_entries=entries[:, must].sum(axis=1),
        base_cost=float(unit_cost[must].sum()),
        max_free=len(free) if max_units is None else max(0, min(max_units - len(must), len(free))),
    )
    _check_budgets(budgets, pool, [names[i] for i in must])
    n_bound = n_subsets_bound(pool, max(budgets))
    if n_bound <= max_subsets:
        method: Literal["exhaustive", "exchange"] = "exhaustive"
        optima = exhaustive(pool, budgets, criterion)
    else:
        method = "exchange"
        optima = [
            exchange(pool, b, criterion, random_generator(random_state, i))
            for i, b in enumerate(budgets)
        ]
    choices = []
    for budget, best in zip(budgets, optima, strict=True):
        if not np.isfinite(best.value):
            raise DegenerateError(
                f"no subset within budget {budget:g} estimates all {z.shape[1]} components; "
                "raise the budget or use fewer components"
            )
        chosen = sorted([*must, *(free[i] for i in best.members)])
        choices.append(
            _choice(chosen, names, units, unit_cost, criterion, best.value, budget, method, best.n)
        )
    return choices


def random_choices(
    candidates: Candidates,
    *,
    budget: float,
    n_choices: int,
    random_state: int,
    criterion: Criterion = "V",
) -> list[Choice]:
    """Return random subsets that fill the budget: the yardstick for a chosen one.

    Units are taken in random order, each that still fits, until none does. Parameters as in
    ``choose_over_budgets``; ``n_choices`` subsets are drawn independently.

    See Also
    --------
    choose_models : The best subset.

    Examples
    --------
    >>> import numpy as np
    >>> points = np.array([[-1.0, 0.1], [1.0, 0.0], [0.1, -1.0], [-0.1, 0.9]])
    >>> candidates = Candidates(points, ["a", "b", "c", "d"])
    >>> choices = random_choices(candidates, budget=2, n_choices=5, random_state=0)
    >>> {choice.n_models for choice in choices}
    {2}

    """
    z, charges = _checked(candidates)
    units = candidates.units
    names = list(dict.fromkeys(units))
    member = np.array([[u == name for u in units] for name in names], dtype=float)
    entries = information_entries(whiten(z, z) if criterion == "V" else z) @ member.T
    unit_cost = member @ charges
    rng = random_generator(random_state)
    choices = []
    for _ in range(n_choices):
        chosen: list[int] = []
        for i in rng.permutation(len(names)):
            if unit_cost[[*chosen, i]].sum() <= budget:
                chosen.append(int(i))
        value = float(evaluate_criterion(entries[:, chosen].sum(axis=1)[:, None], criterion)[0])
        choices.append(
            _choice(sorted(chosen), names, units, unit_cost, criterion, value, budget, "random", 1)
        )
    return choices


def _choice(
    chosen: list[int],
    names: list[str],
    units: Sequence[str],
    unit_cost: Floats,
    criterion: Criterion,
    value: float,
    budget: float,
    method: Literal["exhaustive", "exchange", "random"],
    n_evaluated: int,
) -> Choice:
    taken = {names[i] for i in chosen}
    return Choice(
        units=tuple(names[i] for i in chosen),
        rows=tuple(row for row, unit in enumerate(units) if unit in taken),
        criterion=criterion,
        value=value,
        cost=float(unit_cost[chosen].sum()),
        budget=float(budget),
        method=method,
        n_evaluated=n_evaluated,
    )


def _checked(candidates: Candidates) -> tuple[Floats, Floats]:
    """Return the points (n, k) and costs (n,), checked."""
    units, cost = candidates.units, candidates.cost
    z = np.asarray(candidates.points, dtype=float)
    if z.ndim != 2 or len(z) != len(units):
        raise FitError(f"points must be (n, k) with n = {len(units)} units, not {z.shape}")
    if not np.isfinite(z).all():
        row = int(np.argmin(np.isfinite(z).all(axis=1)))
        raise FitError(
            f"candidate {row + 1} ({units[row]}) has no place; leave it out or impute it"
        )
    if len(z) < z.shape[1]:
        raise TooFewModelsError(f"{len(z)} candidates cannot estimate {z.shape[1]} components")
    charges = np.ones(len(z)) if cost is None else np.asarray(cost, dtype=float)
    if charges.shape != (len(z),) or not (charges > 0).all() or not np.isfinite(charges).all():
        raise FitError("cost must be one positive, finite number per candidate")
    return z, charges


def _allowed(
    names: list[str], include: Iterable[str], exclude: Iterable[str]
) -> tuple[list[int], list[int]]:
    spelled = {family_key(name): name for name in names}
    inside, outside = (
        list(dict.fromkeys(u if u in names else spelled.get(family_key(u), u) for u in units))
        for units in (include, exclude)
    )
    for name in [*inside, *outside]:
        if name not in names:
            raise UnknownNameError(f"no candidate {name!r}{near_matches(name, names)}")
    both = [name for name in inside if name in outside]
    if both:
        raise FitError(f"{both[0]!r} is both to include and to exclude")
    must = [names.index(name) for name in inside]
    return must, [i for i, name in enumerate(names) if name not in {*inside, *outside}]


def _check_budgets(budgets: Sequence[float], pool: Pool, must: list[str]) -> None:
    if not len(budgets):
        raise FitError("give at least one budget")
    low = min(budgets)
    if must and pool.base_cost > low:
        raise FitError(
            f"{', '.join(must)} must be included and costs {pool.base_cost:g}, "
            f"more than the budget of {low:g}"
        )
    if not must and (not len(pool.costs) or pool.costs.min() > low):
        raise DegenerateError(f"nothing fits a budget of {low:g}")

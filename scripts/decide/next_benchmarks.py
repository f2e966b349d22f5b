"""What it costs to reach a width by the advised benchmarks, and in other orders."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from capspace.fit.decide import Cost
from capspace.fit.decide._fitted_outlook import FittedOutlook, fitted_outlook
from capspace.fit.decide._options import options_of
from capspace.fit.decide._outlook import Outlook
from capspace.fit.decide._path import first_steps
from capspace.fit.decide._stored_outlook import StoredOutlook, stored_outlook
from capspace.fit.errors import FitError, NothingToMeasureError
from capspace.fit.reference import Reference, Target, load_reference
from capspace.tasks.workload import typical_workloads

Array = NDArray[np.float64]
Order = Sequence[int]

SHARES = (0.5, 0.8)
"""Of the way from the width with one benchmark to that with all of them."""
N_RANDOM = 20
FEWEST_KNOWN = 4
LEAST_GAIN = 0.02
TARGETS = {"study-2024": ("agentbench", "gsm8k-cot", "bbh", "bbh-cot")}


@dataclass(frozen=True)
class Case:
    """A reference model on a target, with all of its scores, and its widths after any of them."""

    outlook: Outlook
    known: tuple[int, ...]
    width: Mapping[frozenset[int], float]
    price: Mapping[int, float]

    def cost(self, order: Order, goal: float) -> float:
        """Return the cost until an order reaches a width; the first is measured already."""
        seen, cost = frozenset(order[:1]), 0.0
        for j in order[1:]:
            if self.width[seen] <= goal:
                break
            seen, cost = seen | {j}, cost + self.price[j]
        return cost


def print_table(arguments: Namespace) -> None:
    """Print the cost of each order in units of the advised one's."""
    print("Next evaluation: cost until the interval is as narrow as wanted, advised order = 1")
    print("(prices: tokens; the cheapest benchmark is measured already; own family left out)")
    head = ("wanted", "cases", "panel", "random", "cheapest first", "all at once")
    print(f"{'reference':14} " + " ".join(f"{h:>14}" for h in head))
    for name in arguments.reference or ("study-2024", "frontier-2026"):
        cases = list(_cases(load_reference(name), arguments.models))
        for share in SHARES:
            _row(name, cases, share)


def _row(name: str, cases: Sequence[Case], share: float) -> None:
    rng = np.random.default_rng(0)
    costs: dict[str, list[float]] = {n: [] for n in ("advised", "panel", "random", "cheap", "all")}
    for case in cases:
        start = min(case.known, key=case.price.__getitem__)
        first, last = case.width[frozenset([start])], case.width[frozenset(case.known)]
        if first - last < LEAST_GAIN * first:
            continue
        goal = first - share * (first - last) + 1e-12
        rest = [j for j in case.known if j != start]
        costs["advised"].append(case.cost(_advised(case, start, goal), goal))
        costs["panel"].append(case.cost([start, *rest], goal))
        drawn = [case.cost([start, *rng.permutation(rest)], goal) for _ in range(N_RANDOM)]
        costs["random"].append(float(np.mean(drawn)))
        costs["cheap"].append(case.cost([start, *sorted(rest, key=case.price.get)], goal))
        costs["all"].append(sum(case.price[j] for j in rest))
    totals = {order: sum(values) for order, values in costs.items()}
    advised = totals.pop("advised")
    cells = [f"{share:.0%} of way", f"{len(costs['advised'])}"]
    cells += [f"{total / advised:.2f}" for total in totals.values()] if advised else []
    print(f"{name:14} " + " ".join(f"{cell:>14}" for cell in cells))


def _advised(case: Case, start: int, goal: float) -> list[int]:
    """Return the order of advice that is asked anew after each measurement."""
    order = [start]
    truth = case.outlook.measured
    prices = {truth.benchmarks[j]: Cost(case.price[j], "tokens") for j in case.known}
    while case.width[frozenset(order)] > goal:
        outlook = outlook_knowing(case.outlook, order)
        try:
            options = options_of(outlook, _REFERENCES[id(case.outlook)], prices)
        except NothingToMeasureError:
            break
        usable = [m for m in options if truth.benchmarks.index(m.benchmark) in case.known]
        if not usable:
            break
        best = first_steps(outlook, outlook.now(), usable)[0]
        order.append(truth.benchmarks.index(best.measurement.benchmark))
    return order


_REFERENCES: dict[int, Reference] = {}


def _cases(reference: Reference, n_models: int) -> list[Case]:
    """Return seeded reference models that have many scores, each on a target that it has."""
    names = TARGETS.get(reference.name) or [
        n for n, e in reference.evaluations.items() if e.status == "offered"
    ]
    work = typical_workloads("plain" if reference.laws is None else "thinking")
    rng = np.random.default_rng(0)
    cases: list[Case] = []
    pairs = [(t, m) for t in map(reference.target, names) for m in models_with_scores(reference, t)]
    for target, model in [pairs[i] for i in rng.permutation(len(pairs))]:
        if len(cases) == n_models:
            break
        try:
            outlook = outlook_without(reference, target, model)
            space = set(reference.space_benchmarks(target))
            measured = outlook.measured
            known = tuple(
                j
                for j, b in enumerate(measured.benchmarks)
                if b in space and not np.isnan(measured.cells[j])
            )
            price = {j: work[measured.benchmarks[j]].tokens for j in known}
            case = Case(outlook, known, _widths(outlook, known), price)
        except FitError:
            continue
        _REFERENCES[id(outlook)] = reference
        cases.append(case)
    return cases


def models_with_scores(reference: Reference, target: Target) -> list[str]:
    """Return the models that have a target's score and enough of its benchmarks to hide some."""
    facts = reference.table.facts
    space = [b for b in reference.space_benchmarks(target) if b in reference.table.benchmarks]
    known = (~np.isnan(reference.table.array(space))).sum(axis=1)
    scored = ~np.isnan(reference.table.array([target.name])[:, 0])
    use = scored & (known >= FEWEST_KNOWN)
    if target.population != "all":
        use &= facts["tuning"] == target.population
    return [str(m) for m in facts["model"][use]]


def outlook_without(reference: Reference, target: Target, model: str) -> Outlook:
    """Return the outlook of a model by laws without its family or provider."""
    facts = reference.table.facts
    place = list(facts["model"]).index(model)
    table = reference.table.select(models=[model], benchmarks=list(reference.benchmarks))
    if reference.laws is None:
        family = {m for m, f in zip(facts["model"], facts["family"], strict=True)
                  if f and f == facts["family"][place]}  # fmt: skip
        return fitted_outlook(table, model, reference, [target], exclude=family)
    own = facts["provider"][place]
    provider = {m for m, p in zip(facts["model"], facts["provider"], strict=True) if p == own}
    day = date(2026, 4, 22)
    return stored_outlook(table, model, reference, [target], exclude=provider, today=day)


def outlook_knowing(outlook: Outlook, known: Sequence[int]) -> Outlook:
    """Return an outlook of which only some benchmarks are known."""
    measured = outlook.measured
    hidden = ~np.isin(np.arange(len(measured.cells)), list(known))
    cells = np.where(hidden, np.nan, measured.cells)
    items = np.where(hidden, np.nan, measured.n_items)
    return replace(outlook, measured=replace(measured, cells=cells, n_items=items))


def _widths(outlook: Outlook, known: tuple[int, ...]) -> dict[frozenset[int], float]:
    """Return the widths after every subset of the known scores, from one prediction."""
    sets = [frozenset(c) for n in range(1, len(known) + 1) for c in combinations(known, n)]
    cells = np.full((len(sets), len(outlook.measured.cells)), np.nan)
    for i, chosen in enumerate(sets):
        cells[i, list(chosen)] = outlook.measured.cells[list(chosen)]
    interval: Callable[[Array], Array] = (
        _fitted_widths(outlook) if isinstance(outlook, FittedOutlook) else _stored_widths(outlook)
    )
    return dict(zip(sets, map(float, interval(cells)), strict=True))


def _fitted_widths(outlook: FittedOutlook) -> Callable[[Array], Array]:
    def widths(cells: Array) -> Array:
        law = outlook.laws[0]
        own = outlook._columns(law)
        some = ~np.isnan(cells[:, own]).all(axis=1)
        out = np.full(len(cells), np.nan)
        interval = outlook._interval(law, cells[some], np.zeros_like(cells[some]))
        out[some] = interval.upper - interval.lower
        return out

    return widths


def _stored_widths(outlook: StoredOutlook) -> Callable[[Array], Array]:
    def widths(cells: Array) -> Array:
        return outlook._bounds(cells, np.tile(outlook.off, (len(cells), 1))).width[:, 0]

    return widths

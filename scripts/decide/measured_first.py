"""How often measuring first settled a verdict without the run, and whether it was right then."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from capspace.fit.decide import Cost, Question
from capspace.fit.decide._judge import worth_measuring
from capspace.fit.decide._options import options_of
from capspace.fit.decide._outlook import Bounds, Outlook
from capspace.fit.decide._path import first_steps, walk
from capspace.fit.errors import FitError, NothingToMeasureError
from capspace.fit.reference import Reference, load_reference
from capspace.tasks.workload import typical_workloads

from .next_benchmarks import (
    FEWEST_KNOWN,
    TARGETS,
    models_with_scores,
    outlook_knowing,
    outlook_without,
)

RANKS = (0.25, 0.5, 0.75)
TOLERANCE = 0.05
RUN = 10.0
"""The run costs as many times the tokens of all benchmarks that the model has."""


@dataclass(frozen=True)
class Settled:
    """What was known after some benchmarks: whether the question is settled, and rightly."""

    tokens: float
    is_settled: bool
    is_right: bool


@dataclass(frozen=True)
class Asked:
    """A question about a model of which one benchmark is known, and how it went.

    Attributes
    ----------
    decision : str
        The first verdict.
    chance : float
        As the verdict states it, that what it advises settles the question.
    run : float
        Tokens of the run.
    at_once, advised, panel : Settled
        After what the first verdict advises, after what all verdicts advise until one is to skip
        or to run, and after as many benchmarks in the panel's order.

    """

    decision: str
    chance: float
    run: float
    at_once: Settled
    advised: Settled
    panel: Settled


def print_table(arguments: Namespace) -> None:
    """Print a row per reference and kind of question."""
    print("Measure first: benchmarks revealed as advised, until the verdict is skip or run")
    print(
        "(the cheapest benchmark is known; own family or provider left out; the run costs "
        f"{RUN:g} times the model's benchmarks)"
    )
    head = ("asked", "skip", "run", "first", "chance", "at once", "settled", "right", "saved")
    print(f"{'reference':14} {'question':12} " + " ".join(f"{h:>8}" for h in head), end="")
    print("  panel order: settled, right, saved")
    for name in arguments.reference or ("study-2024", "frontier-2026"):
        asked = list(_asked(load_reference(name), arguments.models))
        for kind in ("within 0.05", "threshold"):
            _row(name, kind, [each for k, each in asked if k == kind])


def _row(name: str, kind: str, asked: Sequence[Asked]) -> None:
    first = [each for each in asked if each.decision == "measure first"]
    counts = [sum(e.decision == d for e in asked) for d in ("skip", "run", "measure first")]
    cells = [f"{len(asked):8}", *(f"{n:8}" for n in counts)]
    if first:
        settled, right, saved = _summed([e.advised for e in first], first)
        chance = sum(e.chance for e in first)
        at_once = sum(e.at_once.is_settled for e in first)
        cells += [f"{chance:8.1f}", f"{at_once:8}", f"{settled:8}", f"{right:8}", f"{saved:8.1%}"]
        by_panel = _summed([e.panel for e in first], first)
        cells.append(f" {by_panel[0]}, {by_panel[1]}, {by_panel[2]:.1%}")
    print(f"{name:14} {kind:12} " + " ".join(cells))


def _summed(ends: Sequence[Settled], asked: Sequence[Asked]) -> tuple[int, int, float]:
    """Return how many are settled, how many rightly, and the share of the runs' cost saved."""
    runs = sum(e.run for e in asked)
    saved = sum(e.run * s.is_settled - s.tokens for s, e in zip(ends, asked, strict=True))
    return (
        sum(s.is_settled for s in ends),
        sum(s.is_settled and s.is_right for s in ends),
        saved / runs,
    )


def _asked(reference: Reference, n_models: int) -> Iterator[tuple[str, Asked]]:
    names = TARGETS.get(reference.name) or [
        n for n, e in reference.evaluations.items() if e.status == "offered"
    ]
    work = typical_workloads("plain" if reference.laws is None else "thinking")
    rng = np.random.default_rng(1)  # other models than the table of orders draws first
    pairs = [(t, m) for t in map(reference.target, names) for m in models_with_scores(reference, t)]
    n_done = 0
    for target, model in [pairs[i] for i in rng.permutation(len(pairs))]:
        if n_done == n_models:
            break
        truth = reference.table.array([target.name])[:, 0]
        score = float(truth[list(reference.table.facts["model"]).index(model)])
        ranks = np.nanquantile(truth, RANKS)
        try:
            outlook = outlook_without(reference, target, model)
            space = set(reference.space_benchmarks(target))
            known = [
                j
                for j, b in enumerate(outlook.measured.benchmarks)
                if b in space and not np.isnan(outlook.measured.cells[j])
            ]
            if len(known) < FEWEST_KNOWN:
                continue
            price = {j: work[outlook.measured.benchmarks[j]].tokens for j in known}
            case = _Case(outlook, reference, known, price, score)
            asked = [("within 0.05", case.ask(Question(tolerance=TOLERANCE)))]
            asked += [("threshold", case.ask(Question(threshold=float(t)))) for t in ranks]
        except FitError:
            continue
        yield from asked
        n_done += 1


@dataclass(frozen=True)
class _Case:
    """A reference model on a target: the benchmarks that it has, their prices, and its score."""

    outlook: Outlook
    reference: Reference
    known: Sequence[int]
    price: dict[int, float]
    score: float

    def ask(self, question: Question) -> Asked:
        """Ask, measure what is advised, and ask again until there is nothing to measure first."""
        start = min(self.known, key=self.price.__getitem__)
        run = RUN * sum(self.price.values())
        first, chance = self._advised(question, [start], Cost(run, "tokens"))
        order, more = [start], first
        while more:
            order = [*order, *more]
            more, _ = self._advised(question, order, Cost(run, "tokens"))
        in_order = [start, *(j for j in self.known if j != start)]
        is_settled = self._end(question, [start]).is_settled
        return Asked(
            "skip" if is_settled else "measure first" if first else "run",
            chance,
            run,
            self._end(question, [start, *first]),
            self._end(question, order),
            self._end(question, in_order[: len(order)]),
        )

    def _advised(self, question: Question, order: list[int], run: Cost) -> tuple[list[int], float]:
        """Return what a verdict advises after some benchmarks, and the chance that it settles."""
        outlook = outlook_knowing(self.outlook, order)
        now = outlook.now()
        if self._settled(question, now):
            return [], 0.0
        names = outlook.measured.benchmarks
        prices = {names[j]: Cost(self.price[j], "tokens") for j in self.known}
        try:
            options = options_of(outlook, self.reference, prices)
        except NothingToMeasureError:
            return [], 0.0
        left = {names[j] for j in self.known if j not in order}
        usable = [m for m in options if m.benchmark in left]
        steps = walk(outlook, now, first_steps(outlook, now, usable))
        n, chances, _ = worth_measuring(steps, question, run)
        chosen = [names.index(step.measurement.benchmark) for step in steps[:n]]
        return chosen, chances[n - 1] if n else 0.0

    def _settled(self, question: Question, now: Bounds) -> bool:
        return bool(question.is_answered(now.lower, now.upper)[0])

    def _end(self, question: Question, order: Sequence[int]) -> Settled:
        now = outlook_knowing(self.outlook, list(order)).now()
        mean = float(now.mean[0])
        if question.threshold is None:
            is_right = abs(mean - self.score) <= (question.tolerance or 0.0)
        else:
            is_right = (mean >= question.threshold) == (self.score >= question.threshold)
        tokens = sum(self.price[j] for j in order[1:])
        return Settled(tokens, self._settled(question, now), is_right)

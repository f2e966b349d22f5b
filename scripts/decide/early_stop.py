"""Measuring a model's items until the intervals are narrow enough, and what this does to them.

The model predicted is left out of every law with its family. Nothing here is chosen: the first
round and its 20 items per benchmark are those of ``capspace place --until``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capspace.fit import ScoreTable, TargetLaw
from capspace.fit.decide._item_pool import ItemPool, item_variance
from capspace.fit.decide._noise_effect import PredictedWidths
from capspace.fit.decide._stopping import MeasuredItems, first_round, plan_items
from capspace.fit.decide._tolerance import Tolerance
from capspace.fit.errors import FitError
from capspace.fit.reference import Reference

Floats = NDArray[np.float64]
Settings = Sequence[tuple[str, Sequence[str] | None]]
"""What ``--until`` is, and the targets that it is for; None stands for all."""
Outcomes = dict[tuple[str, str], "Outcome"]
"""By "agentic" or "all" targets, and what ``--until`` is."""


@dataclass(frozen=True)
class Tokens:
    """Of a single item, and what all items of a benchmark share, which is read once."""

    each: float
    shared: float = 0.0


@dataclass(frozen=True)
class Answers:
    """A model's results on all items of a benchmark, by task, in the order of their draw."""

    tasks: tuple[Floats, ...]
    pool: ItemPool

    @classmethod
    def of_score(cls, score: float, pool: ItemPool, rng: np.random.Generator) -> Answers:
        """Return as many right answers per task as a score says, at random places."""
        whole = [np.arange(size) < round(score * size) for size in pool.sizes]
        return cls(tuple(rng.permutation(task.astype(float)) for task in whole), pool)

    def first(self, n: int) -> Floats:
        """Return the results of the first n items."""
        return np.array([self.tasks[task][number] for task, number in self.pool.turns(n)])

    def score(self, n: int) -> float:
        """Return the score by the first n items."""
        counts = self.pool.counts(n)
        return float(np.mean([t[:k].mean() for t, k in zip(self.tasks, counts, strict=True)]))


@dataclass
class Outcome:
    """What stopping did to the predictions of some models, a row per model and target."""

    rows: list[dict[str, object]] = field(default_factory=list)

    def add(self, **row: object) -> None:
        """Add a row."""
        self.rows.append(row)

    def widening(self) -> pd.Series:
        """Return by what share each interval is wider than by all items."""
        frame = pd.DataFrame(self.rows)
        return frame["width"] / frame["full_width"] - 1

    def table(self) -> pd.DataFrame:
        """Return a row per target, and one for all."""
        frame = pd.DataFrame(self.rows)
        parts = [(str(t), g) for t, g in frame.groupby("target", sort=False)]
        return pd.DataFrame(
            [_summary(name, group) for name, group in [*parts, ("all", frame)]]
        ).set_index("target")


def _summary(name: str, rows: pd.DataFrame) -> dict[str, object]:
    wider = rows["width"] / rows["full_width"] - 1
    known = rows[rows["truth"].notna()]
    return {
        "target": name,
        "models": rows["model"].nunique(),
        "tokens %": 100 * rows["tokens"].median(),
        "most %": 100 * rows["tokens"].max(),
        "wider %, median": 100 * wider.median(),
        "p90": 100 * wider.quantile(0.9),
        "with truth": len(known),
        "covered, stopped": int(known["covered"].sum()),
        "covered, all items": int(known["full_covered"].sum()),
        "moved, points": 100 * (rows["mean"] - rows["full_mean"]).abs().median(),
    }


def stopped(
    model: str,
    answers: Mapping[str, Answers],
    tokens: Mapping[str, Tokens],
    laws: PredictedWidths,
    tolerance: Tolerance,
) -> tuple[dict[str, int], float]:
    """Return how many items are measured where measuring stops early, and their share of tokens."""
    n = {b: min(first_round(a.pool.n_tasks), a.pool.n_items) for b, a in answers.items()}
    while True:
        measured = [
            MeasuredItems(
                b, a.pool, n[b], item_variance(a.first(n[b])), tokens[b].each,
                shared_tokens=tokens[b].shared,
            )
            for b, a in answers.items()
        ]  # fmt: skip
        rows = [
            {"model": model, "benchmark": b, "score": answers[b].score(k), "n_items": k}
            for b, k in n.items()
        ]
        effect = laws.effect(ScoreTable.from_records(rows))
        plan = plan_items(effect, measured, tolerance)
        if plan.is_done:
            return n, plan.token_share
        n = dict(plan.n_items)


def compare(
    model: str,
    answers: Mapping[str, Answers],
    tokens: Mapping[str, Tokens],
    reference: Reference,
    truths: Mapping[str, float],
    settings: Settings,
    outcomes: Outcomes,
    fitted: dict[str, TargetLaw] | None = None,
) -> None:
    """Predict a model from all items and from those at which measuring stops.

    ``fitted`` has the laws that were fitted before without the same family, and gets those of now.
    """
    fitted = {} if fitted is None else fitted
    full = {b: a.score(a.pool.n_items) for b, a in answers.items()}
    for until, targets in settings:
        laws = PredictedWidths(reference, targets=targets)
        laws._laws = {(t, frozenset()): law for t, law in fitted.items()}
        try:
            n, share = stopped(model, answers, tokens, laws, Tolerance.read(until))
        except FitError as error:
            print(f"  {model}: {error}", file=sys.stderr)
            continue
        fitted |= {t: law for (t, _), law in laws._laws.items()}
        sure = {
            b: item_variance(a.first(a.pool.n_items)) * a.pool.variance_factor(a.pool.n_items)
            for b, a in answers.items()
        }
        open_ = {
            b: item_variance(a.first(n[b])) * a.pool.variance_factor(n[b])
            for b, a in answers.items()
        }
        scores = pd.DataFrame([full, {b: a.score(n[b]) for b, a in answers.items()}], ["f", "s"])
        errors = np.sqrt(pd.DataFrame([sure, open_], ["f", "s"]))
        group = "agentic" if targets else "all"
        for name in targets or reference.targets:
            if name not in fitted:
                continue
            try:
                whole, part = fitted[name].predict(scores, stderr=errors, keep=True)
            except FitError:
                continue
            truth = truths.get(name, np.nan)
            outcomes[group, until].add(
                model=model, target=name, tokens=share,
                width=part.upper - part.lower, full_width=whole.upper - whole.lower,
                mean=part.mean, full_mean=whole.mean, truth=truth,
                covered=part.lower <= truth <= part.upper,
                full_covered=whole.lower <= truth <= whole.upper,
            )  # fmt: skip


def without_family(reference: Reference, model: str) -> Reference:
    """Return the reference without a model and its family."""
    facts = reference.table.models
    family = facts["family"].reindex([model]).iloc[0] or model
    others = facts.index[(facts["family"].where(facts["family"] != "", facts.index) != family)]
    return replace(reference, table=reference.table.select(models=list(others)), evaluations={})

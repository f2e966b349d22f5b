"""How much wider intervals get where measuring ends at a share of the panel's tokens.

Models of study-2024, which are left out of every law with their families; their published scores
are taken for those of all items, from which items are drawn at random, several times per model. A
first round of 20 items per benchmark says which items the rest of the share is spent on, as
``capspace place --until`` does. Of each share:

- ``once``: allocated for all targets at once, after the first round.
- ``in rounds``: half of what is left is spent so, then what noise does is asked anew.
- ``once alone``, ``in rounds alone``: each target has the whole twentieth for itself
  (``--alone``).
- ``once agentic``, ``in rounds agentic``: AgentBench and AgentBoard have the whole fiftieth.
- ``oracle``: allocated by what noise does at the score by all items, which nobody knows before: the
  best that any allocation of this kind can do.
- ``same share``: the baseline, the same share of the items of each benchmark, HumanEval whole.
- ``other items``: all items, but others: as many drawn anew by the model's scores. How much an
  interval differs from this is what no choice among the items can avoid.

``angle`` is the width on the law's own scale, where it does not depend on the place;
``expected`` is the widening that the law's own covariance, at the score by all items, expects of
these numbers of items; what an actual widening has beyond it comes of the model's moving elsewhere.
"Of models' means" is the percentile of what a model's draws widen an interval by in the mean.
Families are dealt to two halves in turn, so that a choice among the kinds can be made on the first.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from time import process_time

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capspace.fit import ScoreTable, load_reference
from capspace.fit.decide import _stopping
from capspace.fit.decide._item_pool import ItemPool
from capspace.fit.decide._noise_effect import NoiseEffect, PredictedWidths
from capspace.fit.decide._stopping import MeasuredItems, first_round, plan_items
from capspace.fit.decide._tolerance import Tolerance
from capspace.fit.errors import FitError
from capspace.fit.law._views import angle
from capspace.fit.reference import Reference

from .early_stop import Tokens, without_family
from .study_items import AGENTIC, POOLS, TOKENS, study_models

SHARES = {"1/20": 1 / 20, "1/50": 1 / 50}
_BINDS_NEVER = Tolerance(1e-9, relative=True)  # so that the share of tokens ends measuring

Counts = dict[str, int]


@dataclass(frozen=True)
class Drawn:
    """How many items of each task of a benchmark were drawn, and how many of these are right."""

    pool: ItemPool
    cost: Tokens
    right: NDArray[np.int64]
    n: NDArray[np.int64]
    hits: NDArray[np.int64]
    rounds: int = 0

    @classmethod
    def none_of(cls, score: float, pool: ItemPool, cost: Tokens) -> Drawn:
        """Return none of the items that a model with this score on all of them answers."""
        right = np.round(score * np.array(pool.sizes)).astype(np.int64)
        return cls(pool, cost, right, np.zeros_like(right), np.zeros_like(right))

    def anew(self, rng: np.random.Generator) -> Drawn:
        """Return as many other items as the benchmark has, all answered by the same model."""
        sizes = np.array(self.pool.sizes)
        hits = rng.binomial(sizes, self.score)
        return replace(self, right=hits, n=sizes, hits=hits, rounds=1)

    def up_to(self, n: int, rng: np.random.Generator) -> Drawn:
        """Return the first n items, of which these are some."""
        counts = self.pool.counts(n)
        more, left = counts - self.n, np.array(self.pool.sizes) - self.n
        good = self.right - self.hits
        hits = rng.hypergeometric(good, left - good, more)
        rounds = self.rounds + bool(more.any())
        return replace(self, n=counts, hits=self.hits + hits, rounds=rounds)

    @property
    def n_items(self) -> int:
        """How many were drawn."""
        return int(self.n.sum())

    @property
    def score(self) -> float:
        """The mean of the tasks."""
        return float(np.mean(self.hits / self.n))

    @property
    def variance(self) -> float:
        """Of a single item, by those drawn, as ``item_variance``."""
        p = (self.hits.sum() + 1) / (self.n_items + 2)
        return float(p * (1 - p))

    @property
    def stderr(self) -> float:
        """Of the score."""
        return float(np.sqrt(self.variance * self.pool.variance_factor(self.n_items)))


Panel = Mapping[str, Drawn]


def tokens_of(panel: Panel) -> float:
    """Return the tokens of the items drawn, and of what these share, which each round reads."""
    return sum(d.cost.each * d.n_items + d.cost.shared * d.rounds for d in panel.values())


def drawn(panel: Panel, n: Mapping[str, int], rng: np.random.Generator) -> Panel:
    """Return the first n items of each benchmark."""
    return {b: d.up_to(max(n[b], d.n_items), rng) for b, d in panel.items()}


def allocated(panel: Panel, effect: NoiseEffect, tokens: float) -> Counts:
    """Return how many items of each benchmark some tokens in all are best spent on."""
    measured = [
        MeasuredItems(
            b, d.pool, d.n_items, d.variance,
            d.cost.each, d.cost.each, d.cost.shared, d.cost.shared,
        )
        for b, d in panel.items()
    ]  # fmt: skip
    left = max(0.0, tokens - tokens_of(panel))
    return dict(plan_items(effect, measured, _BINDS_NEVER, seconds=left).n_items)


def true_variance(panel: Panel) -> NDArray[np.float64]:
    """Return the variances of the scores by the items drawn, given the answers to all of them."""
    return np.array([
        (p := d.right.sum() / d.pool.n_items) * (1 - p) * d.pool.variance_factor(d.n_items)
        for d in panel.values()
    ])  # fmt: skip


@dataclass(frozen=True)
class Study:
    """The laws without one family, which say what noise does to a model's intervals."""

    laws: PredictedWidths

    def effect(self, panel: Panel, targets: Sequence[str] | None = None) -> NoiseEffect:
        """Return what noise does to some targets at the scores by the items drawn."""
        laws = self.laws
        if targets is not None:
            laws = PredictedWidths(laws.reference, targets=targets)
            laws._laws = self.laws._laws
        scores = pd.DataFrame([{b: d.score for b, d in panel.items()}], ["row"])
        errors = pd.DataFrame([{b: d.stderr for b, d in panel.items()}], ["row"])
        return laws.effect(ScoreTable.from_wide(scores, stderr=errors))


def choices(
    study: Study,
    whole: Panel,
    first: Panel,
    oracle: NoiseEffect,
    rng: np.random.Generator,
    *,
    alone: bool,
    kinds: Collection[str],
) -> Iterator[tuple[str, str, list[str], Panel]]:
    """Yield share, kind, the targets that it serves, and what is drawn."""

    def is_wanted(kind: str) -> bool:
        return not kinds or kind in kinds

    effects = {"once": study.effect(first), "oracle": oracle}
    every = [t for t in oracle.targets if all(t in e.targets for e in effects.values())]
    agentic = [t for t in every if t in AGENTIC]
    if is_wanted("other items"):
        yield "all", "other items", every, {b: d.anew(rng) for b, d in whole.items()}
    for name, share in SHARES.items():
        tokens = share * tokens_of(whole)
        groups = [("", every)]
        groups += [(" alone", [target]) for target in every if alone and name == "1/20"]
        groups += [(" agentic", agentic)] if agentic and name == "1/50" else []
        for (title, targets), (kind, effect) in product(groups, effects.items()):
            if is_wanted(kind + title):
                n = allocated(first, effect.of(targets), tokens)
                yield name, kind + title, targets, drawn(first, n, rng)
            if kind == "once" and is_wanted("in rounds" + title):
                half = (tokens_of(first) + tokens) / 2
                n = allocated(first, effect.of(targets), half)
                panel = drawn(first, n, rng)
                anew = study.effect(panel, targets)
                n = allocated(panel, anew, tokens)
                yield name, "in rounds" + title, targets, drawn(panel, n, rng)
        same = {b: max(d.pool.n_tasks, round(share * d.pool.n_items)) for b, d in whole.items()}
        same |= {b: d.pool.n_items for b, d in whole.items() if b == "HumanEval"}
        nothing = {b: replace(d, n=0 * d.n, hits=0 * d.n, rounds=0) for b, d in whole.items()}
        if is_wanted("same share"):
            yield name, "same share", every, drawn(nothing, same, rng)


def compare(
    model: str, study: Study, reference: Reference, seed: int, arguments: Namespace
) -> list[dict[str, object]]:
    """Predict one model from all items, and from each share of them; a row per prediction."""
    truths = reference.table.wide().loc[model]
    rng = np.random.default_rng([3, seed])
    costs, kinds = TOKENS[arguments.backend], arguments.kind
    alone = arguments.alone or any(kind.endswith("alone") for kind in kinds)
    nothing = {
        str(b): Drawn.none_of(float(score), ItemPool(POOLS[str(b)]), costs[str(b)])
        for b, score in reference.scores().loc[model].dropna().items()
    }
    whole = drawn(nothing, {b: d.pool.n_items for b, d in nothing.items()}, rng)
    fewest = {b: min(first_round(d.pool.n_tasks), d.pool.n_items) for b, d in whole.items()}
    oracle = study.effect(whole)
    made = [
        (i, *choice)
        for i in range(arguments.draws)
        for first in [drawn(nothing, fewest, rng)]
        for choice in choices(study, whole, first, oracle, rng, alone=alone, kinds=kinds)
    ]
    rows: list[dict[str, object]] = []
    for target in dict.fromkeys(t for *_, targets, _ in made for t in targets):
        mine = [(i, share, kind, panel) for i, share, kind, targets, panel in made
                if target in targets]  # fmt: skip
        panels = [whole, *(m[3] for m in mine)]
        names = [f"row {i}" for i in range(len(panels))]
        scores = pd.DataFrame([{b: d.score for b, d in p.items()} for p in panels], names)
        errors = pd.DataFrame([{b: d.stderr for b, d in p.items()} for p in panels], names)
        try:
            predictions = study.laws.law(target).predict(scores, stderr=errors, keep=True)
        except FitError as error:
            print(f"  {model}, {target}: {error}", file=sys.stderr)
            continue
        bounds = np.array([[p.lower, p.mean, p.upper] for p in predictions])
        (full_lower, full_mean, full_upper), *parts = bounds
        truth = float(truths.get(target, np.nan))
        i_target, expected_full = oracle.targets.index(target), oracle.widths(true_variance(whole))
        for (i, share, kind, panel), (lower, mean, upper) in zip(mine, parts, strict=True):
            expected = oracle.widths(true_variance(panel))
            rows.append({
                "model": model, "draw": i, "share": share, "kind": kind, "target": target,
                "case": f"{model}: {target}",
                "tokens": tokens_of(panel) / tokens_of(whole),
                "expected": float(expected[i_target] / expected_full[i_target]) - 1,
                "width": upper - lower, "full_width": full_upper - full_lower,
                "angle": angle(upper) - angle(lower),
                "full_angle": angle(full_upper) - angle(full_lower),
                "mean": mean, "full_mean": full_mean, "truth": truth,
                "covered": lower <= truth <= upper,
                "full_covered": full_lower <= truth <= full_upper,
            })  # fmt: skip
    return rows


def models_to_predict(n_models: int, others_than: Sequence[int]) -> list[str]:
    """Return models of the study, or base models that runs with so many models did not have."""
    if not others_than:
        return study_models(n_models)
    known = {model for n in others_than for model in study_models(n)}
    base = [str(m) for m in load_reference("study-2024").scores("base").dropna().index]
    return study_models(n_models, [m for m in base if m not in known])


def simulate(models: Sequence[str], arguments: Namespace) -> Iterator[pd.DataFrame]:
    """Yield the rows of one family after another; ``half`` is which half it is dealt to."""
    reference = load_reference("study-2024")
    facts = reference.table.models["family"].reindex(models)
    family = {m: str(f) if f else m for m, f in facts.items()}
    _stopping._LADDER = ()  # the curve of a plan, which nobody looks at here
    seed = arguments.first_seed
    for number, name in enumerate(dict.fromkeys(family[m] for m in models)):
        own = [m for m in models if family[m] == name]
        study = Study(PredictedWidths(without_family(reference, own[0])))
        rows = []
        for model in own:
            rows += compare(model, study, reference, seed, arguments)
            seed += 1
        yield pd.DataFrame(rows).assign(family=name, half=number % 2)


def summary(rows: pd.DataFrame) -> pd.Series:
    """Return how much wider intervals are, and how many contain the truth."""
    wider = 100 * (rows["width"] / rows["full_width"] - 1)
    by_model = wider.groupby(rows["case"]).mean()
    known = rows[rows["truth"].notna()]
    return pd.Series({
        "models": rows["model"].nunique(),
        "tokens %": 100 * rows["tokens"].median(),
        "wider %, median": wider.median(),
        "p90": wider.quantile(0.9),
        "of models' means, p90": by_model.quantile(0.9),
        "on the law's scale, p90": 100 * (rows["angle"] / rows["full_angle"] - 1).quantile(0.9),
        "expected %": 100 * rows["expected"].mean(),
        "points, p90": 100 * (rows["width"] - rows["full_width"]).quantile(0.9),
        "covered %": 100 * known["covered"].astype(float).mean(),
        "by all %": 100 * known["full_covered"].astype(float).mean(),
        "moved, points": 100 * (rows["mean"] - rows["full_mean"]).abs().median(),
    })  # fmt: skip


def print_table(arguments: Namespace) -> None:
    """Print a line per family as it is done, then a table per share and kind, for each half."""
    parts: list[pd.DataFrame] = []
    models = models_to_predict(arguments.models, arguments.others_than)
    for part in simulate(models, arguments):
        parts.append(part)
        names = ", ".join(part["model"].unique())
        print(f"  {part['family'].iloc[0]}: {names} ({process_time():.0f} CPU s)", flush=True)
        if arguments.rows is not None:
            pd.concat(parts).to_csv(arguments.rows, index=False)
    rows = pd.concat(parts)
    for half, title in ((0, "to choose on"), (1, "reported")):
        own = rows[rows["half"] == half]
        print(f"\nall targets, families {title}: {own['family'].nunique()}")
        print(own.groupby(["share", "kind"]).apply(summary).round(1).to_string())
    for (share, kind), own in rows[rows["half"] == 1].groupby(["share", "kind"]):
        print(f"\n{share}, {kind}, reported families")
        print(own.groupby("target", sort=False).apply(summary).round(1).to_string(), flush=True)

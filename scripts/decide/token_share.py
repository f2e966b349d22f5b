"""How much wider intervals get where measuring ends at a share of the panel's tokens.

Models of study-2024, which are left out of every law with their families; their published scores
are taken for those of all items, from which items are drawn at random. A first round of 50 items
per benchmark says which items the rest of the share is spent on, as ``capspace place --until``
does; nothing here is chosen by its outcome. Of each share:

- ``alone``: each target has the whole share for itself.
- ``together``: one allocation for all targets, or for AgentBench and AgentBoard, at once.
- ``same share``: the baseline, the same share of the items of each benchmark, HumanEval whole.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from capspace.fit import ScoreTable, load_reference
from capspace.fit.decide._item_pool import ItemPool
from capspace.fit.decide._noise_effect import NoiseEffect, PredictedWidths
from capspace.fit.decide._stopping import FIRST_ITEMS, MeasuredItems, item_variance, plan_items
from capspace.fit.decide._tolerance import Tolerance
from capspace.fit.errors import FitError

from .stopping import AGENTIC, POOLS, TOKENS, Answers, Outcome, study_models, without_family

SHARES = {"1/20": 1 / 20, "1/50": 1 / 50}
_BINDS_NEVER = Tolerance(1e-3, relative=True)  # so that the share of tokens ends measuring
_COPIES = 2  # of each row, whose random completions are averaged

Counts = dict[str, int]


def allocated(
    answers: Mapping[str, Answers], first: Counts, effect: NoiseEffect, share: float
) -> Counts:
    """Return how many items of each benchmark a share of all tokens is best spent on."""
    measured = [
        MeasuredItems(b, a.pool, first[b], item_variance(a.first(first[b])), TOKENS[b], TOKENS[b])
        for b, a in answers.items()
    ]
    whole = sum(m.tokens * m.pool.n_items for m in measured)
    left = share * whole - sum(m.tokens * m.n_items for m in measured)
    return dict(plan_items(effect, measured, _BINDS_NEVER, seconds=left).n_items)


def same_share(answers: Mapping[str, Answers], share: float) -> Counts:
    """Return the same share of the items of each benchmark, and all of HumanEval."""
    n = {b: max(a.pool.n_tasks, round(share * a.pool.n_items)) for b, a in answers.items()}
    return n | {b: answers[b].pool.n_items for b in n if b == "HumanEval"}


def _of_targets(effect: NoiseEffect, targets: list[str]) -> NoiseEffect:
    rows = [effect.targets.index(target) for target in targets]
    return replace(
        effect, targets=tuple(targets), width=effect.width[rows], effect=effect.effect[rows]
    )


def choices(
    answers: Mapping[str, Answers], first: Counts, effect: NoiseEffect
) -> Iterator[tuple[str, str, list[str], Counts]]:
    """Yield share, kind, the targets that it serves, and items of each benchmark."""
    agentic = [t for t in effect.targets if t in AGENTIC]
    for name, share in SHARES.items():
        for target in effect.targets:
            n = allocated(answers, first, _of_targets(effect, [target]), share)
            yield name, "alone", [target], n
        yield name, "together", list(effect.targets), allocated(answers, first, effect, share)
        if agentic and name == "1/50":
            n = allocated(answers, first, _of_targets(effect, agentic), share)
            yield name, "agentic together", agentic, n
        yield name, "same share", list(effect.targets), same_share(answers, share)


def _row(answers: Mapping[str, Answers], n: Counts) -> tuple[dict[str, float], dict[str, float]]:
    """Return scores and their standard errors."""
    variance = {
        b: item_variance(a.first(n[b])) * a.pool.variance_factor(n[b]) for b, a in answers.items()
    }
    return {b: a.score(n[b]) for b, a in answers.items()}, {b: v**0.5 for b, v in variance.items()}


def compare(model: str, seed: int, outcomes: dict[tuple[str, str], Outcome]) -> None:
    """Predict one model from all items, and from each share of them."""
    reference = load_reference("study-2024")
    others, truths = without_family(reference, model), reference.table.wide().loc[model]
    rng = np.random.default_rng([3, seed])
    answers = {
        str(b): Answers.of_score(float(score), ItemPool(POOLS[str(b)]), rng)
        for b, score in reference.scores().loc[model].dropna().items()
    }
    first = {b: min(max(FIRST_ITEMS, a.pool.n_tasks), a.pool.n_items) for b, a in answers.items()}
    laws = PredictedWidths(others)
    effect = laws.effect(ScoreTable.from_wide(pd.DataFrame([_row(answers, first)[0]], ["row"])))
    whole = {b: a.pool.n_items for b, a in answers.items()}
    all_tokens = sum(TOKENS[b] * k for b, k in whole.items())
    made = list(choices(answers, first, effect))
    for target in effect.targets:
        mine = [(share, kind, n) for share, kind, targets, n in made if target in targets]
        rows = [_row(answers, n) for n in (whole, *(n for *_, n in mine))]
        rows = [row for row in rows for _ in range(_COPIES)]
        names = [f"row {i}" for i in range(len(rows))]
        scores, errors = (pd.DataFrame(part, names) for part in zip(*rows, strict=True))
        law = laws.law(target)
        try:
            predictions = law.predict(scores, stderr=errors, keep=True)
        except FitError as error:
            print(f"  {model}, {target}: {error}", file=sys.stderr)
            continue
        bounds = np.array([[p.lower, p.mean, p.upper] for p in predictions])
        (full_lower, full_mean, full_upper), *parts = bounds.reshape(-1, _COPIES, 3).mean(axis=1)
        truth = float(truths.get(target, np.nan))
        for (share, kind, n), (lower, mean, upper) in zip(mine, parts, strict=True):
            outcomes.setdefault((share, kind), Outcome()).add(
                model=model, target=target,
                tokens=sum(TOKENS[b] * k for b, k in n.items()) / all_tokens,
                width=upper - lower, full_width=full_upper - full_lower,
                mean=mean, full_mean=full_mean, truth=truth,
                covered=lower <= truth <= upper, full_covered=full_lower <= truth <= full_upper,
            )  # fmt: skip


def print_table(arguments: Namespace) -> None:
    """Print a line per model as it is done, then a table per share and kind."""
    outcomes: dict[tuple[str, str], Outcome] = {}
    models = study_models(arguments.models)
    half = (len(models) + 1) // 2  # base models and agents in turn
    for i, model in enumerate(sorted(models, key=lambda m: models.index(m) % half)):
        compare(model, i, outcomes)
        so_far = (
            f"{share} {kind} {100 * outcome.widening().median():.1f}%"
            for (share, kind), outcome in outcomes.items()
        )
        print(f"  {i + 1}. {model}: median so far: {'; '.join(so_far)}", flush=True)
    for (share, kind), outcome in outcomes.items():
        print(
            f"\n{share} of the tokens, {kind}\n{outcome.table().round(1).to_string()}", flush=True
        )

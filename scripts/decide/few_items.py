"""How often intervals and verdicts hold that rest on few items per benchmark."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capspace.fit.errors import FitError
from capspace.fit.prediction import TargetLaw
from capspace.fit.prediction._completion import complete
from capspace.fit.prediction._target_law import default_method
from capspace.fit.reference import Reference, load_reference
from capspace.fit.table.doubtful import is_far_below_chance
from capspace.fit.table.sampling import binomial_stderr

Array = NDArray[np.float64]

REFERENCE = "study-2024"
TARGETS = ("bbh", "gsm8k-cot", "agentbench", "arithmetic-2da")
ITEMS = (3, 5, 10, 30, 0)
"""Items of each benchmark; 0 is all of them, whose noise the law has learned."""
DRAWS = 4
RANKS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Held:
    """Predictions of models left out, and how often they hold.

    Attributes
    ----------
    covered, width : (n,)
    skipped, right : (n,)
        Of the questions whether the score is above a rank of the target's scores.

    """

    covered: Array
    width: Array
    skipped: Array
    right: Array


def print_table(arguments: Namespace) -> None:
    """Print a row per number of benchmarks and of items."""
    print(f"Few items: models of {REFERENCE} without their family, binomial draws, 90% intervals")
    head = ("items", "models", "inside", "width", "skip", "right")
    print(f"{'benchmarks':10} " + " ".join(f"{h:>8}" for h in head))
    parts: dict[tuple[str, int], list[Held]] = {}
    for key, held in _held(load_reference(REFERENCE)):
        parts.setdefault(key, []).append(held)
    for (benchmarks, items), rows in sorted(parts.items()):
        covered, width, skipped, right = (
            np.concatenate([getattr(r, name) for r in rows])
            for name in ("covered", "width", "skipped", "right")
        )
        print(
            f"{benchmarks:10} {items or 'all':>8} {len(covered):8} {covered.mean():8.1%} "
            f"{np.median(width):8.3f} {skipped.sum() / len(RANKS) / len(covered):8.1%} "
            f"{right.sum() / skipped.sum():8.1%}"
        )


def _held(reference: Reference) -> Iterator[tuple[tuple[str, int], Held]]:
    family = dict(zip(*(map(str, reference.table.facts[n]) for n in ("model", "family")),
                      strict=True))  # fmt: skip
    for name in TARGETS:
        truth = TargetLaw(name).fit(reference).truth_
        thresholds = np.quantile(truth, RANKS)
        for own in sorted({family[str(m)] for m in truth.index}):
            models = [m for m in truth.index if family[str(m)] == own]
            try:
                law = TargetLaw(name).fit(
                    reference, exclude=[m for m, f in family.items() if f == own]
                )
            except FitError:
                continue  # without the family no law is determined
            for items in ITEMS:
                for few in (True, False):
                    rng = np.random.default_rng([items, few, *own.encode()])
                    rows = _drawn(law, reference, models, items, rng, two=few)
                    if len(rows[2]):
                        y = truth.loc[models].to_numpy(dtype=float)[rows[2]]
                        yield (
                            ("two" if few else "all", items),
                            _judged(law, reference, rows[0], rows[1], y, thresholds),
                        )


def _drawn(
    law: TargetLaw,
    reference: Reference,
    models: Sequence[str],
    items: int,
    rng: np.random.Generator,
    *,
    two: bool,
) -> tuple[Array, Array, NDArray[np.intp]]:
    """Return scores on some items (n, p), their standard errors, and whose they are (n,)."""
    benchmarks = list(law.feature_names_in_)
    published = reference.scores().loc[list(models), benchmarks].to_numpy(dtype=float)
    chance = np.array([reference.chance_levels.get(b, 0.0) for b in benchmarks])
    scores, errors, whose = [], [], []
    for _ in range(DRAWS if items else 1):
        for i, row in enumerate(published):
            known = np.flatnonzero(~np.isnan(row))
            if len(known) < 2:
                continue
            used = rng.permutation(known)[:2] if two else known
            score, error = np.full(len(row), np.nan), np.zeros(len(row))
            score[used] = row[used]
            if items:
                drawn = rng.binomial(items, row[used]) / items
                stated = np.sqrt(drawn * (1 - drawn) / max(items - 1, 1))  # as lm-eval states it
                usable = ~is_far_below_chance(drawn, chance[used], float(items))
                score[used] = np.where(usable, drawn, np.nan)
                error[used] = np.where(stated > 0, stated, binomial_stderr(drawn, items)) * usable
            if not np.isnan(score).all():
                scores.append(score)
                errors.append(error)
                whose.append(i)
    return np.array(scores), np.array(errors), np.array(whose, dtype=np.intp)


def _judged(
    law: TargetLaw, reference: Reference, scores: Array, errors: Array, truth: Array, at: Array
) -> Held:
    filled, spread = complete(law.fitted_.training, scores, errors)
    made = default_method(reference).predict(law.fitted_, filled, level=0.9, spread=spread)
    skipped = (made.lower[:, None] > at) | (made.upper[:, None] < at)
    right = skipped & ((made.mean[:, None] >= at) == (truth[:, None] >= at))
    return Held(
        ((made.lower <= truth) & (truth <= made.upper)).astype(float),
        made.upper - made.lower,
        skipped.sum(axis=1).astype(float),
        right.sum(axis=1).astype(float),
    )

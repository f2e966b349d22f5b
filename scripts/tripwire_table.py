"""How often clean models of a reference get an alarm, and how often those with a planted fault do.

Every model is checked by a fit, and a calibration, without any model of its fold of families (of
providers, where vendors report). The faults, and where their sizes come from:

- wrong template: all generated scores x 0.26. GSM8K of Llama-3.1-8B-Instruct under lm-eval fell
  from 0.785 to 0.202 by template and strict filter (lm-evaluation-harness, pull request 2034).
- mild template: all generated scores x 0.88, the largest loss of five models on GSM8K between a
  server's own template and none (sglang, pull request 11117).
- truncated: one generated score x 0.72. A reasoning model's GSM8K was 0.72 with 384 tokens, and
  1.00 with 2,048 (elizaOS/eliza, pull request 10670).
- swapped label: two of four labels are exchanged, so that the half of the items that has them is
  right only where the model errs to the other: s -> s/2 + (1 - s)/6; with two choices s -> 1 - s.
  Benchmarks of choices alone, by arithmetic.
- percent: a fraction divided by 100.
- contaminated: one score + 0.10, at most 1, which is an assumption.

In turn each benchmark that a model has is hit; found is an alarm that names it, elsewhere one that
names others alone. "of large" are the faults that move the score by at least 0.1. With --store, the
files in the folders of the references are written instead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from capspace.fit import load_reference
from capspace.fit._files import write_whole
from capspace.fit.decide._alarms import ALARM_RATE, alarms_of_arrays
from capspace.fit.decide._reference_siblings import fit_reference_siblings
from capspace.fit.decide._siblings import SiblingModel
from capspace.fit.decide._stored_siblings import SIBLINGS, as_json
from capspace.fit.reference._packaged import reference_folder

REFERENCES = ("study-2024", "frontier-2026", "epoch-2026", "openllm-v2")

Array = NDArray[np.float64]
_MOST_MODELS = 400
_LARGE = 0.1 - 1e-9


@dataclass(frozen=True)
class Row:
    """Found and planted faults of one kind in one reference."""

    reference: str
    fault: str
    n: int
    n_named: int
    elsewhere: int
    n_large: int
    found_large: int

    @property
    def share(self) -> float:
        """Share found."""
        return self.n_named / self.n


def _singly(hit: NDArray[np.bool_]) -> Iterator[NDArray[np.int_]]:
    for j in np.flatnonzero(hit):
        yield np.array([j])


def _together(hit: NDArray[np.bool_]) -> Iterator[NDArray[np.int_]]:
    if hit.any():
        yield np.flatnonzero(hit)


def _swapped(s: Array, chance: Array) -> Array:
    two = chance > 0.4
    return np.where(two, 1 - s, s / 2 + (1 - s) / 6)


Fault = tuple[str, Callable[[NDArray[np.bool_]], Iterator[NDArray[np.int_]]], Callable[..., Array]]
TEXT: tuple[Fault, ...] = (
    ("wrong template", _together, lambda s, c: 0.26 * s),
    ("mild template", _together, lambda s, c: 0.88 * s),
    ("truncated", _singly, lambda s, c: 0.72 * s),
)
CHOICE: tuple[Fault, ...] = (("swapped label", _singly, _swapped),)
ANY: tuple[Fault, ...] = (
    ("percent", _singly, lambda s, c: s / 100),
    ("contaminated +0.10", _singly, lambda s, c: np.minimum(s + 0.1, 1.0)),
)


def rows_of(name: str) -> list[Row]:
    """Return the false alarms and the faults found in one reference."""
    reference = load_reference(name)
    whole, left_out = fit_reference_siblings(reference)
    scores = reference.scores().to_numpy(dtype=float)[left_out.rows]
    scores = scores[:, [list(map(str, reference.benchmarks)).index(b) for b in whole.benchmarks]]
    chance = reference.chance(whole.benchmarks)
    order = np.random.default_rng(0).permutation(len(scores))[:_MOST_MODELS]
    counts: dict[str, list[int]] = {}

    def check(
        fold_model: SiblingModel, row: Array, hit: set[int], fault: str, *, is_large: bool = False
    ) -> None:
        alarms = alarms_of_arrays(fold_model, ["m"], row[None], None, chance)
        named = {whole.benchmarks.index(b) for a in alarms for b in a.benchmarks}
        tally = counts.setdefault(fault, [0, 0, 0, 0, 0])
        tally[0] += 1
        is_named = bool(named & hit) if hit else bool(named)
        tally[1] += is_named
        tally[2] += bool(named) and not is_named
        tally[3] += is_large
        tally[4] += is_large and is_named

    models = {k: left_out.without(k, whole) for k in left_out.posteriors}
    for i in order.tolist():
        model, row = models[int(left_out.fold[i])], scores[i]
        known = ~np.isnan(row)
        check(model, row, set(), "none (false alarms)")
        for faults, where in (
            (TEXT, known & whole.generated),
            (CHOICE, known & ~whole.generated & (chance > 0)),
            (ANY, known),
        ):
            for fault, hits, plant in faults:
                for hit in hits(where):
                    changed = row.copy()
                    changed[hit] = plant(row[hit], chance[hit])
                    moved = float(np.abs(changed[hit] - row[hit]).mean())
                    large = moved >= _LARGE
                    check(model, changed, set(hit.tolist()), fault, is_large=large)
    return [Row(name, fault, *tally) for fault, tally in counts.items()]


def print_table(names: list[str]) -> None:
    """Print the table of some references."""
    print(f"alarms at a rate of {ALARM_RATE:.0%} per model without a fault")
    print(
        f"{'reference':<15}{'fault':<22}{'planted':>8}{'found':>8}{'elsewhere':>11}{'of large':>10}"
    )
    for name in names:
        for row in rows_of(name):
            large = f"{row.found_large / row.n_large:.1%}" if row.n_large else "-"
            print(
                f"{row.reference:<15}{row.fault:<22}{row.n:>8}{row.share:>8.1%}"
                f"{row.elsewhere / row.n:>11.1%}{large:>10}",
                flush=True,
            )


def store(names: list[str]) -> None:
    """Write how the scores of references go together into their folders."""
    for name in names:
        model, _ = fit_reference_siblings(load_reference(name))
        write_whole(Path(str(reference_folder(name) / SIBLINGS)), as_json(model))


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--store"]
    chosen = words or list(REFERENCES)
    if "--store" in sys.argv:
        store(chosen)
    else:
        print_table(chosen)

"""The outlook by laws that are fitted now, a law for each target."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DegenerateError, NotConvergedError, RefusedTargetError, TooFewModelsError
from ..law.intervals import Interval, IntervalMethod
from ..prediction import TargetLaw
from ..prediction._completion import complete
from ..prediction._target_law import default_method
from ..reference import Reference, Target
from ..reference._sampling_noise import noise_beyond
from ..reference.overlap import find_overlap
from ..table._table import ScoreTable
from ..table.sampling import with_sampling_errors
from ._outlook import N_DRAWS, Bounds, Measurements, measurements_of

__all__ = ["FittedOutlook", "fitted_outlook"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FittedOutlook:
    """See ``Outlook``.

    Attributes
    ----------
    laws : tuple of t TargetLaw
        Without the models of the reference that this one is.
    method : IntervalMethod
    stderr : (c,)
        Standard error of each score, 0 where none is known.

    """

    model: str
    targets: tuple[Target, ...]
    measured: Measurements
    level: float
    notes: tuple[str, ...]
    laws: tuple[TargetLaw, ...]
    method: IntervalMethod
    stderr: Array
    seed: int = 0

    def now(self) -> Bounds:
        """Return what is predicted now, of shape (t,).

        Raises
        ------
        RefusedTargetError
            Intervals cannot be calibrated for a target.

        """
        parts = []
        for target, law in zip(self.targets, self.laws, strict=True):
            try:
                parts.append(self._interval(law, self.measured.cells[None], self.stderr[None]))
            except (DegenerateError, NotConvergedError, TooFewModelsError) as error:
                raise RefusedTargetError(f"{target.name}: {error}") from None
        return Bounds(*(np.array([getattr(p, n)[0] for p in parts]) for n in _PARTS))

    def after(self, sets: Sequence[Mapping[int, float]]) -> Bounds:
        """Return what would be predicted after each of s sets of measurements: (s, d, t)."""
        by_target = [self._after(law, sets) for law in self.laws]
        return Bounds(*(np.stack([b[i] for b in by_target], axis=2) for i in range(3)))

    def _after(self, law: TargetLaw, sets: Sequence[Mapping[int, float]]) -> tuple[Array, ...]:
        full, sampled = self._draws(law)
        d = len(full)
        cells = np.tile(self.measured.cells, (len(sets), d, 1))
        stderr = np.tile(self.stderr, (len(sets), d, 1))
        own = self._columns(law)
        for i, items in enumerate(sets):
            for j, n in items.items():
                if j not in own:
                    continue
                beyond = noise_beyond(full[:, j], n, self.measured.n_full[j])
                cells[i, :, j] = np.clip(full[:, j] + beyond * sampled[:, j], 0.0, 1.0)
                stderr[i, :, j] = _binomial(cells[i, :, j], n)
        shape = (-1, cells.shape[2])
        interval = self._interval(law, cells.reshape(shape), stderr.reshape(shape))
        return tuple(getattr(interval, n).reshape(len(sets), d) for n in _PARTS)

    def _draws(self, law: TargetLaw) -> tuple[Array, Array]:
        """Return plausible scores on all items (d, c), and normal numbers for their sampling."""
        own = self._columns(law)
        cells = self.measured.cells[own]
        full = np.full((N_DRAWS, len(self.measured.cells)), np.nan)
        n, n_full = self.measured.n_items[own], self.measured.n_full[own]
        left = np.sqrt(np.clip(1 - np.nan_to_num(n / n_full, nan=1.0), 0.0, 1.0))
        _, spread = complete(law.fitted_.training, cells[None], (self.stderr[own] * left)[None])
        full[:, own] = cells if spread is None else spread[0][:N_DRAWS]
        return full, np.random.default_rng(self.seed).normal(size=full.shape)

    def _interval(self, law: TargetLaw, cells: Array, stderr: Array) -> Interval:
        own = self._columns(law)
        filled, spread = complete(law.fitted_.training, cells[:, own], stderr[:, own])
        return self.method.predict(law.fitted_, filled, level=self.level, spread=spread)

    def _columns(self, law: TargetLaw) -> list[int]:
        return [self.measured.benchmarks.index(b) for b in law.feature_names_in_]


_PARTS = ("mean", "lower", "upper")


def fitted_outlook(
    table: ScoreTable,
    model: str,
    reference: Reference,
    targets: Sequence[Target],
    *,
    level: float = 0.9,
    force: bool = False,
    exclude: Collection[str] = (),
) -> FittedOutlook:
    """Return the outlook of a model by laws that are fitted now.

    Raises
    ------
    RefusedTargetError
        A target is refused by its back-test, unless ``force``; or its models determine no law; or
        the model has none of its benchmarks.

    """
    measured = measurements_of(table, model, reference)
    row = pd.Series(measured.cells, list(measured.benchmarks))
    overlap = find_overlap(model, row, reference.scores())
    own = table.select(models=[model])
    there = [b for b in measured.benchmarks if b in own.benchmarks]
    errors = dict(zip(there, with_sampling_errors(own).array(there, "stderr")[0], strict=True))
    laws = []
    for target in targets:
        evaluation = reference.evaluations.get(target.name)
        if not force and evaluation is not None and evaluation.status == "refused":
            raise RefusedTargetError(
                f"{target.name}: refused by its back-test: {evaluation.reason}", can_force=True
            )
        try:
            law = TargetLaw(target).fit(reference, exclude={*overlap.reasons, *exclude})
        except (DegenerateError, NotConvergedError, TooFewModelsError) as error:
            raise RefusedTargetError(f"{target.name}: no law can be fitted: {error}") from None
        if row[list(law.feature_names_in_)].isna().all():
            raise RefusedTargetError(
                f"{target.name}: {model} has none of its benchmarks "
                f"({', '.join(law.feature_names_in_)}); measure one of them first"
            )
        laws.append(law)
    return FittedOutlook(
        model,
        tuple(targets),
        measured,
        level,
        tuple(n for n in (overlap.note(),) if n),
        tuple(laws),
        default_method(reference),
        np.nan_to_num([float(errors.get(b, np.nan)) for b in measured.benchmarks]),
    )


def _binomial(scores: Array, n_items: float) -> Array:
    """Return standard errors of scores on n items, moved from 0 and 1 by one item; 0 if unknown."""
    if np.isnan(n_items):
        return np.zeros_like(scores)
    inside = (scores * n_items + 1) / (n_items + 2)
    return np.sqrt(inside * (1 - inside) / n_items)

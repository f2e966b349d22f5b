"""The outlook by the stored laws of a reference, which predict all of its targets at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ..completion import FittedPredictor
from ..completion._gates import Gate
from ..completion._inputs import on_scale
from ..completion._training import decimal_years
from ..completion.scales import z_to_score
from ..errors import RefusedTargetError
from ..prediction._reference_laws import REASONS, laws_without, stored_laws
from ..prediction._release import Release, release_of
from ..reference import Reference, Target
from ..reference._sampling_noise import noise_beyond, sampling_noise
from ..reference._source_spread import source_spread
from ..reference.overlap import overlap_of_rows
from ..table._table import ScoreTable
from ._outlook import N_DRAWS, Bounds, Measurements, measurements_of

__all__ = ["StoredOutlook", "stored_outlook"]

Array = NDArray[np.float64]

_DEGREES = 5
_OPENED_BY_SCORES = (Gate.FEW_CHEAP, Gate.NO_ANCHOR)


@dataclass(frozen=True)
class StoredOutlook:
    """See ``Outlook``.

    Attributes
    ----------
    laws : FittedPredictor
        Without the models of the reference that this one is.
    columns : tuple of int
        The targets, among those of the laws.
    about : (1, 2)
        Release date and reasoning.
    off : (c,)
        Standard deviation of each score about what the reference's sources would have measured, of
        one that is not measured yet as of another score of its source.
    noise : (c,)
        That of the scores on few items about those on all.

    """

    model: str
    targets: tuple[Target, ...]
    measured: Measurements
    level: float
    notes: tuple[str, ...]
    laws: FittedPredictor
    columns: tuple[int, ...]
    about: Array
    off: Array
    noise: Array
    seed: int = field(default=0)

    def now(self) -> Bounds:
        """Return what is predicted now, of shape (t,)."""
        bounds = self._bounds(self.measured.cells[None], np.hypot(self.off, self.noise)[None])
        return Bounds(bounds.mean[0], bounds.lower[0], bounds.upper[0])

    def after(self, sets: Sequence[Mapping[int, float]]) -> Bounds:
        """Return what would be predicted after each of s sets of measurements: (s, d, t)."""
        full, sampled = self._draws()
        d = len(full)
        cells = np.tile(self.measured.cells, (len(sets), d, 1))
        noise = np.tile(self.noise, (len(sets), d, 1))
        for i, items in enumerate(sets):
            for j, n in items.items():
                beyond = noise_beyond(full[:, j], n, self.measured.n_full[j])
                cells[i, :, j] = self._inside(full[:, j] + beyond * sampled[:, j], j)
                noise[i, :, j] = beyond
        shape = (-1, cells.shape[2])
        bounds = self._bounds(cells.reshape(shape), np.hypot(self.off, noise).reshape(shape))
        return Bounds(
            *(part.reshape(len(sets), d, -1) for part in (bounds.mean, bounds.lower, bounds.upper))
        )

    def _draws(self) -> tuple[Array, Array]:
        """Return plausible scores on all items (d, c), and normal numbers for their sampling."""
        rng = np.random.default_rng(self.seed)
        views, c = self.laws.views, len(self.measured.cells)
        place, covariance = views.place(self._z(self.measured.cells[None]), self.about)
        k = place.shape[1]
        half = rng.normal(size=(N_DRAWS // 2, k))
        normal = np.concatenate([half, -half])  # pairs: means of linear functions are exact
        factors = place + normal @ np.linalg.cholesky(covariance[0]).T
        mean, variance = views.factor.predict(factors, np.zeros((N_DRAWS, k, k)))
        cheap = list(views.cheap)
        own = rng.normal(size=(N_DRAWS, c))
        if views.factor.student:
            own = rng.standard_t(_DEGREES, size=(N_DRAWS, c))
        z = mean[:, cheap] + own * np.sqrt(variance[:, cheap])
        full = z_to_score(z, self._linear())
        sampled = rng.normal(size=(N_DRAWS, c))
        again = self.measured.cells + self.noise * rng.normal(size=(N_DRAWS, c))
        known = ~np.isnan(self.measured.cells)
        for j in np.flatnonzero(known):
            full[:, j] = self._inside(again[:, j], int(j))
        return full, sampled

    def _bounds(self, cells: Array, off: Array) -> Bounds:
        spread = np.where(np.isnan(cells), 0.0, off)
        about = np.repeat(self.about, len(cells), axis=0)
        point, half = self.laws.points_and_halves(
            self._z(cells), about, level=self.level, spread=spread if spread.any() else None
        )
        columns = list(self.columns)
        point, half = point[:, columns], half[:, columns]
        straight = np.array([t.name in self.laws.linear for t in self.targets])
        return Bounds(*(z_to_score(z, straight) for z in (point, point - half, point + half)))

    def _z(self, cells: Array) -> Array:
        return on_scale(cells, [self.model] * len(cells), self.laws.cheap, self.laws.linear)

    def _linear(self) -> NDArray[np.bool_]:
        return np.isin(np.array(self.laws.cheap), self.laws.linear)

    def _inside(self, scores: Array, j: int) -> Array:
        return scores if self._linear()[j] else np.clip(scores, 0.0, 1.0)


def stored_outlook(
    table: ScoreTable,
    model: str,
    reference: Reference,
    targets: Sequence[Target],
    *,
    level: float = 0.9,
    force: bool = False,
    today: date | None = None,
    exclude: Collection[str] = (),
    needs_number: bool = False,
) -> StoredOutlook:
    """Return the outlook of a model by stored laws.

    Raises
    ------
    RefusedTargetError
        No number is given for a target, unless ``force``; for want of scores only where
        ``needs_number``.

    """
    laws = stored_laws(reference)
    measured = measurements_of(table, model, reference)
    published = [b for b in reference.benchmarks if b in set(reference.table.benchmarks)]
    own = np.array([measured.cells[measured.benchmarks.index(b)] for b in published])
    known = reference.table.array(published)
    overlap = overlap_of_rows(model, own, reference.table.facts["model"].tolist(), known)
    unseen = {*overlap.reasons, *exclude}
    if unseen:
        laws = laws_without(laws, reference, unseen)
    order = [measured.benchmarks.index(b) for b in laws.cheap]
    measured = Measurements(
        laws.cheap, measured.cells[order], measured.n_items[order], measured.n_full[order]
    )
    release = release_of(table, model, reference, overlap.sure, today)
    mode = REASONS.get(table.fact(model, "mode"), np.nan)
    outlook = StoredOutlook(
        model,
        tuple(targets),
        measured,
        level,
        tuple(n for n in (overlap.note(), release.note((), "")) if n),
        laws,
        tuple(laws.targets.index(t.name) for t in targets),
        np.array([[*decimal_years([(model, release.day)]), mode]]),
        _source_deviations(table, model, reference, laws.cheap),
        sampling_noise(table, model, reference, laws.cheap),
    )
    return outlook if force else _admitted(outlook, reference, release, needs_number)


def _admitted(
    outlook: StoredOutlook, reference: Reference, release: Release, needs_number: bool
) -> StoredOutlook:
    """Return an outlook with what its gates ask for in its notes; refuse what no score opens."""
    laws = outlook.laws
    gates = laws.gates.check(laws.views, outlook._z(outlook.measured.cells[None]), outlook.about)
    late, asked = laws.gates.reason(Gate.TOO_LATE, 0), []
    opened = () if needs_number else _OPENED_BY_SCORES
    for target, j in zip(outlook.targets, outlook.columns, strict=True):
        gate = int(gates[0, j])
        reason = release.reason(laws.gates.reason(gate, j), late)
        if gate and gate not in opened:
            first = "; `capspace next` says what to measure" if gate in _OPENED_BY_SCORES else ""
            raise RefusedTargetError(f"{target.name}: no number is given: {reason}{first}")
        evaluation = reference.evaluations.get(target.name)
        if evaluation is not None and evaluation.status == "refused":
            raise RefusedTargetError(
                f"{target.name}: refused by its back-test: {evaluation.reason}", can_force=True
            )
        if reason:
            asked.append(f"no number is given yet: {reason}")
    notes = (*outlook.notes, *dict.fromkeys(asked))
    return StoredOutlook(**{**vars(outlook), "notes": notes})


def _source_deviations(
    table: ScoreTable, model: str, reference: Reference, benchmarks: Sequence[str]
) -> Array:
    rows = table.rows
    given = {
        b: source
        for own, b, source in zip(rows["model"], rows["benchmark"], rows["source"], strict=True)
        if own == model and b in benchmarks
    }
    usual = Counter(given.values()).most_common(1)[0][0]
    sources = {b: given.get(b, usual) for b in benchmarks}
    spreads = source_spread(reference, sources)
    return np.array([spreads[b].deviation if b in spreads else 0.0 for b in benchmarks])

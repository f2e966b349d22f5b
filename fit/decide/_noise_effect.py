"""Noise in the benchmark scores of a model widens its predictions' intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..completion._training import decimal_years
from ..errors import DegenerateError, NotConvergedError, RefusedTargetError, TooFewModelsError
from ..prediction import TargetLaw
from ..prediction._completion import completions_of_noise
from ..prediction._reference_laws import laws_without, stored_laws
from ..prediction._release import release_of
from ..prediction._target_law import default_method
from ..reference import Reference
from ..reference.overlap import Overlap, find_overlap
from ..table._table import ScoreTable

__all__ = ["NoiseEffect", "PredictedWidths"]

Array = NDArray[np.float64]

_STDERR = 0.05  # of about 80 items
_MODES = {"thinking": 1.0, "chat": -1.0, "plain": -1.0}


@dataclass(frozen=True)
class NoiseEffect:
    """How noise in each benchmark's score widens the interval of each target.

    Attributes
    ----------
    targets : tuple of T str
    benchmarks : tuple of p str
    width : (T,) array
        Widths of the intervals if the scores were without noise, fractions.
    effect : (T, p) array
        What a unit of variance of a score adds to the squared width, as a share of it.
    unpredicted : mapping of target to reason
        Targets of which there is no number.

    Notes
    -----
    width(s)² = width² (1 + Σ effect · s²) with s the standard errors: the noise's part of a
    prediction's variance is additive, and about linear in each score's variance. Where benchmarks
    are missing, what noise does to those that are inferred from noisy ones is included, as if they
    were trusted in full: exact for little noise, and more than what is true of much.

    """

    targets: tuple[str, ...]
    benchmarks: tuple[str, ...]
    width: Array
    effect: Array
    unpredicted: Mapping[str, str]

    def widths(self, variance: Array) -> Array:
        """Return the widths (..., T) where the scores have these variances (..., p)."""
        return np.asarray(self.width * np.sqrt(1 + variance @ self.effect.T))


class PredictedWidths:
    """The laws of some targets, which say how wide the intervals of one model are.

    Parameters
    ----------
    reference : Reference
        Models of it that are, or likely are, the one that is predicted are left out of all fits.
    targets : iterable of str, optional
        Names of targets; by default those that are not refused by their back-test.
    level : float, default 0.9
        Nominal coverage of the intervals.

    Raises
    ------
    UnknownNameError
        A target is unknown.

    """

    def __init__(
        self, reference: Reference, *, targets: Iterable[str] | None = None, level: float = 0.9
    ) -> None:
        names = [reference.target(name).name for name in (targets or reference.targets)]
        evaluations = reference.evaluations
        self.reference, self.level = reference, level
        self._refused = {
            name: f"refused by its back-test: {evaluations[name].reason}"
            for name in names
            if name in evaluations and evaluations[name].status == "refused"
        }
        self._targets = [name for name in names if name not in self._refused]
        self._laws: dict[tuple[str, frozenset[str]], TargetLaw] = {}

    def check(self, benchmarks: Iterable[str]) -> None:
        """Refuse benchmarks that predict none of the targets.

        Raises
        ------
        RefusedTargetError
            They predict none.

        """
        known = self.reference.benchmarks
        if not set(benchmarks) & set(known):
            raise RefusedTargetError(
                "no target can be predicted: none of the benchmarks is one of the reference "
                f"({', '.join(known)})"
            )
        if not self._targets:
            first = next((f"{name}: {why}" for name, why in self._refused.items()), "there is none")
            raise RefusedTargetError(f"no target can be predicted: {first}")

    def effect(self, table: ScoreTable) -> NoiseEffect:
        """Return how noise in the scores of the one model of a table widens its predictions.

        Raises
        ------
        RefusedTargetError
            No target has a number, with the first reason.

        """
        known = self.reference.benchmarks
        benchmarks = [b for b in known if b in table.benchmarks]
        self.check(benchmarks)
        own = table.wide(benchmarks)
        same = find_overlap(str(own.index[0]), own.iloc[0], self.reference.scores())
        if self.reference.laws is None:
            widths, refused = self._by_fitted_laws(own, frozenset(same.reasons))
        else:
            widths, refused = self._by_stored_laws(table, own, same)
        refused = {**self._refused, **refused}
        if not widths:
            first = next((f"{name}: {why}" for name, why in refused.items()), "there is none")
            raise RefusedTargetError(f"no target can be predicted: {first}")
        clean = np.array([row[0] for row in widths.values()])
        noisy = np.array([row[1:] for row in widths.values()])
        effect = ((noisy / clean[:, None]) ** 2 - 1) / _STDERR**2
        return NoiseEffect(
            tuple(widths), tuple(benchmarks), clean, np.clip(effect, 0.0, None), refused
        )

    def _by_fitted_laws(
        self, own: pd.DataFrame, same: frozenset[str]
    ) -> tuple[dict[str, Array], dict[str, str]]:
        widths: dict[str, Array] = {}
        refused: dict[str, str] = {}
        for target in self._targets:
            try:
                law = self.law(target, same)
                if not set(law.feature_names_in_) & set(own.columns):
                    refused[target] = "no benchmark of its space is measured"
                    continue
                widths[target] = self._widths(law, own)
            except (DegenerateError, NotConvergedError, TooFewModelsError) as error:
                refused[target] = str(error)
        return widths, refused

    def _widths(self, law: TargetLaw, own: pd.DataFrame) -> Array:
        """Return the widths (1 + p,) of a law's intervals: as it is, and with noise in each."""
        errors = pd.DataFrame(_noisy_rows(own.shape[1]), columns=own.columns)
        filled, spread = completions_of_noise(
            law.fitted_.training,
            own.reindex(columns=law.feature_names_in_).to_numpy(dtype=float)[0],
            errors.reindex(columns=law.feature_names_in_).fillna(0.0).to_numpy(),
        )
        method = default_method(self.reference)
        whole = np.repeat(filled[None], len(spread), axis=0)
        made = method.predict(law.fitted_, whole, level=self.level, spread=spread)
        return np.asarray(made.upper - made.lower)

    def law(self, target: str, same: frozenset[str] = frozenset()) -> TargetLaw:
        """Return the law of a target, fitted without some models; each is fitted once."""
        key = target, same
        if key not in self._laws:
            self._laws[key] = TargetLaw(target).fit(self.reference, exclude=same)
        return self._laws[key]

    def _by_stored_laws(
        self, table: ScoreTable, own: pd.DataFrame, same: Overlap
    ) -> tuple[dict[str, Array], dict[str, str]]:
        model = str(own.index[0])
        laws = stored_laws(self.reference)
        if same.reasons:
            laws = laws_without(laws, self.reference, same.reasons.keys())
        day = release_of(table, model, self.reference, same.sure, None).day
        mode = _MODES.get(table.fact(model, "mode"), np.nan)
        about = np.array([[*decimal_years([(model, day)]), mode]])
        errors = pd.DataFrame(_noisy_rows(len(own.columns)), columns=own.columns)
        cheap = list(laws.cheap)
        cells = own.reindex(columns=cheap).to_numpy(dtype=float)
        rows = laws.predict_rows(
            [model] * len(errors),
            np.repeat(cells, len(errors), axis=0),
            np.repeat(about, len(errors), axis=0),
            targets=self._targets,
            level=self.level,
            force=True,
            spread=errors.reindex(columns=cheap).fillna(0.0).to_numpy(),
        )
        widths: dict[str, list[float]] = {}
        refused: dict[str, str] = {}
        for row in rows:
            if row["reason"]:
                refused[row["target"]] = row["reason"]
            widths.setdefault(row["target"], []).append(row["upper"] - row["lower"])
        return {t: np.array(w) for t, w in widths.items() if t not in refused}, refused


def _noisy_rows(n_benchmarks: int) -> Array:
    """Return standard errors (1 + p, p): none at all, then of one benchmark at a time."""
    return np.vstack([np.zeros((1, n_benchmarks)), np.eye(n_benchmarks)]) * _STDERR

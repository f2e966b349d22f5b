"""Noise in the benchmark scores of a model widens its predictions' intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._normals import exact_normals
from ..completion._training import decimal_years
from ..errors import DegenerateError, NotConvergedError, RefusedTargetError, TooFewModelsError
from ..law._refit import predict_with
from ..law._views import angle
from ..prediction import TargetLaw
from ..prediction._completion import complete, completions_of_noise, precision_among_models
from ..prediction._reference_laws import laws_without, stored_laws
from ..prediction._release import release_of
from ..prediction._target_law import default_method
from ..reference import Reference
from ..reference._sampling_noise import sampling_noise
from ..reference.overlap import Overlap, find_overlap
from ..table._table import ScoreTable
from ._noise_variance import NoiseVariance

__all__ = ["NoiseEffect", "PredictedWidths"]

Array = NDArray[np.float64]

_STDERR = 0.02  # of about 600 items
_N_PLACES = 16
_MODES = {"thinking": 1.0, "chat": -1.0, "plain": -1.0}


@dataclass(frozen=True)
class NoiseEffect:
    """How noise in each benchmark's score widens the interval of each target.

    Means over the places where the model may be, as far as its scores are noisy now: where few
    items put it beyond a floor, noise adds nothing, though it may be above.

    Attributes
    ----------
    targets : tuple of T str
    benchmarks : tuple of p str
    width : (T,) array
        Widths of the intervals if the scores were without noise, fractions.
    noise : NoiseVariance
        What noise adds to the squared widths, as a share of them.
    unpredicted : mapping of target to reason
        Targets of which there is no number.

    Notes
    -----
    width(s)² = width² (1 + noise(s)) with s the standard errors. Where benchmarks are missing, what
    noise does to those that are inferred from noisy ones is included.

    """

    targets: tuple[str, ...]
    benchmarks: tuple[str, ...]
    width: Array
    noise: NoiseVariance
    unpredicted: Mapping[str, str]

    def widths(self, variance: Array) -> Array:
        """Return the widths (T,) where the scores have these variances (p,)."""
        return np.asarray(self.width * np.sqrt(1 + self.noise.added(variance)))

    def of(self, targets: Sequence[str]) -> NoiseEffect:
        """Return that on some targets; those without a number are left out."""
        rows = [self.targets.index(target) for target in targets if target in self.targets]
        return replace(
            self,
            targets=tuple(self.targets[row] for row in rows),
            width=self.width[rows],
            noise=self.noise.rows(rows),
        )

    def noise_of(self, benchmarks: Sequence[str]) -> NoiseVariance:
        """Return what noise in these scores adds; others have none."""
        column = {name: i for i, name in enumerate(self.benchmarks)}
        return self.noise.columns([column.get(name) for name in benchmarks])


@dataclass(frozen=True)
class _LawWidths:
    """What a law says of p scores of a model.

    Attributes
    ----------
    widths : (k, 1 + p) array
        Of its intervals at k places, without noise and with noise in each score.
    sign : (p,) array
        Whether its prediction falls (-1) or rises (1) with each score.
    precision : (p, p) array
        Inverse covariance of the scores among its models; zeros where it does not use that.

    """

    widths: Array
    sign: Array
    precision: Array


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
        model = str(own.index[0])
        same = find_overlap(model, own.iloc[0], self.reference.scores())
        stderr = sampling_noise(table, model, self.reference, benchmarks)
        if self.reference.laws is None:
            made, refused = self._by_fitted_laws(own, stderr, frozenset(same.reasons))
        else:
            made, refused = self._by_stored_laws(table, own, stderr, same)
        refused = {**self._refused, **refused}
        if not made:
            first = next((f"{name}: {why}" for name, why in refused.items()), "there is none")
            raise RefusedTargetError(f"no target can be predicted: {first}")
        widths = np.array([each.widths for each in made.values()])
        noisy, clean = widths[:, :, 1:], widths[:, :, :1]
        effect = np.mean((noisy / clean) ** 2 - 1, axis=1) / _STDERR**2
        sign = np.array([each.sign for each in made.values()])
        noise = NoiseVariance(
            sign * np.sqrt(np.clip(effect, 0.0, None)),
            np.array([each.precision for each in made.values()]),
        )
        width = clean.mean(axis=(1, 2))
        return NoiseEffect(tuple(made), tuple(benchmarks), width, noise, refused)

    def _by_fitted_laws(
        self, own: pd.DataFrame, stderr: Array, same: frozenset[str]
    ) -> tuple[dict[str, _LawWidths], dict[str, str]]:
        made: dict[str, _LawWidths] = {}
        refused: dict[str, str] = {}
        for target in self._targets:
            try:
                law = self.law(target, same)
                if not set(law.feature_names_in_) & set(own.columns):
                    refused[target] = "no benchmark of its space is measured"
                    continue
                made[target] = _LawWidths(
                    self._widths(law, own, stderr), _signs(law, own), _precision(law, own)
                )
            except (DegenerateError, NotConvergedError, TooFewModelsError) as error:
                refused[target] = str(error)
        return made, refused

    def _widths(self, law: TargetLaw, own: pd.DataFrame, stderr: Array) -> Array:
        """Return widths (k, 1 + p) of a law's intervals: as they are, and with noise in each score.

        At k places where the model may be, by scores with these standard errors (p,).
        """
        training, columns = law.fitted_.training, law.feature_names_in_
        rows = pd.DataFrame(_noisy_rows(own.shape[1]), columns=own.columns)
        noise = rows.reindex(columns=columns).fillna(0.0).to_numpy()
        x = own.reindex(columns=columns).to_numpy(dtype=float)
        errors = pd.DataFrame([stderr], columns=own.columns).reindex(columns=columns).fillna(0.0)
        places = x
        if stderr.any():
            drawn = complete(training, x, errors.to_numpy(dtype=float))[1]
            places = x if drawn is None else np.where(np.isnan(x), np.nan, drawn[0, :_N_PLACES])
        each = [completions_of_noise(training, place, noise) for place in places]
        filled = np.repeat([f for f, _ in each], len(noise), axis=0)
        spread = np.concatenate([s for _, s in each])
        method = default_method(self.reference)
        made = method.predict(law.fitted_, filled, level=self.level, spread=spread)
        return np.asarray(made.upper - made.lower).reshape(len(places), -1)

    def law(self, target: str, same: frozenset[str] = frozenset()) -> TargetLaw:
        """Return the law of a target, fitted without some models; each is fitted once."""
        key = target, same
        if key not in self._laws:
            self._laws[key] = TargetLaw(target).fit(self.reference, exclude=same)
        return self._laws[key]

    def _by_stored_laws(
        self, table: ScoreTable, own: pd.DataFrame, stderr: Array, same: Overlap
    ) -> tuple[dict[str, _LawWidths], dict[str, str]]:
        model = str(own.index[0])
        laws = stored_laws(self.reference)
        if same.reasons:
            laws = laws_without(laws, self.reference, same.reasons.keys())
        day = release_of(table, model, self.reference, same.sure, None).day
        mode = _MODES.get(table.fact(model, "mode"), np.nan)
        about = np.array([[*decimal_years([(model, day)]), mode]])
        errors = pd.DataFrame(_noisy_rows(len(own.columns)), columns=own.columns)
        cheap = list(laws.cheap)
        noise = errors.reindex(columns=cheap).fillna(0.0).to_numpy()
        places = own.to_numpy(dtype=float)
        if stderr.any():
            places = places + stderr * exact_normals(_N_PLACES, len(stderr))
        cells = pd.DataFrame(np.clip(places, 0.0, 1.0), columns=own.columns)
        n = len(places) * len(noise)
        rows = laws.predict_rows(
            [model] * n,
            np.repeat(cells.reindex(columns=cheap).to_numpy(), len(noise), axis=0),
            np.repeat(about, n, axis=0),
            targets=self._targets,
            level=self.level,
            force=True,
            spread=np.tile(noise, (len(places), 1)),
        )
        widths: dict[str, list[float]] = {}
        refused: dict[str, str] = {}
        for row in rows:
            if row["reason"]:
                refused[row["target"]] = row["reason"]
            widths.setdefault(row["target"], []).append(row["upper"] - row["lower"])
        p = own.shape[1]
        made = {
            target: _LawWidths(np.reshape(each, (len(places), 1 + p)), np.ones(p), np.zeros((p, p)))
            for target, each in widths.items()
            if target not in refused
        }
        return made, refused


def _signs(law: TargetLaw, own: pd.DataFrame) -> Array:
    """Return -1 or 1 (p,): whether a law's prediction falls or rises with each score."""
    p = len(own.columns)
    rows = own.to_numpy(dtype=float)[0] + np.vstack([np.eye(p), -np.eye(p)]) * _STDERR
    cells = pd.DataFrame(rows, columns=own.columns).reindex(columns=law.feature_names_in_)
    x = cells.to_numpy(dtype=float)
    filled, _ = complete(law.fitted_.training, x, np.zeros_like(x))
    high, low = np.split(angle(predict_with(law.fitted_, filled)), 2)
    return np.where(high < low, -1.0, 1.0)


def _precision(law: TargetLaw, own: pd.DataFrame) -> Array:
    """Return the inverse covariance (p, p) of the scores among the models of a law."""
    names = list(law.feature_names_in_)
    measured = np.array([name in own.columns for name in names])
    inner = precision_among_models(law.fitted_.training, measured)
    whole = pd.DataFrame(inner, index=names, columns=names)
    return whole.reindex(index=own.columns, columns=own.columns).fillna(0.0).to_numpy()


def _noisy_rows(n_benchmarks: int) -> Array:
    """Return standard errors (1 + p, p): none at all, then of one benchmark at a time."""
    return np.vstack([np.zeros((1, n_benchmarks)), np.eye(n_benchmarks)]) * _STDERR

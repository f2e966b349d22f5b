"""A fitted predictor holds arrays alone: it predicts without a refit and without scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import UnknownNameError, check_level
from ._arrays import FittedArrays
from ._baselines import fit_baselines
from ._cells import filled_cells, frame_of_cells, reasons_of_cells
from ._gates import fit_gates
from ._inputs import (
    facts_of_rows,
    fractions,
    normal_quantile,
    numbers_of,
    on_scale,
)
from ._storing import read_state, write_state
from ._training import Columns, TrainingTable, latest_release
from ._views import Recipe, fit_views
from .scales import z_to_score

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FittedPredictor"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FittedPredictor(FittedArrays):
    """Predicts targets of new models from their cheap scores, with what a fit has learned.

    Attributes
    ----------
    kind : {"vendor-reported", "single-protocol"}
    columns, cheap, targets : tuple of str
        All benchmarks of the training table, and those predicted from and predicted.
    linear : tuple of str
        Benchmarks without floor and ceiling.
    models : tuple of str
        That the fit has seen.
    last_release : str
        ISO date of the latest of them; "" where no date is known.
    views, gates, baselines, residuals
        What the fit has learned, as arrays.

    See Also
    --------
    BlendedPredictor : Fits it.

    """

    def __repr__(self) -> str:
        return (
            f"FittedPredictor({len(self.models)} models, {len(self.cheap)} cheap benchmarks → "
            f"{len(self.targets)} targets)"
        )

    def predict(
        self,
        rows: pd.DataFrame,
        facts: pd.DataFrame | None = None,
        *,
        targets: Sequence[str] | None = None,
        level: float = 0.9,
        force: bool = False,
        spread: pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """Predict targets of new models from their cheap scores.

        Parameters
        ----------
        rows : (n models × benchmarks) DataFrame
            Fractions, NaN where not measured. Only the cheap benchmarks are used.
        facts : DataFrame by model, optional
            ``release_date`` and ``reasoning``, where known. Past the last training release the
            intervals grow; a model without a date counts as no later than that.
        targets : sequence of str, optional
            All by default.
        level : float, default 0.9
            Coverage of the intervals.
        force : bool, default False
            Give the numbers that a gate refuses, beside its reason.
        spread : (n models × benchmarks) DataFrame, optional
            Standard deviations of scores that another source measured than the training models'
            about what theirs would; 0 where missing. They widen the intervals.

        Returns
        -------
        DataFrame
            A row per model and target: model, target, prediction, lower, upper, reason (why there
            is no number, or ""), the baselines mean, last_five, trend, nearest and single with
            nearest_model and single_benchmark, and in_training.

        Raises
        ------
        UnknownNameError
            A target is not among ``targets``, or no row has a cheap benchmark.
        FitError
            A score is no fraction.

        """
        import pandas as pd

        check_level(level)
        numbers_of(targets, self.targets)
        cells, about = fractions(rows, self.cheap), facts_of_rows(facts, rows.index)
        if np.isnan(cells).all():
            raise UnknownNameError(
                f"none of {', '.join(map(str, rows.columns)) or 'no column'} is a known cheap "
                f"benchmark; predictions need some of {', '.join(self.cheap)}"
            )
        models = list(map(str, rows.index))
        off = None if spread is None else fractions(spread.reindex(rows.index), self.cheap)
        settings: dict[str, Any] = {"targets": targets, "level": level, "force": force}
        return pd.DataFrame(self.predict_rows(models, cells, about, spread=off, **settings))

    def predict_rows(
        self,
        models: Sequence[str],
        cells: Array,
        about: Array,
        *,
        targets: Sequence[str] | None = None,
        level: float = 0.9,
        force: bool = False,
        spread: Array | None = None,
    ) -> list[dict[str, Any]]:
        """Return the rows of ``predict``, of arrays instead of frames.

        Parameters
        ----------
        models : sequence of n str
            Their names.
        cells : (n, c)
            Fractions on the cheap benchmarks, in their order; NaN where not measured.
        about : (n, 2)
            Release date in decimal years, and 1 for a model that reasons, -1 for another; NaN
            where unknown.
        targets, level, force
            As of ``predict``.
        spread : (n, c), optional
            As of ``predict``; NaN counts as 0.

        """
        check_level(level)
        chosen = numbers_of(targets, self.targets)
        cheap = on_scale(cells, models, self.cheap, self.linear)
        point, half = self.points_and_halves(cheap, about, level=level, spread=spread)
        gate = self.gates.check(self.views, cheap, about)
        straight = np.array([t in self.linear for t in self.targets], dtype=bool)
        numbers = {
            "prediction": z_to_score(point, straight),
            "lower": z_to_score(point - half, straight),
            "upper": z_to_score(point + half, straight),
        }
        if not force:
            numbers = {name: np.where(gate == 0, v, np.nan) for name, v in numbers.items()}
        same = np.array([[m == known for known in self.models] for m in models])
        naive = self.baselines.predict(cheap, about[:, 0], same)
        naive["single"] = z_to_score(self.views.lines.predict(cheap)[0], straight)
        nearest, single = self.baselines.nearest(cheap, same), self.views.lines.choice(cheap)
        seen = set(self.models)
        trained, used = (*self.models, ""), (*self.cheap, "")  # -1 stands for none
        return [
            {
                "model": model,
                "target": self.targets[j],
                **{name: float(v[i, j]) for name, v in numbers.items()},
                "reason": self.gates.reason(int(gate[i, j]), j),
                **{name: float(v[i, j]) for name, v in naive.items()},
                "nearest_model": trained[nearest[i, j]],
                "single_benchmark": used[single[i, j]],
                "in_training": model in seen,
            }
            for i, model in enumerate(models)
            for j in chosen
        ]

    def in_logits(
        self, rows: pd.DataFrame, facts: pd.DataFrame | None = None
    ) -> tuple[Array, Array, list[list[str]]]:
        """Predict all targets on the scale of z = log((s + 0.02) / (1.02 - s)).

        Returns
        -------
        point, deviation : (n models × targets) arrays
            Intervals of 90% are 1.645 deviations wide on either side.
        reasons : a list per model, a sentence per target: why there is no number, or ""

        """
        cheap, about = self._inputs(rows, facts)
        point, width = self.views.blend(cheap, about)
        gate = self.gates.check(self.views, cheap, about)
        reasons = [[self.gates.reason(int(g), j) for j, g in enumerate(row)] for row in gate]
        return point, width * self.scale() / normal_quantile(0.9), reasons

    def complete(
        self,
        rows: pd.DataFrame,
        facts: pd.DataFrame | None = None,
        *,
        level: float = 0.9,
        force: bool = False,
    ) -> pd.DataFrame:
        """Fill the missing cells of rows from all their known ones, by the factor model alone.

        Parameters
        ----------
        rows : (n models × benchmarks) DataFrame
            Fractions, NaN where not measured; benchmarks unknown to the fit are left out.
        facts : DataFrame by model, optional
            ``release_date`` and ``reasoning``, where known.
        level : float, default 0.9
            Coverage of the intervals.
        force : bool, default False
            Give the numbers that a gate refuses, beside its reason.

        Returns
        -------
        DataFrame
            A row per model and benchmark: model, benchmark, known, score, lower, upper, reason (why
            there is no number, or ""). A known cell is its own interval; a model without any known
            cell has NaN. Targets have the gates of ``predict``; of other benchmarks a number is
            refused for a model that is too new, or unlike all that the fit has seen.

        """
        check_level(level)
        cells, about = fractions(rows, self.columns), facts_of_rows(facts, rows.index)
        z = on_scale(cells, list(rows.index), self.columns, self.linear)
        return frame_of_cells(
            list(map(str, rows.index)),
            self.columns,
            cells,
            filled_cells(self.views.factor, z, about if self.views.with_facts else None),
            self.cell_scale(level),
            np.array([c in self.linear for c in self.columns], dtype=bool),
            reasons_of_cells(self.views, self.gates, z, about, self.columns, self.cheap),
            force=force,
        )

    def refitted(
        self,
        scores: pd.DataFrame,
        facts: pd.DataFrame,
        *,
        anchors: Sequence[str] | None = None,
        sample_weight: pd.Series | None = None,
    ) -> Self:
        """Return this predictor fitted to other models; the scale of its intervals stays.

        A model that the fit has seen is predicted without itself so, in a fraction of the time of
        a fit that calibrates its intervals anew.

        Parameters
        ----------
        scores, facts, anchors, sample_weight
            As for ``BlendedPredictor.fit``.

        """
        columns = Columns.of(
            scores, cheap=self.cheap, targets=self.targets, linear=self.linear, anchors=anchors
        )
        table = TrainingTable.of(scores, facts, columns, weight=sample_weight)
        recipe = Recipe(
            "vendor-reported" if self.views.with_facts else "single-protocol",
            n_components=self.views.places.shape[1],
        )
        return replace(
            self,
            columns=columns.names,
            models=tuple(map(str, table.models)),
            last_release=latest_release(facts, table),
            views=fit_views(table, recipe),
            gates=fit_gates(table),
            baselines=fit_baselines(table),
        )

    def save(self, path: Path, *, tables: str = "") -> None:
        """Write arrays to ``path`` with the ending .npz, and names to the same with .json.

        ``tables`` are digests of what it was fitted to, by which ``load`` knows it.
        """
        write_state(self, path, tables)

    @classmethod
    def load(cls, path: Path, *, tables: str = "") -> Self:
        """Read what ``save`` wrote; ``path`` with either ending.

        Raises
        ------
        FitError
            A file is not there, is of another version, or does not fit the other; or both the file
            and the caller state a digest of what it was fitted to, and the two differ.

        """
        return read_state(cls, path, tables)

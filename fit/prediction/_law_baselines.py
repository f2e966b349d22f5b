"""Beside a law that is fitted to one target stand the baselines that its training models give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..completion._baselines import BASELINES, fit_baselines
from ..completion._single import fit_lines
from ..completion._training import Columns, TrainingTable, decimal_years
from ..completion.scales import score_to_z, z_to_score

__all__ = ["RowBaselines", "baselines_of_rows"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RowBaselines:
    """What needs no law predicts for one model.

    Attributes
    ----------
    values : mapping of name to float
        "mean", "trend", "nearest" and "single", fractions; NaN where a baseline says nothing.
    nearest_model, single_benchmark : str
        What the last two of them are; "" for none.

    """

    values: dict[str, float]
    nearest_model: str
    single_benchmark: str


def baselines_of_rows(
    scores: pd.DataFrame,
    truth: pd.Series,
    released: pd.Series,
    rows: Array,
    dates: Sequence[tuple[str, str]],
) -> list[RowBaselines]:
    """Return the baselines of n rows, by the functions that stored laws have them from.

    Parameters
    ----------
    scores : (m × p) DataFrame
        Training models' cheap benchmarks, fractions, NaN where not measured.
    truth : (m,) Series
        Their scores on the target, fractions.
    released : Series by model
        Their release dates, "" where not known; others' are ignored.
    rows : (n, p)
        Scores of the models to predict, none of which is a training model.
    dates : sequence of n (str, str)
        Their names and release dates, "" where not known: the trend then says nothing.

    """
    table = _training_table(scores, truth, released)
    cheap, years = score_to_z(rows), decimal_years(dates)
    fitted, lines = fit_baselines(table), fit_lines(table.cheap, table.targets)
    naive = fitted.predict(cheap, years)
    dated = ~np.isnan(years) & ~np.isnan(fitted.intercept[0])
    naive["trend"] = np.where(dated[:, None], naive["trend"], nan)  # it would fall back on the mean
    naive["single"] = z_to_score(lines.predict(cheap)[0])
    nearest, single = fitted.nearest(cheap)[:, 0], lines.choice(cheap)[:, 0]
    models, benchmarks = (*map(str, scores.index), ""), (*map(str, scores.columns), "")
    return [
        RowBaselines(
            {name: _number(naive[name][i, 0]) for name in BASELINES},
            models[nearest[i]],
            benchmarks[single[i]],
        )
        for i in range(len(rows))
    ]


def _training_table(scores: pd.DataFrame, truth: pd.Series, released: pd.Series) -> TrainingTable:
    """Return the training models of a law as the functions of the baselines take them."""
    n, p = scores.shape
    cells = np.column_stack([scores.to_numpy(dtype=float), truth.to_numpy(dtype=float)])
    models = [str(model) for model in scores.index]
    return TrainingTable(
        models=np.array(models, dtype=str),
        score=cells,
        z=score_to_z(np.clip(cells, 0.0, 1.0)),  # the scale of the fits ends a little beyond
        years=decimal_years(released.reindex(scores.index).items()),
        reasoning=np.full(n, np.nan),
        provider=np.array(models, dtype=str),
        weight=np.ones(n),
        columns=Columns(
            (*map(str, scores.columns), str(truth.name)),
            cheap=tuple(range(p)),
            targets=(p,),
            anchors=(),
            linear=np.zeros(p + 1, dtype=bool),
        ),
    )


def _number(value: float) -> float:
    return nan if isnan(value) else float(value)

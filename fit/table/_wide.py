"""Rows of scores become a table of models by benchmarks, and such a table becomes rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TableError, UnknownNameError, near_matches
from ._checks import Columns, rows_of
from .numbers import check_unique, float_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["like_wide", "long_of_wide", "wide_array"]


def wide_array(
    rows: Columns, models: Sequence[str], benchmarks: Sequence[str], value: str
) -> NDArray[Any]:
    """Return a column of rows as an array (models × benchmarks), NaN where there is no row.

    Raises
    ------
    UnknownNameError
        A benchmark has no row at all.
    TableError
        Two rows belong into one cell, or a model has rows of two revisions.

    """
    known = list(dict.fromkeys(rows["benchmark"].tolist()))
    for name in benchmarks:
        if name not in known:
            raise UnknownNameError(f"no scores of benchmark {name!r}{near_matches(name, known)}")
    column = {name: j for j, name in enumerate(dict.fromkeys(benchmarks))}
    wanted = (name in column for name in rows["benchmark"].tolist())
    rows = rows_of(rows, np.fromiter(wanted, dtype=bool, count=len(rows["benchmark"])))
    _refuse_revisions(rows)
    place = {model: i for i, model in enumerate(models)}
    cells = [*zip(rows["model"].tolist(), rows["benchmark"].tolist(), strict=True)]
    if len(set(cells)) < len(cells):
        _refuse_twice(rows, cells)
    values = rows[value]
    table = np.full((len(place), len(column)), np.nan, dtype=values.dtype)
    table[[place[m] for m, _ in cells], [column[b] for _, b in cells]] = values
    return table[:, [column[name] for name in benchmarks]]


def long_of_wide(wide: pd.DataFrame, value: str) -> pd.DataFrame:
    """Return a row per cell of a (models × benchmarks) frame, with its ``value``."""
    import pandas as pd

    cells = float_frame(wide).to_numpy()
    n, p = wide.shape
    return pd.DataFrame(
        {
            "model": wide.index.repeat(p),
            "benchmark": np.tile(np.asarray(wide.columns, dtype=object), n),
            value: cells.ravel(),
        }
    )


def like_wide(stderr: pd.DataFrame, wide: pd.DataFrame) -> pd.DataFrame:
    """Return the standard errors of the cells of ``wide``, NaN where there is none."""
    for names, of_scores, what in (
        (stderr.index, wide.index, "models of the stderr"),
        (stderr.columns, wide.columns, "benchmarks of the stderr"),
    ):
        if not names.equals(of_scores):
            check_unique(names, what)
    return stderr.reindex_like(wide)


def _refuse_revisions(rows: Columns) -> None:
    """Refuse to make one row of two revisions of a model."""
    named: dict[str, list[str]] = {}
    for model, revision in zip(rows["model"], rows["revision"], strict=True):
        if revision and revision not in named.setdefault(model, []):
            named[model].append(revision)
    for model, revisions in named.items():
        if len(revisions) > 1:
            raise TableError(
                f"{model} has scores of {len(revisions)} revisions ({', '.join(revisions[:3])}"
                f"{', ...' if len(revisions) > 3 else ''}), which are two models: call them "
                f"{model}@{revisions[0]} and so on, or keep the rows of one"
            )


def _refuse_twice(rows: Columns, cells: Sequence[tuple[str, str]]) -> None:
    """Refuse to make one cell of two scores."""
    first = next(cell for cell in cells if cells.count(cell) > 1)
    both = [i for i, cell in enumerate(cells) if cell == first]
    kinds = ", ".join(
        f"{rows['protocol'][i] or 'no protocol'} {rows['revision'][i]} "
        f"({_shots(rows['n_shot'][i])}, {rows['source'][i]})"
        for i in both
    )
    raise TableError(
        f"{first[0]} has {len(both)} scores of {first[1]}: {kinds}; "
        "keep one of these rows, of a store in the table that `capspace scores --csv` writes"
    )


def _shots(n_shot: float) -> str:
    return "shots unknown" if np.isnan(n_shot) else f"{n_shot:.0f}-shot"

"""A score far below chance is doubtful, such as a missing score written as 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._table import ScoreTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["is_far_below_chance", "leave_out_doubtful", "rows_without_doubtful"]

_N_ITEMS = 100
_N_STDERR = 3.0
_SHOWN = 3


def is_far_below_chance(
    scores: ArrayLike, chance: ArrayLike, n_items: ArrayLike = np.nan
) -> NDArray[np.bool_]:
    """Return which scores (n,) are less than half of chance and three standard errors below it.

    Parameters
    ----------
    scores : (n,) array
        Fractions; NaN where not measured.
    chance : (n,) array or float
        Expected score of guessing; 0 or NaN where there is none, of which nothing is far below.
    n_items : (n,) array or float
        Items of each score; 100, fewer than benchmarks have, where it is NaN.

    Notes
    -----
    The standard error is that of guessing, √(c (1 − c) / n). Both conditions must hold: real
    models of few parameters lie up to four standard errors below the chance level of large
    benchmarks, at 0.8 of it, as length-normalised likelihoods prefer wrong answers.

    """
    value, level = np.asarray(scores, dtype=float), np.asarray(chance, dtype=float)
    n = np.asarray(n_items, dtype=float)
    stderr = np.sqrt(level * (1 - level) / np.where(n > 0, n, _N_ITEMS))
    return np.asarray((value < level / 2) & (value < level - _N_STDERR * stderr))


def leave_out_doubtful(
    table: ScoreTable, chance: Mapping[str, float], *, keep: bool = False
) -> ScoreTable:
    """Return a table without the scores far below chance; its notes say which, or that they stay.

    Parameters
    ----------
    table : ScoreTable
        Fractions.
    chance : mapping of benchmark to score
        Expected score of guessing; a benchmark that is not in it has none. Case does not count.
    keep : bool
        Leave the scores in; the notes name them.

    Notes
    -----
    A score of exactly 0 where chance is 0 may be true. It goes with a 0 of the same model that is
    far below chance: that table writes 0 for what is missing. Several zeros of a model whose rows
    do not count their items are used, and named in the notes.

    """
    rows = table.rows
    model, score = rows["model"], rows["score"]
    levels = {name.casefold(): level for name, level in chance.items()}
    at = np.array([levels.get(str(b).casefold(), 0.0) for b in rows["benchmark"]], dtype=float)
    far = is_far_below_chance(score, at, rows["n_items"])
    is_zero = score == 0
    writes_zeros = set(model[far & is_zero])
    with_it = is_zero & ~far & np.array([m in writes_zeros for m in model], dtype=bool)
    notes = []
    state = "kept" if keep else "left out"
    if far.any():
        shown = [
            f"{model[i]}: {rows['benchmark'][i]} is {score[i]:g} (chance {at[i]:g})"
            for i in np.flatnonzero(far)
        ]
        notes.append(f"far below chance, {state}: {_some(shown)}")
    if with_it.any():
        those = _by_model(rows, np.flatnonzero(with_it))
        notes.append(f"0 beside a 0 far below chance, {state}: {_some(those)}")
    uncounted = np.isnan(rows["n_items"])  # a row that counts its items was measured
    zeros = np.flatnonzero(is_zero & ~far & ~with_it & uncounted)
    times = Counter(model[zeros])
    several = [i for i in zeros.tolist() if times[model[i]] > 1]
    if several:
        notes.append(
            f"exactly 0 and used: {_some(_by_model(rows, several))}; leave a cell empty where "
            "nothing was measured"
        )
    if not notes:
        return table
    every = np.ones(len(score), dtype=bool)
    return table.with_rows(every if keep else ~(far | with_it), notes=notes)


def rows_without_doubtful(
    scores: pd.DataFrame, chance: Mapping[str, float]
) -> tuple[pd.DataFrame, list[tuple[str, ...]]]:
    """Return scores (models × benchmarks) with NaN for what ``leave_out_doubtful`` leaves out.

    The second value is each row's notes. Columns without a level in ``chance`` stay as they were.
    """
    named = [c for c in scores.columns if c in chance]
    far = is_far_below_chance(scores[named], [chance[c] for c in named])
    notes: list[tuple[str, ...]] = [()] * len(scores)
    usable = scores.copy()
    for i in np.flatnonzero(far.any(axis=1)).tolist():
        own = ScoreTable.from_wide(scores[named].iloc[[i]])
        row = leave_out_doubtful(own, chance)
        for benchmark in set(own.benchmarks) - set(row.benchmarks):
            usable.iloc[i, list(usable.columns).index(benchmark)] = np.nan
        notes[i] = row.notes
    return usable, notes


def _by_model(rows: Mapping[str, NDArray[Any]], which: Iterable[int]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for i in which:
        groups.setdefault(rows["model"][i], []).append(rows["benchmark"][i])
    return [f"{model}: {', '.join(own)}" for model, own in groups.items()]


def _some(texts: list[str]) -> str:
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return "; ".join([*texts[:_SHOWN], *more])

"""Some columns must not enter a space: averages, copies, the target's other names."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import nnls

from ._table import ScoreTable

__all__ = ["find_averages", "leave_out_averages", "same_as_target"]

Floats = NDArray[np.float64]

_MOST_ENUMERATED = 12
_LEAST_ROWS = 4
_CHANCE_MATCH = 1e-6
_SAME = 0.9999
_FILLER = re.compile(
    r"\([^()]*\)|\b\d+[ _-]*shots?\b|\b(?:scores?|acc|accuracy|percent|pct|norm|raw|results?)\b"
)


def find_averages(scores: pd.DataFrame) -> dict[str, str]:
    """Return the columns that are an average or a copy of others, each with how it is made.

    Parameters
    ----------
    scores : (models × benchmarks) DataFrame
        NaN where not measured.

    Notes
    -----
    A column is named where, in every model and to rounding, it is the mean of some of the others,
    or a sum of them with weights that are not negative; of two equal columns the later one is.
    Columns of few models, which some mean would meet by chance, are left alone.

    """
    made_of: dict[str, str] = {}
    names = list(scores.columns)
    for name in reversed(names):
        others = [n for n in names if n != name and str(n) not in made_of]
        parts = _parts(scores[name].to_numpy(dtype=float), scores[others].to_numpy(dtype=float))
        if parts is not None:
            used = ", ".join(str(others[i]) for i in parts)
            how = "an average of" if len(parts) > 1 else "the same as"
            made_of[str(name)] = f"{how} {used}"
    return {str(name): made_of[str(name)] for name in names if str(name) in made_of}


def leave_out_averages(table: ScoreTable, *, keep: bool = False) -> ScoreTable:
    """Return a table without columns that average or copy others; its notes name them.

    Parameters
    ----------
    table : ScoreTable
        Fractions.
    keep : bool
        Name the columns in the notes but leave them in.

    """
    odd = find_averages(table.wide())
    state = "stays in" if keep else "left out of"
    notes = (*table.notes, *(f"{column} {state} the space: {how}" for column, how in odd.items()))
    if keep or not odd:
        return replace(table, notes=notes)
    remaining = [b for b in table.benchmarks if b not in odd]
    return replace(table.select(benchmarks=remaining), notes=notes)


def same_as_target(scores: pd.DataFrame, truth: pd.Series, target: str) -> dict[str, str]:
    """Return the columns that are the target under another name, each with the reason.

    Parameters
    ----------
    scores : (models × benchmarks) DataFrame
        NaN where not measured.
    truth : Series by model
        The target's scores.
    target : str
        Its name.

    Notes
    -----
    A column is the target if its name is the same but for case, separators, shots in brackets and
    words such as "score", or if its scores are the target's, up to scale and sign (an error rate),
    with a correlation of 0.9999 or more in size, in four models or more.

    """
    reasons = {}
    for name in scores.columns:
        both = pd.DataFrame({"x": scores[name], "y": truth.reindex(scores.index)}).dropna()
        if _bare(str(name)) and _bare(str(name)) == _bare(target):
            reasons[str(name)] = f"it has the name of the target {target}"
        elif len(both) >= _LEAST_ROWS and both.std().gt(1e-9).all():
            r = float(np.corrcoef(both["x"], both["y"])[0, 1])
            if abs(r) >= _SAME:
                turned = ", turned round" if r < 0 else ""
                reasons[str(name)] = f"its scores are those of the target {target}{turned}"
    return reasons


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", _FILLER.sub(" ", re.sub(r"_+", " ", name.lower())))


def _parts(y: Floats, x: Floats) -> tuple[int, ...] | None:
    """Return which columns of ``x`` (n, p) average to ``y`` (n,) to rounding, if any do."""
    known = ~np.isnan(y)
    y, x = y[known], x[known]
    if len(y) < _LEAST_ROWS or np.ptp(y) == 0 or not x.shape[1]:
        return None
    tolerance = 1.02 * (_unit(y) + _unit(x))
    whole = ~np.isnan(x).any(axis=1)
    if whole.sum() >= 2 * x.shape[1] + _LEAST_ROWS:
        weights, _ = nnls(x[whole], y[whole])
        used = tuple(int(i) for i in np.flatnonzero(weights > 1e-3))
        fits = np.abs(x[whole] @ weights - y[whole]).max() <= tolerance
        if fits and used:
            return used
    p = x.shape[1]
    sizes = range(1, p + 1) if p <= _MOST_ENUMERATED else (p,)
    subsets = [s for size in sizes for s in combinations(range(p), size)]
    member = np.zeros((len(subsets), p))
    for row, subset in enumerate(subsets):
        member[row, list(subset)] = 1
    has = (member @ np.isnan(x).T) == 0  # NaN in no member: (subsets, n)
    mean = (member @ np.nan_to_num(x).T) / member.sum(axis=1)[:, None]
    off = np.where(has, np.abs(mean - y), 0.0).max(axis=1)
    # How likely some subset of unrelated columns would meet y in all its rows.
    hit = min(1.0, 2 * tolerance / max(float(np.std(y)), 1e-12))
    n = has.sum(axis=1)
    sure = (n >= _LEAST_ROWS) & (off <= tolerance) & (len(subsets) * hit**n < _CHANCE_MATCH)
    if not sure.any():
        return None
    best = int(np.argmax(np.where(sure, n * (p + 1) - member.sum(axis=1), -1)))
    return subsets[best]


def _unit(values: Floats) -> float:
    """Return half the last digit that values are written with, of at most six."""
    known = values[~np.isnan(values)]
    for digits in range(1, 6):
        if np.allclose(known, np.round(known, digits), rtol=0, atol=1e-9):
            return 0.5 * 10.0**-digits
    return 0.5e-6

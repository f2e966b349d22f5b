"""Every score table has typed columns, finite numbers, and no contradictory rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TableError
from .cells import Cells, as_text, cell_texts, is_missing, objects
from .facts import clean_facts
from .marks import read_marks
from .numbers import cell_floats, check_unique, floats
from .schema import FACT_COLUMNS, FACT_NUMBERS, KEY_COLUMNS, SCORE_COLUMNS, SCORE_NUMBERS

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Columns",
    "check_all_fractions",
    "checked_facts",
    "checked_scores",
    "facts_of_frame",
    "rows_of",
    "scores_of_cells",
    "scores_of_frame",
]

Columns = dict[str, NDArray[Any]]
"""Rows by column: floats for numbers, objects that are text for the others."""

_LARGEST_STDERR = 0.51  # of one half, from two items on
_MOST_ITEMS = 1_000_000_000
_ROUNDING = 1e-9


def rows_of(columns: Columns, use: NDArray[Any]) -> Columns:
    """Return some of the rows, by a mask or by their numbers."""
    return {name: values[use] for name, values in columns.items()}


def scores_of_frame(frame: pd.DataFrame) -> Columns:
    """Return the columns of scores of a frame, floats and text.

    Raises
    ------
    TableError
        A column stands there twice, or a cell is not what its column holds.

    """
    import pandas as pd

    out: Columns = {}
    check_unique(frame.columns[frame.columns.isin(SCORE_COLUMNS)], "columns")
    for column in SCORE_COLUMNS:
        if column in SCORE_NUMBERS:
            values = pd.Series(frame.get(column, np.nan), index=frame.index)
            out[column] = floats(values, _places(frame, column))
        else:
            text = pd.Series(frame.get(column, ""), index=frame.index, dtype=object)
            out[column] = as_text(text.rename(column)).to_numpy(dtype=object)
    return out


def scores_of_cells(cells: Cells) -> Columns:
    """Return columns of scores whose numbers are floats already, and whose text may be None."""
    n = len(cells["model"])
    return {
        column: (
            np.asarray(cells.get(column, np.full(n, np.nan)), dtype=float)
            if column in SCORE_NUMBERS
            else text_array(cell_texts(cells.get(column, [""] * n), column))
        )
        for column in SCORE_COLUMNS
    }


def text_array(texts: Sequence[str]) -> NDArray[Any]:
    """Return texts (n,) as objects."""
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array


def _places(frame: pd.DataFrame, column: str) -> Iterator[tuple[object, str]]:
    """Return the model of each row, and what its cell in a column is of."""
    models = frame.get("model", frame.index)
    if "benchmark" not in frame:
        return ((model, column) for model in models)
    rows = zip(models, frame["benchmark"], strict=True)
    return ((model, f"{column} of {benchmark!s}") for model, benchmark in rows)


def checked_scores(scores: Columns) -> Columns:
    """Return the rows that have a score, one per key.

    Raises
    ------
    TableError
        A score is infinite, a count is negative, a row has no name, or two rows of one key
        disagree.

    """
    scores = rows_of(scores, ~np.isnan(scores["score"]))
    scores["comparable"] = read_marks(scores)
    for column in SCORE_NUMBERS:
        for i in np.flatnonzero(np.isinf(scores[column])):
            of = f"{scores['model'][i]}: {column} of {scores['benchmark'][i]}"
            raise TableError(f"{of} is infinite")
    for column in ("stderr", "n_items", "n_shot"):
        for i in np.flatnonzero(scores[column] < 0):
            of = f"{scores['model'][i]}: {column} of {scores['benchmark'][i]}"
            raise TableError(f"{of} is negative ({scores[column][i]:g})")
    _refuse_no_counts(scores)
    for column in ("model", "benchmark"):
        empty = np.flatnonzero(scores[column] == "")
        if len(empty):
            raise TableError(f"row {int(empty[0]) + 1} names no {column}")
    return _merge_agreeing(scores)


def _refuse_no_counts(scores: Columns) -> None:
    """Refuse numbers of items that are no whole numbers, or that nothing could have."""
    n = scores["n_items"]
    for i in np.flatnonzero(~np.isnan(n) & ((n < 1) | (n > _MOST_ITEMS) | (n != np.round(n)))):
        of = f"{scores['model'][i]}: n_items of {scores['benchmark'][i]}"
        raise TableError(
            f"{of} is {n[i]:.15g}; it is a whole number from 1 to {_MOST_ITEMS:,}, or left empty"
        )


def _merge_agreeing(scores: Columns) -> Columns:
    """Return one row per key; raise TableError where two rows of one key disagree."""
    rows: dict[tuple[Any, ...], list[int]] = {}
    shots = [-1.0 if isnan(n) else n for n in scores["n_shot"].tolist()]
    columns = [shots if c == "n_shot" else scores[c].tolist() for c in KEY_COLUMNS]
    for i, key in enumerate(zip(*columns, strict=True)):
        rows.setdefault(key, []).append(i)
    if len(rows) == len(shots):
        return scores
    for _, own in sorted(item for item in rows.items() if len(item[1]) > 1):
        values = scores["score"][own]
        if values.max() - values.min() > _ROUNDING:
            stated = " but ".join(
                f"{float(s):g} ({o or 'no source'})"
                for s, o in zip(values, scores["source"][own], strict=True)
            )
            first = f"{scores['model'][own[0]]}: {scores['benchmark'][own[0]]}"
            raise TableError(f"{first} is {stated}; keep one")
    return rows_of(scores, np.array([own[0] for own in rows.values()]))


def check_all_fractions(rows: Columns) -> None:
    """Raise TableError for a score outside [0, 1], or a standard error that none can have."""
    score = rows["score"]
    for i in np.flatnonzero((score < 0) | (score > 1)):
        column = score[rows["benchmark"] == rows["benchmark"][i]]
        percent = column.max() <= 100 and column.min() >= 0
        hint = "these look like percentages: divide by 100" if percent else "check the table"
        if percent and (column <= 1).mean() > 0.5:
            hint = "the others of this benchmark are fractions: bring it to their scale"
        elif percent and ((column > 0) & (column <= 1)).any():
            hint = "percentages and fractions in one column: bring them to one scale"
        raise TableError(
            f"{rows['model'][i]}: {rows['benchmark'][i]} is {score[i]:g}, outside [0, 1]; {hint}"
        )
    for i in np.flatnonzero(rows["stderr"] > _LARGEST_STDERR):
        raise TableError(
            f"{rows['model'][i]}: the stderr of {rows['benchmark'][i]} is "
            f"{rows['stderr'][i]:g}, more than a score in [0, 1] can have; bring it to the "
            "score's scale"
        )


def facts_of_frame(models: pd.DataFrame) -> dict[str, list[Any]]:
    """Return the facts of a frame by column, and its models, which may be its index."""
    used = models.columns.isin(("model", *FACT_COLUMNS))
    check_unique(models.columns[used], "columns of the facts")
    named = models["model"] if "model" in models.columns else models.index.to_series()
    facts = {
        # What is missing but no number, such as NaT, is an error in a column of numbers.
        column: models[column].tolist() if column in FACT_NUMBERS else objects(models[column])
        for column in FACT_COLUMNS
        if column in models
    }
    return {"model": cell_texts(objects(named), named.name), **facts}


def checked_facts(facts: Cells, scored: Iterable[str]) -> Columns:
    """Return the facts of all models, those without any included, each checked.

    Raises
    ------
    TableError
        A fact is not what its column holds, or a model has two.

    """
    models = [str(model) for model in facts["model"]]
    known = clean_facts(models, {c: facts[c] for c in FACT_COLUMNS if c in facts})
    rows: dict[str, list[int]] = {}
    for i, model in enumerate(models):
        rows.setdefault(model, []).append(i)
    if len(rows) < len(models):
        known = _one_of_each(rows, known)
    names = list(rows)
    extra = [model for model in dict.fromkeys(scored) if model not in rows]
    out = {"model": text_array([*names, *extra])}
    for column in FACT_COLUMNS:
        if column in FACT_NUMBERS:
            cells = known.get(column, [None] * len(names))
            given = cell_floats(cells, ((model, column) for model in names))
            for i in np.flatnonzero(np.isinf(given) | (given <= 0)).tolist():
                raise TableError(f"{names[i]}: {column} is {given[i]:g}; it must be > 0")
            out[column] = np.concatenate([given, np.full(len(extra), np.nan)])
        else:
            text = cell_texts(known.get(column, [""] * len(names)), column)
            out[column] = text_array([*text, *("" for _ in extra)])
    return out


def _one_of_each(rows: Mapping[str, Sequence[int]], facts: Cells) -> dict[str, Any]:
    """Return the first that is known of the facts of each model, whose rows agree."""
    for model in sorted(model for model, own in rows.items() if len(own) > 1):
        for column, cells in facts.items():
            known = Counter(cells[i] for i in rows[model] if not is_missing(cells[i]))
            if len(known) > 1:
                modes = "; scores of two modes belong under two names"
                raise TableError(
                    f"{model}: {column} is both {' and '.join(map(str, known))}"
                    f"{modes if column == 'mode' else ''}"
                )
    return {
        column: [
            next((cells[i] for i in own if not is_missing(cells[i])), None) for own in rows.values()
        ]
        for column, cells in facts.items()
    }

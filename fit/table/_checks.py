"""Every score table has typed columns, finite numbers, and no row against another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from ..errors import TableError
from .cells import as_text
from .facts import clean_facts
from .numbers import check_unique, floats
from .schema import FACT_COLUMNS, FACT_NUMBERS, KEY_COLUMNS, SCORE_NUMBERS

__all__ = ["check_facts", "check_scores", "merge_agreeing", "typed_columns"]

_ROUNDING = 1e-9


def typed_columns(
    frame: pd.DataFrame, columns: tuple[str, ...], numbers: tuple[str, ...]
) -> pd.DataFrame:
    """Return these columns of a frame, ``numbers`` among them as floats and the others as text.

    Raises
    ------
    TableError
        A column stands there twice, or a cell is not what its column holds.

    """
    out = pd.DataFrame(index=frame.index)
    check_unique(frame.columns[frame.columns.isin(columns)], "columns")
    for column in columns:
        if column in numbers:
            values = pd.Series(frame.get(column, np.nan), index=frame.index)
            out[column] = floats(values, _places(frame, column))
        else:
            text = pd.Series(frame.get(column, ""), index=frame.index, dtype=object)
            out[column] = as_text(text.rename(column))
    return out


def _places(frame: pd.DataFrame, column: str) -> Iterator[tuple[object, str]]:
    """Return the model of each row, and what its cell in a column is of."""
    models = frame.get("model", frame.index)
    if "benchmark" not in frame:
        return ((model, column) for model in models)
    rows = zip(models, frame["benchmark"], strict=True)
    return ((model, f"{column} of {benchmark!s}") for model, benchmark in rows)


def check_scores(scores: pd.DataFrame) -> None:
    """Raise TableError for a score that is infinite, a negative count, or a row without a name."""
    for column in SCORE_NUMBERS:
        bad = scores[np.isinf(scores[column])]
        if len(bad):
            row = bad.iloc[0]
            raise TableError(f"{row['model']}: {column} of {row['benchmark']} is infinite")
    for column in ("stderr", "n_items", "n_shot"):
        bad = scores[scores[column] < 0]
        if len(bad):
            row = bad.iloc[0]
            raise TableError(
                f"{row['model']}: {column} of {row['benchmark']} is negative ({row[column]:g})"
            )
    for column in ("model", "benchmark"):
        if (scores[column] == "").any():
            raise TableError(f"row {int(np.argmax(scores[column] == '')) + 1} names no {column}")


def merge_agreeing(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per key; raise TableError where two rows of one key disagree."""
    keys = list(KEY_COLUMNS)
    for _, rows in scores[scores.duplicated(keys, keep=False)].groupby(keys, dropna=False):
        if rows["score"].max() - rows["score"].min() > _ROUNDING:
            first = rows.iloc[0]
            values = " but ".join(
                f"{float(s):g} ({o or 'no source'})"
                for s, o in zip(rows["score"], rows["source"], strict=True)
            )
            raise TableError(f"{first['model']}: {first['benchmark']} is {values}; keep one")
    return scores.drop_duplicates(keys)


def check_facts(models: pd.DataFrame, scored: Iterable[str]) -> pd.DataFrame:
    """Return the facts of all models, those without any included, each checked."""
    used = models.columns.isin(("model", *FACT_COLUMNS))
    check_unique(models.columns[used], "columns of the facts")
    named = models.set_index("model") if "model" in models.columns else models
    frame = named.set_axis(as_text(named.index.to_series()).to_numpy(), axis=0)
    frame = clean_facts(frame)
    if frame.index.has_duplicates:
        for model, rows in frame[frame.index.duplicated(keep=False)].groupby(level=0):
            for column in (c for c in FACT_COLUMNS if c in rows):
                if rows[column].dropna().nunique() > 1:
                    values = " and ".join(map(str, rows[column].dropna().unique()))
                    modes = "; scores of two modes belong under two names"
                    raise TableError(
                        f"{model!s}: {column} is both {values}{modes if column == 'mode' else ''}"
                    )
        frame = frame.groupby(level=0, sort=False).first()
    facts = typed_columns(frame, FACT_COLUMNS, FACT_NUMBERS)
    for column in FACT_NUMBERS:
        bad = facts[np.isinf(facts[column]) | (facts[column] <= 0)]
        if len(bad):
            raise TableError(f"{bad.index[0]}: {column} is {bad[column].iloc[0]:g}; it must be > 0")
    extra = [m for m in dict.fromkeys(scored) if m not in facts.index]
    return (
        facts.reindex([*facts.index, *extra])
        .fillna({c: "" for c in FACT_COLUMNS if c not in FACT_NUMBERS})
        .rename_axis("model")
    )

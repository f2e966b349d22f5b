"""The facts of two tables about one model become one row, or the error names both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import TableError
from .cells import is_missing
from .facts import family_key
from .schema import FACT_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["merged_facts"]


def merged_facts(mine: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Return the facts of the models of either table.

    Raises
    ------
    TableError
        The two disagree on a fact of one model.

    """
    facts = mine.copy()
    for model, row in theirs.iterrows():
        if model not in facts.index:
            facts.loc[model] = row
            continue
        for column in FACT_COLUMNS:
            own, its = facts.at[model, column], row[column]
            if _is_missing(own):
                facts.at[model, column] = its
            elif column == "family" and family_key(own) == family_key(its):
                continue
            elif not _is_missing(its) and not _same(own, its):
                raise TableError(f"{model!s}: {column} is {own!s} in one table, {its!s} in another")
    return facts


def _is_missing(value: Any) -> bool:
    return value == "" or is_missing(value)


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, float) and isinstance(other, float):
        return bool(np.isclose(value, other, rtol=1e-6, atol=0.0))
    return bool(value == other)

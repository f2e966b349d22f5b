"""A table of responses has a column for each item, or a row for each response."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TableError
from ..table.cells import cell_numbers, cell_texts, is_empty, read_columns
from ._responses import Responses, organisation

__all__ = ["read_responses"]

_LONG = {"model", "item", "response"}


def read_responses(path: str | Path) -> Responses:
    r"""Read responses of many models to the items of a benchmark.

    Parameters
    ----------
    path : str or Path
        A CSV or Parquet table with a row per model: a column ``model``, one for each item, and
        ``family`` where it is known. Or with a row per response: ``model``, ``item``,
        ``response``, and ``family`` where it is known. An empty cell is an answer that is not
        known. A model without a family is taken for one of its organisation's, ``org/model``.

    Raises
    ------
    TableError
        It is no such table: an item is there twice, a response is not between 0 and 1, and so on;
        the message names the file.

    See Also
    --------
    Responses : What is returned.
    shorten : Chooses among their items.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "answers.csv")
    ...     _ = file.write_text("model,arc_challenge/0,arc_challenge/1\na,1,0\nb,1,1\n")
    ...     responses = read_responses(file)
    >>> responses.items
    ['arc_challenge/0', 'arc_challenge/1']

    """
    path = Path(path)
    try:
        cells: dict[str, Any] = {c.strip(): v for c, v in read_columns(path).items()}
        lower = {column.lower(): column for column in cells}
        if "model" not in lower:
            raise TableError(
                "no column model; expected a column for each item beside it, or the columns model, "
                "item, response"
            )
        return _from_long(cells, lower) if set(lower) >= _LONG else _from_wide(cells, lower)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None


def _from_wide(cells: dict[str, Any], lower: dict[str, str]) -> Responses:
    models = _names(cells[lower["model"]], "model")
    twice = [model for model in models if models.count(model) > 1]
    if twice:
        raise TableError(f"model {twice[0]!r} has two rows")
    items = [c for c in cells if c.lower() not in ("model", "family", "")]
    if not items:
        raise TableError("no column for any item beside model")
    columns = [cell_numbers(cells[item], models, item) for item in items]
    families = cell_texts(cells[lower["family"]], "family") if "family" in lower else None
    return Responses(np.column_stack(columns), models, items, _akin(models, families))


def _from_long(cells: dict[str, Any], lower: dict[str, str]) -> Responses:
    owners = _names(cells[lower["model"]], "model")
    asked = _names(cells[lower["item"]], "item")
    given = cell_numbers(cells[lower["response"]], owners, "response")
    models, items = list(dict.fromkeys(owners)), list(dict.fromkeys(asked))
    row, column = ({name: i for i, name in enumerate(names)} for names in (models, items))
    values = np.full((len(models), len(items)), np.nan)
    seen: set[tuple[str, str]] = set()
    for model, item, response in zip(owners, asked, given, strict=True):
        if (model, item) in seen:
            raise TableError(f"model {model!r} has item {item!r} twice; give each response once")
        seen.add((model, item))
        values[row[model], column[item]] = response
    families = [""] * len(models)
    if "family" in lower:
        for model, family in zip(owners, cell_texts(cells[lower["family"]], "family"), strict=True):
            families[row[model]] = families[row[model]] or family
    return Responses(values, models, items, _akin(models, families))


def _akin(models: Sequence[str], families: Sequence[str] | None) -> list[str]:
    named = families or [""] * len(models)
    return [f or organisation(m) for m, f in zip(models, named, strict=True)]


def _names(cells: Any, column: str) -> list[str]:
    empty = [i for i, cell in enumerate(cells) if is_empty(cell)]
    if empty:
        raise TableError(f"row {empty[0] + 2} names no {column}")
    return cell_texts(cells, column)

"""HELM publishes the tables of its leaderboards as JSON, with their release beside them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from ..errors import TableError
from ._imported import (
    Cell,
    ImportedTable,
    SourceTerms,
    imported,
    parse_json,
    read_text,
    some,
    validated,
)

__all__ = ["is_helm", "read_helm"]

TITLE = "HELM"
URL = "https://crfm.stanford.edu/helm"

_TABLE = "Accuracy"
_GROUP = "core_scenarios.json"
_MODEL = re.compile(r"[:,]model=([^,]+)")


class _Head(BaseModel):
    value: str
    lower_is_better: bool | None = None


class _Entry(BaseModel):
    value: Any = None
    run_names: list[str] | None = None
    run_spec_names: list[str] | None = None


class _Table(BaseModel):
    title: str
    header: list[_Head] = Field(min_length=2)
    rows: list[list[_Entry]]


class _Summary(BaseModel):
    release: str | None = None
    date: str | None = None


def is_helm(value: object) -> bool:
    """Return whether a JSON value is a list of HELM's tables."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and {"title", "header", "rows"} <= set(first)


def read_helm(path: Path, terms: SourceTerms) -> ImportedTable:
    """Read the accuracy table of ``groups/core_scenarios.json``, or of a release's folder.

    ``summary.json`` of the release, in the folder above the groups, states its date. Models are
    named as their runs name them. Means over scenarios, metrics of which less is better, and
    columns that are no fractions are left out.

    Raises
    ------
    TableError
        There is no accuracy table, a row is shorter than the header, or there is no date.

    """
    group = path / "groups" / _GROUP if path.is_dir() else path
    if not group.is_file():
        raise TableError(f"{path}: no {group.relative_to(path)}; give the folder of a release")
    summary = _summary(group.parent.parent / "summary.json")
    release = f"{TITLE} {summary.release}" if summary.release else TITLE
    source = terms.source(group, release, url=URL, stated=summary.date or "")
    value = parse_json(read_text(group), str(group))
    tables = [
        validated(_Table, table, f"{group}: table {i}")
        for i, table in enumerate(value if isinstance(value, list) else [], start=1)
        if isinstance(table, dict) and table.get("title") == _TABLE
    ]
    if not tables:
        raise TableError(f"{group}: it holds no table {_TABLE!r} of HELM")
    table = tables[0]
    columns = _columns(table)
    cells = list(_cells(table, columns, group, source.title))
    outside = {cell.benchmark for cell in cells if not 0 <= cell.score <= 1}
    notes = [f"no fractions, left out: {some(sorted(outside))}"] if outside else []
    usable = [cell for cell in cells if cell.benchmark not in outside]
    facts = {cell.model: _facts(cell.model) for cell in usable}
    return imported("helm", group, usable, (source,), facts=facts, notes=notes)


def _columns(table: _Table) -> dict[int, tuple[str, str]]:
    """Return benchmark and metric of each column that is read."""
    columns = {}
    for i, head in enumerate(table.header):
        name, dash, metric = head.value.partition(" - ")
        if i and dash and not head.lower_is_better:
            columns[i] = (name.strip(), metric.strip())
    return columns


def _cells(
    table: _Table, columns: dict[int, tuple[str, str]], path: Path, title: str
) -> Iterator[Cell]:
    for number, row in enumerate(table.rows, start=1):
        if len(row) != len(table.header):
            raise TableError(f"{path}: row {number} has {len(row)} cells, not {len(table.header)}")
        model = _model(row)
        for i, (name, metric) in columns.items():
            score = row[i].value
            if score is None or (isinstance(score, float) and math.isnan(score)):
                continue
            if isinstance(score, bool) or not isinstance(score, int | float):
                raise TableError(f"{path}: {model}: {name} is {score!r:.40}, not a number")
            yield Cell(model, name, float(str(score)), title, protocol=f"{TITLE}: {metric}")


def _model(row: list[_Entry]) -> str:
    """Return the model as its runs name it, "organisation/name", else as the table shows it."""
    runs = [run for entry in row for run in (entry.run_names or entry.run_spec_names or [])]
    for run in runs:
        if match := _MODEL.search(run):
            return match[1].replace("_", "/", 1)
    return str(row[0].value).strip()


def _facts(model: str) -> dict[str, str | None]:
    organisation = model.partition("/")[0] if "/" in model else None
    return {"family": organisation, "provider": organisation}


def _summary(path: Path) -> _Summary:
    if not path.is_file():
        return _Summary()
    return validated(_Summary, parse_json(read_text(path), str(path)), str(path))

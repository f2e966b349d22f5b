"""A reference is read from a folder: its tables, beside the entries that describe them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TableError, near_matches
from ..table._source_offsets import SourceOffsets
from ..table._table import ScoreTable
from ..table.cells import Cells, cell_numbers, read_columns
from ..table.facts import last_day, read_date
from ..table.offset_files import OFFSETS, read_offsets
from ..table.readers import typed_cells
from ._digest import TABLES, table_content
from ._entries import About
from ._read_entries import is_there, read_about, read_benchmarks, read_evaluations, read_targets
from ._reference import Reference

__all__ = ["read_reference", "with_tuning"]


def read_reference(folder: Traversable, packaged: Traversable) -> Reference:
    """Read a folder; entries that it does not have are those of the folder ``packaged``."""

    def pick(name: str) -> Traversable:
        return folder / name if is_there(folder, name) else packaged / name

    benchmarks = read_benchmarks(pick("benchmarks.yaml"))
    targets = read_targets(pick("targets.yaml"))
    about = read_about(folder / "reference.yaml") if is_there(folder, "reference.yaml") else None
    for name in TABLES:
        if not (is_there(folder, name) or is_there(folder, f"{name}.gz")):
            raise TableError(
                f"{folder}: no {name}; a reference folder holds scores.csv, models.csv"
            )
    scores, facts = (_cells(folder, name) for name in TABLES)
    missing = [c for c in ("model", "benchmark", "score") if c not in scores]
    if missing:
        raise TableError(f"{folder / 'scores.csv'}: no column {missing[0]!r}")
    if "model" not in facts:
        raise TableError(f"{folder / 'models.csv'}: no column 'model'")
    known = [*benchmarks, *targets]
    stray = [b for b in dict.fromkeys(scores["benchmark"]) if b not in known]
    if stray:
        raise TableError(
            f"{folder / 'scores.csv'}: {stray[0]!r} is neither a benchmark nor a target"
            f"{near_matches(str(stray[0]), known)}"
        )
    try:
        weights = _weights(facts)
        described = _tuned(typed_cells(facts), scores["model"])
        table = ScoreTable.from_cells(typed_cells(scores), described)
        if about is not None:
            _refuse_later(table, scores, about)
    except TableError as error:
        raise TableError(f"{folder}: {error}") from None
    return Reference(
        table,
        benchmarks,
        targets,
        about,
        read_evaluations(folder, targets),
        weights,
        Path(str(folder / "laws")) if is_there(folder, "laws.npz") else None,
        _offsets(folder),
        Path(str(folder)),
    )


def _offsets(folder: Traversable) -> SourceOffsets:
    """Return how far sources are apart, as the folder states it."""
    return (
        read_offsets(Path(str(folder / OFFSETS)))
        if is_there(folder, OFFSETS)
        else SourceOffsets(())
    )


def with_tuning(table: ScoreTable) -> ScoreTable:
    """Return a table whose models are base or instruct; base where that is not stated."""
    return ScoreTable.from_cells(table.rows, _tuned(table.facts, ()), table.notes)


def _tuned(facts: Cells, scored: Iterable[str]) -> dict[str, Any]:
    """Return the facts of all models, ``scored`` ones included, each base or instruct."""
    models = list(facts["model"])
    known = set(models)
    extra = [m for m in dict.fromkeys(scored) if m not in known]
    every = {c: [*cells, *(None for _ in extra)] for c, cells in facts.items()}
    every["model"] = [*models, *extra]
    given = every.get("tuning", [None] * len(every["model"]))
    every["tuning"] = [t.strip().lower() if isinstance(t, str) and t else "base" for t in given]
    for model, tuning in zip(every["model"], every["tuning"], strict=True):
        if tuning not in ("base", "instruct"):
            raise TableError(f"{model}: tuning is {tuning!r}; it is 'base' or 'instruct'")
    return every


def _cells(folder: Traversable, name: str) -> dict[str, list[Any]]:
    """Return the cells of a CSV file by column, compressed or not."""
    content = table_content(folder, name)
    try:
        return read_columns(Path(name), content=content)
    except TableError as error:
        raise TableError(f"{folder / name}: {error}") from None


def _weights(facts: Cells) -> dict[str, float]:
    """Return the weight of each model that states one, which lies in (0, 1]."""
    if "weight" not in facts:
        return {}
    weights = cell_numbers(facts["weight"], facts["model"], "weight").tolist()
    stated = {str(m): w for m, w in zip(facts["model"], weights, strict=True) if not np.isnan(w)}
    for model, weight in stated.items():
        if not 0 < weight <= 1:
            raise TableError(f"{model}: weight is {weight:g}; it lies in (0, 1]")
    return stated


def _refuse_later(table: ScoreTable, scores: Cells, about: About) -> None:
    """Refuse a model released after the reference's date, or a cell dated after its sources.

    A date without its day is refused only where all of its days are later.
    """
    cut = max([about.date, *(source.date for source in about.sources)]).isoformat()
    facts = table.facts
    for model, released in zip(facts["model"], facts["release_date"], strict=True):
        if released and _first_day(released) > about.date.isoformat():
            raise TableError(
                f"{model} was released on {released}, after the reference's date {about.date}"
            )
    if "date" not in scores:
        return
    rows = zip(scores["model"], scores["benchmark"], scores["date"], strict=True)
    for model, benchmark, cell in rows:
        dated = read_date(cell, f"{model}: date of {benchmark}")
        if dated and _first_day(dated) > cut:
            raise TableError(
                f"{model}: {benchmark} is dated {dated}, after {cut}, when the reference's sources "
                "were read; leave the cell out, or name its source"
            )


def _first_day(iso: str) -> str:
    last_day(iso)
    return iso + "-01" * (2 - iso.count("-"))

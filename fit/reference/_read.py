"""A reference is read from a folder: its tables, and the entries that describe them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from ..errors import TableError, near_matches
from ..table._source_offsets import SourceOffsets
from ..table._table import ScoreTable
from ..table.cells import Cells, cell_numbers, read_columns
from ..table.facts import last_day, read_date
from ..table.offset_files import OFFSETS, read_offsets
from ..table.readers import typed_cells
from ._checked_entries import checked_entries
from ._digest import TABLES, table_content
from ._entries import About, Benchmark, Evaluation, Target
from ._reference import Reference

__all__ = ["read_about", "read_benchmarks", "read_reference", "read_targets", "with_tuning"]

Entry = TypeVar("Entry", bound=BaseModel)


def read_reference(folder: Traversable, packaged: Traversable) -> Reference:
    """Read a folder; entries that it does not have are those of the folder ``packaged``."""

    def pick(name: str) -> Traversable:
        return folder / name if _is_there(folder, name) else packaged / name

    benchmarks = read_benchmarks(pick("benchmarks.yaml"))
    targets = read_targets(pick("targets.yaml"))
    about = read_about(folder / "reference.yaml") if _is_there(folder, "reference.yaml") else None
    for name in TABLES:
        if not (_is_there(folder, name) or _is_there(folder, f"{name}.gz")):
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
        _evaluations(folder, targets),
        weights,
        Path(str(folder / "laws")) if _is_there(folder, "laws.npz") else None,
        _offsets(folder),
        Path(str(folder)),
    )


def _offsets(folder: Traversable) -> SourceOffsets:
    """Return how far sources are apart, as the folder states it."""
    return (
        read_offsets(Path(str(folder / OFFSETS)))
        if _is_there(folder, OFFSETS)
        else SourceOffsets(())
    )


def read_about(file: Traversable) -> About:
    """Read what a reference says about itself, its date and licence included."""
    checked = checked_entries(About, file)
    return checked[0] if checked else _validated(About, _yaml(file), file)


def read_benchmarks(file: Traversable) -> dict[str, Benchmark]:
    """Read the benchmarks of a reference, by name."""
    entries = _entries(Benchmark, file)
    return _by_name([b.name for b in entries], entries, file)


def read_targets(file: Traversable) -> dict[str, Target]:
    """Read the targets of a reference, by name."""
    entries = _entries(Target, file)
    return _by_name([t.name for t in entries], entries, file)


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


def _is_there(folder: Traversable, name: str) -> bool:
    """Return whether a folder has a file, which is not a folder itself."""
    if (folder / name).is_dir():
        raise TableError(f"{folder / name}: a folder, not a file")
    return (folder / name).is_file()


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


def _evaluations(folder: Traversable, targets: dict[str, Target]) -> dict[str, Evaluation]:
    if not _is_there(folder, "evaluation.csv"):
        return {}
    file = folder / "evaluation.csv"
    entries = checked_entries(Evaluation, file)
    if entries is None:
        try:
            cells = read_columns(Path(file.name), content=file.read_bytes())
        except (TableError, OSError) as error:
            raise TableError(f"{file}: {error}") from None
        rows = (dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True))
        entries = [_validated(Evaluation, row, file) for row in rows]
    for entry in entries:
        if entry.target not in targets:
            raise TableError(
                f"{file}: {entry.target!r} is no target{near_matches(entry.target, targets)}"
            )
    return _by_name([entry.target for entry in entries], entries, file)


def _by_name(names: list[str], entries: list[Entry], file: Traversable) -> dict[str, Entry]:
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise TableError(f"{file}: {_in_a_line(twice)} is there twice")
    return dict(zip(names, entries, strict=True))


def _entries(kind: type[Entry], file: Traversable) -> list[Entry]:
    checked = checked_entries(kind, file)
    if checked is not None:
        return checked
    entries = _yaml(file)
    if not isinstance(entries, list):
        raise TableError(f"{file}: expected a list of entries")
    return [_validated(kind, entry, file) for entry in entries]


def _yaml(file: Traversable) -> object:
    from ._yaml_files import read_yaml  # 15 ms, which packaged references do without

    return read_yaml(file)


def _validated(kind: type[Entry], entry: object, file: Traversable) -> Entry:
    try:
        return kind.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        named = entry if isinstance(entry, dict) else {}
        name = named.get("name", named.get("target", "entry without a name"))
        field = ".".join(map(_in_a_line, first["loc"])) or "entry"
        raise TableError(f"{file}: {_in_a_line(name)}: {field}: {first['msg']}") from None


def _in_a_line(name: object) -> str:
    text = str(name) if isinstance(name, str | int) else ""
    return text if text.isprintable() and 0 < len(text) < 200 else f"{name!r:.60}"

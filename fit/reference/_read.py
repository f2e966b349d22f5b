"""A reference is read from a folder: its tables, and the entries that describe them."""

from __future__ import annotations

import gzip
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

import pandas as pd
import yaml
from pydantic import BaseModel, ValidationError

from ..errors import TableError, near_matches
from ..table._source_offsets import SourceOffsets
from ..table._table import ScoreTable
from ..table.cells import as_numbers, read_cells
from ..table.facts import last_day, read_date
from ..table.offset_files import OFFSETS, read_offsets
from ..table.readers import typed
from ._entries import About, Benchmark, Evaluation, Target
from ._reference import Reference

__all__ = ["read_about", "read_benchmarks", "read_reference", "read_targets", "with_tuning"]

Entry = TypeVar("Entry", bound=BaseModel)


def read_reference(folder: Traversable, packaged: Traversable) -> Reference:
    """Read a folder; entries that it does not have are those of the folder ``packaged``."""

    def pick(name: str) -> Traversable:
        own = folder / name
        return own if own.is_file() else packaged / name

    benchmarks = read_benchmarks(pick("benchmarks.yaml"))
    targets = read_targets(pick("targets.yaml"))
    about = read_about(folder / "reference.yaml") if _is_there(folder, "reference.yaml") else None
    for name in ("scores.csv", "models.csv"):
        if not (_is_there(folder, name) or _is_there(folder, f"{name}.gz")):
            raise TableError(
                f"{folder}: no {name}; a reference folder holds scores.csv, models.csv"
            )
    scores, facts = (_cells(folder, name) for name in ("scores.csv", "models.csv"))
    missing = [c for c in ("model", "benchmark", "score") if c not in scores]
    if missing:
        raise TableError(f"{folder / 'scores.csv'}: no column {missing[0]!r}")
    if "model" not in facts:
        raise TableError(f"{folder / 'models.csv'}: no column 'model'")
    known = [*benchmarks, *targets]
    stray = [b for b in scores["benchmark"].unique() if b not in known]
    if stray:
        raise TableError(
            f"{folder / 'scores.csv'}: {stray[0]!r} is neither a benchmark nor a target"
            f"{near_matches(str(stray[0]), known)}"
        )
    try:
        weights = _weights(facts)
        table = ScoreTable(typed(scores), _tuned(typed(facts), scores["model"]))
        if about is not None:
            _refuse_later(table, scores, about)
    except TableError as error:
        raise TableError(f"{folder}: {error}") from None
    return Reference(
        table,
        benchmarks,
        targets,
        about,
        _evaluations(folder / "evaluation.csv", targets),
        weights,
        Path(str(folder / "laws")) if _is_there(folder, "laws.npz") else None,
        _offsets(folder),
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
    return _validated(About, _yaml(file), file)


def read_benchmarks(file: Traversable) -> dict[str, Benchmark]:
    """Read the benchmarks of a reference, by name."""
    entries = [_validated(Benchmark, entry, file) for entry in _entries(file)]
    return {b.name: b for b in entries}


def read_targets(file: Traversable) -> dict[str, Target]:
    """Read the targets of a reference, by name."""
    entries = [_validated(Target, entry, file) for entry in _entries(file)]
    return {t.name: t for t in entries}


def with_tuning(table: ScoreTable) -> ScoreTable:
    """Return a table whose models are base or instruct; base where that is not stated."""
    facts = _tuned(table.models.reset_index(), pd.Series(dtype=object))
    return ScoreTable(table.scores, facts, table.notes)


def _tuned(facts: pd.DataFrame, scored: pd.Series) -> pd.DataFrame:
    """Return the facts of all models, ``scored`` ones included, each base or instruct."""
    known = set(facts["model"])
    extra = [m for m in scored.unique() if m not in known]
    every = pd.concat([facts, pd.DataFrame({"model": extra})]) if extra else facts.copy()
    given = every["tuning"] if "tuning" in every else pd.Series("", every.index)
    every["tuning"] = [t.strip().lower() if isinstance(t, str) and t else "base" for t in given]
    odd = every[~every["tuning"].isin(["base", "instruct"])]
    if len(odd):
        raise TableError(
            f"{odd['model'].iloc[0]}: tuning is {odd['tuning'].iloc[0]!r}; it is 'base' or "
            "'instruct'"
        )
    return every


def _is_there(folder: Traversable, name: str) -> bool:
    return (folder / name).is_file()


def _cells(folder: Traversable, name: str) -> pd.DataFrame:
    """Return the cells of a CSV file, compressed or not."""
    packed = _is_there(folder, f"{name}.gz")
    file = folder / (f"{name}.gz" if packed else name)
    try:
        content = gzip.decompress(file.read_bytes()) if packed else file.read_bytes()
        return read_cells(Path(name), content=content)
    except (TableError, OSError, EOFError) as error:
        raise TableError(f"{file}: {error}") from None


def _weights(facts: pd.DataFrame) -> dict[str, float]:
    """Return the weight of each model that states one, which lies in (0, 1]."""
    if "weight" not in facts:
        return {}
    weights = as_numbers(facts["weight"], facts["model"]).set_axis(facts["model"]).dropna()
    odd = weights[~weights.between(0, 1, inclusive="right")]
    if len(odd):
        raise TableError(f"{odd.index[0]}: weight is {odd.iloc[0]:g}; it lies in (0, 1]")
    return {str(model): float(weight) for model, weight in weights.items()}


def _refuse_later(table: ScoreTable, scores: pd.DataFrame, about: About) -> None:
    """Refuse a model released after the reference's date, or a cell dated after its sources.

    A date without its day is refused only where all of its days are later.
    """
    cut = max([about.date, *(source.date for source in about.sources)]).isoformat()
    for model, released in table.models["release_date"].items():
        if released and _first_day(released) > about.date.isoformat():
            raise TableError(
                f"{model} was released on {released}, after the reference's date {about.date}"
            )
    if "date" not in scores:
        return
    for model, benchmark, cell in scores[["model", "benchmark", "date"]].itertuples(index=False):
        dated = read_date(cell, f"{model}: date of {benchmark}")
        if dated and _first_day(dated) > cut:
            raise TableError(
                f"{model}: {benchmark} is dated {dated}, after {cut}, when the reference's sources "
                "were read; leave the cell out, or name its source"
            )


def _first_day(iso: str) -> str:
    last_day(iso)
    return iso + "-01" * (2 - iso.count("-"))


def _evaluations(file: Traversable, targets: dict[str, Target]) -> dict[str, Evaluation]:
    if not file.is_file():
        return {}
    try:
        cells = read_cells(Path(file.name), content=file.read_bytes())
    except TableError as error:
        raise TableError(f"{file}: {error}") from None
    entries = [_validated(Evaluation, row, file) for row in cells.to_dict("records")]
    for entry in entries:
        if entry.target not in targets:
            raise TableError(
                f"{file}: {entry.target!r} is no target{near_matches(entry.target, targets)}"
            )
    return {entry.target: entry for entry in entries}


def _yaml(file: Traversable) -> object:
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 # it is safe
    except yaml.YAMLError as error:
        raise TableError(f"{file}: not YAML ({str(error).splitlines()[0]})") from None


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where it is built


def _entries(file: Traversable) -> list[object]:
    entries = _yaml(file)
    if not isinstance(entries, list):
        raise TableError(f"{file}: expected a list of entries")
    return entries


def _validated(kind: type[Entry], entry: object, file: Traversable) -> Entry:
    try:
        return kind.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        named = entry if isinstance(entry, dict) else {}
        name = named.get("name", named.get("target", "entry without a name"))
        field = ".".join(map(str, first["loc"])) or "entry"
        raise TableError(f"{file}: {name}: {field}: {first['msg']}") from None

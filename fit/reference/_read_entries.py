"""The entries of a reference are read: its date and licence, benchmarks, targets, evaluations."""

from __future__ import annotations

from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from ..errors import TableError, near_matches
from ..table.cells import read_columns
from ._checked_entries import checked_entries
from ._entries import About, Benchmark, Evaluation, Target

__all__ = ["is_there", "read_about", "read_benchmarks", "read_evaluations", "read_targets"]

Entry = TypeVar("Entry", bound=BaseModel)

_TO_DO = {"missing": " is not stated; add it", "string_too_short": " is empty; state it"}


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


def read_evaluations(folder: Traversable, targets: dict[str, Target]) -> dict[str, Evaluation]:
    """Read how each target was evaluated, by its name."""
    if not is_there(folder, "evaluation.csv"):
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


def is_there(folder: Traversable, name: str) -> bool:
    """Return whether a folder has a file, which is not a folder itself."""
    if (folder / name).is_dir():
        raise TableError(f"{folder / name}: a folder, not a file")
    return (folder / name).is_file()


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
        wrong = _TO_DO.get(first["type"], f": {first['msg']}")
        raise TableError(f"{file}: {_in_a_line(name)}: {field}{wrong}") from None


def _in_a_line(name: object) -> str:
    text = str(name) if isinstance(name, str | int) else ""
    return text if text.isprintable() and 0 < len(text) < 200 else f"{name!r:.60}"

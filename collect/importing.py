"""Bringing in scores that others measured, without mixing protocols."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capspace.collect.checkpoint import sha256_file
from capspace.collect.errors import ImportFileError, StoreError
from capspace.collect.foreign import ForeignScore, read_foreign
from capspace.collect.foreign_samples import read_foreign_samples
from capspace.collect.foreign_table import TABLE_ENDINGS
from capspace.collect.matching import Brought, Protocols
from capspace.collect.result import Result
from capspace.collect.samples import write_samples
from capspace.collect.store import Store
from capspace.tasks.panel import Panel

__all__ = ["Imported", "import_scores"]


@dataclass(frozen=True)
class Imported:
    """What an import brought.

    Attributes
    ----------
    results : tuple of Result
        As they are in the store now.
    notes : tuple of str
        Why scores that look like the panel's were kept under names of their own, and which were
        left out because two sources contradict each other.

    """

    results: tuple[Result, ...]
    notes: tuple[str, ...]


def import_scores(paths: Sequence[Path], *, store: Store, panel: Panel) -> Imported:
    """Keep scores from result files in the store.

    A score gets the panel's name for it only where the file states the same tasks, task versions,
    shots, metric and filter, on all items and without further conditions. Everything else keeps a
    name of its own.

    Parameters
    ----------
    paths : sequence of Path
        Files as in `read_foreign`; a folder stands for the result files anywhere below it.
    store : Store
        Where they are kept.
    panel : Panel
        Whose protocol they are compared with.

    Raises
    ------
    ImportFileError
        A file cannot be read as any of the known formats, or states what cannot be; nothing of any
        file was kept.
    StoreError
        The store cannot be written; nothing was kept.

    """
    protocols = Protocols(panel)
    notes: Counter[str] = Counter()
    kept, brought = store.results(), list[Brought]()
    for path in dict.fromkeys(_files(paths, notes)):
        new = _of_file(path, protocols, notes)
        brought += _agreeing(new, [*kept, *(result for result, _ in brought)], notes)
    for file in {part.samples for _, parts in brought for part in parts if part.samples}:
        for _ in read_foreign_samples(file):
            pass  # a wrong record is told before anything is written
    _keep(brought, store)
    told = [note if n == 1 else f"{note} ({n} times)" for note, n in notes.items()]
    return Imported(tuple(result for result, _ in brought), tuple(told))


def _of_file(path: Path, protocols: Protocols, notes: Counter[str]) -> list[Brought]:
    scores = read_foreign(path)
    try:
        protocols.require_shares(scores)
    except ImportFileError as error:
        raise ImportFileError(f"{path}: {error}") from None
    digest = sha256_file(path)
    origin = f"imported from {path.name} (sha256 {digest[:12]})"
    found: list[Brought] = []
    for model in dict.fromkeys((s.model, s.revision) for s in scores):
        own = [s for s in scores if (s.model, s.revision) == model]
        found += protocols.results(own, origin, digest, notes)
    return found


def _agreeing(brought: list[Brought], kept: list[Result], notes: Counter[str]) -> list[Brought]:
    """Return the new results that neither each other nor the store contradicts."""
    stated: dict[tuple[object, ...], set[float]] = {}
    for result in [*kept, *(result for result, _ in brought)]:
        stated.setdefault(_cell(result), set()).add(round(result.score, 9))
    agreeing = []
    for result, parts in brought:
        values = stated[_cell(result)]
        if len(values) == 1:
            agreeing.append((result, parts))
            continue
        said = " and ".join(f"{value:g}" for value in sorted(values))
        notes[f"left out: {result.model} {result.revision} {result.benchmark} is both {said}"] += 1
    return agreeing


def _cell(result: Result) -> tuple[object, ...]:
    """Return what a score table tells results apart by."""
    return result.model, result.revision, result.benchmark, result.n_shot, result.protocol


def _files(paths: Sequence[Path], notes: Counter[str]) -> Iterator[Path]:
    """Yield the result files that are asked for; a folder stands for lm-eval's below it."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(file for file in path.rglob("*") if file.is_file())
        tables = [file.name for file in inside if file.name.endswith(TABLE_ENDINGS)]
        told = f"{', '.join(tables[:3])}{', ...' if len(tables) > 3 else ''}"
        results = [f for f in inside if f.name.startswith("results") and f.suffix == ".json"]
        if not results:
            hint = f"; a table is named itself, as {told}" if tables else ""
            raise ImportFileError(f"{path}: there is no results*.json in this folder{hint}")
        if tables:
            notes[f"{path}: not read, as tables are named themselves: {told}"] += 1
        yield from results


def _keep(brought: list[Brought], store: Store) -> None:
    """Write samples and results, all or none."""
    written: list[Path] = []
    try:
        for result, parts in brought:
            target = store.samples_file(result.key)
            if any(part.samples for part in parts):
                if not target.exists():
                    written.append(target)
                write_samples(target, _samples(parts))
        store.put_all(result for result, _ in brought)
    except BaseException as error:
        for target in written:
            target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StoreError(f"cannot write the store {store.path}: {error.strerror}") from None
        raise


def _samples(parts: list[ForeignScore]) -> Iterator[dict[str, Any]]:
    for part in parts:
        if part.samples is not None:
            yield from (r | {"task": part.task} for r in read_foreign_samples(part.samples))

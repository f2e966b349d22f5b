"""Scores measured elsewhere are imported without mixing protocols or models."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capspace.tasks.panel import Panel

from ..errors import ImportFileError, StoreError
from ..storage.digests import sha256_file
from ..storage.result import Result
from ..storage.samples import write_samples
from ..storage.store import Store
from .agreement import settle
from .eee_import import RECORD_NAME
from .external import ExternalFile, ExternalScore, read_external
from .external_samples import read_external_samples
from .external_table import TABLE_ENDINGS
from .model_names import ModelName
from .protocol_match import Brought, PanelProtocols
from .sample_check import checked_samples

__all__ = ["Imported", "import_scores"]

_MOST_CELLS = 20


@dataclass(frozen=True)
class Imported:
    """What an import brought.

    Attributes
    ----------
    results : tuple of Result
        As they are in the store now.
    notes : tuple of str
        Why scores that look like the panel's were kept under names of their own; which cells and
        files were left out, and why; which of two runs that disagree is kept.

    """

    results: tuple[Result, ...]
    notes: tuple[str, ...]


def import_scores(
    paths: Sequence[Path], *, store: Store, panel: Panel, model: str | None = None
) -> Imported:
    """Keep scores from result files in the store.

    A score gets the panel's name for it only where the file states the same tasks, task versions,
    shots, metric and filter, on all items and without further conditions. Everything else keeps a
    name of its own. A cell that holds no score is left out and named; where two runs of one model
    disagree, the later one is kept, by its own date.

    Parameters
    ----------
    paths : sequence of Path
        Files as in `read_external`; a folder stands for the result files anywhere below it, of
        which one that cannot be read is left out and named.
    store : Store
        Where they are kept.
    panel : Panel
        Whose protocol they are compared with.
    model : str, optional
        Which model all files are about, as ``name`` or ``name@revision``, whatever they say.

    Raises
    ------
    ImportFileError
        A file that was named cannot be read as any of the known formats, states what cannot be, or
        does not say which model it is about; nothing of any file was kept.
    StoreError
        The store cannot be written; nothing was kept.

    """
    protocols = PanelProtocols(panel)
    notes: Counter[str] = Counter()
    given = None if model is None else _model(model)
    brought: list[Brought] = []
    stored = store.results()
    about: list[ModelName] = []
    for path, is_named in _files(paths, notes).items():
        try:
            file = _checked(path, protocols, given)
        except ImportFileError as error:
            if is_named:
                raise
            notes[f"left out: {error}"] += 1
            continue
        _note_cells(file, path.name, notes)
        digest = sha256_file(path)
        _note_earlier_names(file, path.name, digest, stored, notes)
        about += file.about
        brought += _results(file, path.name, digest, protocols, notes)
    if not brought:
        raise ImportFileError("nothing can be taken: " + "; ".join(list(notes)[:3]))
    if given is not None:
        _refuse_several(given, about)
    settled = settle(brought, stored, notes)
    _keep(settled.brought, settled.replaced, store)
    words = [note if n == 1 else f"{note} ({n} times)" for note, n in notes.items()]
    return Imported(tuple(result for result, _ in settled.brought), tuple(words))


def _model(given: str) -> ModelName:
    name, at, revision = given.strip().rpartition("@")
    whole = ModelName(name, revision) if at and name else ModelName(given.strip())
    if not whole.model:
        raise ImportFileError("--answers-of names no model")
    return whole


def _refuse_several(given: ModelName, about: Sequence[ModelName]) -> None:
    """Refuse to call several models by one name, or several revisions by one."""
    names = dict.fromkeys(
        "@".join(filter(None, (name.model, name.revision if given.revision else "")))
        for name in about
    )
    if len(names) > 1:
        first = f"{', '.join(list(names)[:3])}{', ...' if len(names) > 3 else ''}"
        raise ImportFileError(
            f"--answers-of {given.model} names one model, and these files are about {len(names)}: "
            f"{first}; import each by itself"
        )


def _checked(path: Path, protocols: PanelProtocols, model: ModelName | None) -> ExternalFile:
    """Return what can be taken of a file."""
    file = read_external(path, model=model)
    try:
        file = checked_samples(protocols.shares(file))
    except ImportFileError as error:
        raise ImportFileError(f"{path}: {error}") from None
    if not file.scores:
        raise ImportFileError(f"{path}: no score in it can be taken: {file.left_out[0]}")
    return file


def _note_cells(file: ExternalFile, name: str, notes: Counter[str]) -> None:
    for cell in file.left_out[:_MOST_CELLS]:
        notes[f"left out: {name}: {cell}"] += 1
    if len(file.left_out) > _MOST_CELLS:
        notes[f"left out: {name}: {len(file.left_out) - _MOST_CELLS} more cells"] += 1
    for note in file.notes:
        notes[f"{name}: {note}"] += 1


def _note_earlier_names(
    file: ExternalFile, name: str, digest: str, stored: Sequence[Result], notes: Counter[str]
) -> None:
    """Say where an earlier version took this file in under the last part of a path."""
    here = {score.model for score in file.scores}
    of_file = (r for r in stored if json.loads(r.identity).get("imported") == digest)
    for earlier in sorted({result.model for result in of_file} - here):
        notes[
            f"{name}: was imported before as {earlier!r}, which stays; "
            f"capspace store remove {earlier!r} drops it"
        ] += 1


def _results(
    file: ExternalFile, name: str, digest: str, protocols: PanelProtocols, notes: Counter[str]
) -> Iterator[Brought]:
    origin = f"imported from {name} (sha256 {digest[:12]})"
    for model in dict.fromkeys((s.model, s.revision) for s in file.scores):
        own = [s for s in file.scores if (s.model, s.revision) == model]
        yield from protocols.results(own, origin, digest, notes)


def _files(paths: Sequence[Path], notes: Counter[str]) -> dict[Path, bool]:
    """Return the result files that are asked for, and whether each was named itself.

    A folder stands for the files of lm-eval and of Every Eval Ever below it.
    """
    files = {path: True for path in paths if not path.is_dir()}
    for folder in (path for path in paths if path.is_dir()):
        inside = sorted(file for file in folder.rglob("*") if file.is_file())
        tables = [file.name for file in inside if file.name.endswith(TABLE_ENDINGS)]
        words = f"{', '.join(tables[:3])}{', ...' if len(tables) > 3 else ''}"
        results = [file for file in inside if _is_result_file(file.name)]
        if not results:
            hint = f"; a table is named itself, as {words}" if tables else ""
            raise ImportFileError(f"{folder}: there is no results*.json in this folder{hint}")
        if tables:
            notes[f"{folder}: not read, as tables are named themselves: {words}"] += 1
        files = dict.fromkeys(results, False) | files
    return files


def _is_result_file(name: str) -> bool:
    is_lm_evals = name.startswith("results") and name.endswith(".json")
    return is_lm_evals or RECORD_NAME.fullmatch(name) is not None


def _keep(brought: list[Brought], replaced: list[str], store: Store) -> None:
    """Write samples and results in place of others, all or none."""
    written: list[Path] = []
    try:
        for result, parts in brought:
            target = store.samples_file(result.key)
            if any(part.samples for part in parts):
                if not target.exists():
                    written.append(target)
                write_samples(target, _samples(parts))
        store.put_all((result for result, _ in brought), instead_of=replaced)
    except BaseException as error:
        for target in written:
            target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StoreError(f"cannot write the store {store.path}: {error.strerror}") from None
        raise


def _samples(parts: list[ExternalScore]) -> Iterator[dict[str, Any]]:
    for part in parts:
        if part.samples is not None:
            yield from (r | {"task": part.task} for r in read_external_samples(part.samples))

"""A built reference is written as a folder that ``load_reference`` reads, whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import BaseModel

from ..errors import TableError
from ..reference import Reference, load_reference
from ..reference.stored_laws import store_laws
from ..table.offset_files import OFFSETS, write_offsets
from ._building import BuiltReference

__all__ = ["write_reference"]

_DIGITS = 6
_OPTIONAL = ("stderr", "n_items", "n_shot")


def write_reference(
    built: BuiltReference, folder: str | Path, *, replace: bool = False, laws: bool = True
) -> Reference:
    """Write a reference, and return it as it reads back.

    ``scores.csv`` has the source, date and licence of each cell; ``reference.yaml`` states them
    for each source; ``offsets.csv`` how far the sources are apart; ``evaluation.csv`` how well each
    target is predicted by the laws in ``laws.npz`` and ``laws.json``; ``left-out.csv`` what the
    laws predicted for models that were left out, from which verdicts state their track record.

    Parameters
    ----------
    built : BuiltReference
        What to write.
    folder : path
        A new or empty folder.
    replace : bool, default False
        Replace the reference that the folder holds.
    laws : bool, default True
        Also fit its laws, back-test them and store both, as the packaged references have them,
        which takes up to a minute; ``write_reference(...).laws`` is None where they could not be
        calibrated.

    Raises
    ------
    TableError
        The folder is in use, cannot be written, or what was written does not read back. An
        earlier reference there stays as it was.

    See Also
    --------
    load_reference : Reads it.
    build_reference : Makes what is written.

    Examples
    --------
    >>> from datetime import date
    >>> from pathlib import Path
    >>> from capspace.fit import SourceTerms, build_reference, read_published, write_reference
    >>> rows = ["Model,GPQA-diamond,agent/board", "a-1b,0.3,0.1", "a-2b,0.4,0.2"]
    >>> size = Path("board.csv").write_text(chr(10).join(rows))
    >>> board = read_published("board.csv", SourceTerms("CC-BY 4.0", date(2026, 11, 1)))
    >>> built = build_reference([board], name="mine", licence="CC-BY 4.0")
    >>> write_reference(built, "mine")
    Reference(mine: 2 models, 1 benchmark, 1 target)

    """
    target = Path(folder).resolve()
    is_reference = (target / "scores.csv").is_file() or (target / "scores.csv.gz").is_file()
    if target.exists() and not (target.is_dir() and (not any(target.iterdir()) or is_reference)):
        raise TableError(f"{folder}: it exists and is no reference; choose another folder")
    if is_reference and not replace:
        raise TableError(f"{folder}: a reference is there already; update it, or choose another")
    partial = target.with_name(f".partial-{secrets.token_hex(6)}")
    try:
        partial.mkdir(parents=True)
        _write(built, partial)
        if laws:
            store_laws(partial)
        load_reference(partial)  # nothing is put in place that does not read back
        _put(partial, target)
    except OSError as error:
        raise TableError(f"{folder}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return load_reference(target)


def _write(built: BuiltReference, folder: Path) -> None:
    scores = built.table.scores.copy()
    scores["score"] = scores["score"].round(_DIGITS)
    scores["date"] = [built.sources[text].date.isoformat() for text in scores["source"]]
    scores["licence"] = [built.sources[text].licence for text in scores["source"]]
    empty = [c for c in _OPTIONAL if scores[c].isna().all()]
    unused = [c for c in ("revision", "comparable") if (scores[c] == "").all()]
    _csv(scores.drop(columns=[*empty, *unused]), folder / "scores.csv")
    models = built.table.models.reset_index()
    if built.weights:
        models["weight"] = [built.weights.get(model) for model in models["model"]]
    _csv(models, folder / "models.csv")
    _yaml([_entry(b) for b in built.benchmarks], folder / "benchmarks.yaml")
    _yaml([_entry(t) for t in built.targets], folder / "targets.yaml")
    _yaml(_entry(built.about), folder / "reference.yaml")
    write_offsets(built.offsets, folder / OFFSETS)


def _put(partial: Path, target: Path) -> None:
    """Move a folder to its place; what was there is removed after it."""
    earlier = target.with_name(f".earlier-{partial.name}")
    had_one = target.exists()
    if had_one:
        target.rename(earlier)
    try:
        partial.rename(target)
    except OSError:
        if had_one:
            earlier.rename(target)
        raise
    if had_one:
        shutil.rmtree(earlier, ignore_errors=True)


def _entry(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude_defaults=True)


def _yaml(value: dict[str, Any] | Iterable[dict[str, Any]], path: Path) -> None:
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    path.write_text(text, encoding="utf-8")


def _csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, float_format="%.9g", lineterminator="\n")

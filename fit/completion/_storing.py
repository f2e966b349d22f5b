"""The state of a fit is stored as arrays without pickle, and JSON beside them."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from .._files import replacing, write_whole
from ..errors import FitError

__all__ = ["read_state", "write_state"]

FORMAT = "capspace-predictor"
VERSION = 1

# What zipfile, NumPy and fields of other kinds raise.
_DAMAGES = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)

T = TypeVar("T")


def write_state(state: Any, path: Path, tables: str = "") -> None:
    """Write a dataclass of arrays, names and further dataclasses to NAME.npz and NAME.json.

    ``tables`` are digests of what it was fitted to, divided by spaces; "" for none.
    """
    arrays: dict[str, Any] = {}
    names: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    if tables:
        names["tables"] = tables
    names["state"] = _taken_apart(state, "", arrays)
    with replacing(path.with_suffix(".npz")) as partial:
        np.savez_compressed(partial, **arrays)
    write_whole(path.with_suffix(".json"), json.dumps(names, indent=1, ensure_ascii=False) + "\n")


def read_state(kind: type[T], path: Path, tables: str = "") -> T:
    """Read a dataclass that ``write_state`` wrote; digests that both have must be the same."""
    for file in (path.with_suffix(".json"), path.with_suffix(".npz")):
        if not file.is_file():
            raise FitError(f"{file}: there is no such file; a stored fit has it beside the other")
    file = path.with_suffix(".json")
    try:
        names = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise FitError(f"{file}: not JSON ({error}); build the fit again") from None
    if not isinstance(names, dict) or names.get("format") != FORMAT:
        raise FitError(f"{file}: not a stored fit of capspace; build the fit again")
    if names.get("version") != VERSION:
        raise FitError(
            f"{file}: version {names.get('version')!r} of the format; this capspace reads version "
            f"{VERSION}: build the fit again"
        )
    if not _agree(str(names.get("tables", "")), tables):
        raise FitError(
            f"{path.with_suffix('.npz')}: the laws were fitted to other tables, benchmarks or "
            f"targets than those beside them; run capspace references update {path.parent} FILES, "
            "or in Python capspace.fit.reference.stored_laws.store_laws"
        )
    try:
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        state: T = _put_together(kind, names["state"], "", arrays)
    except _DAMAGES as error:
        raise FitError(
            f"{path.with_suffix('.npz')}: does not belong to {file.name} or is damaged "
            f"({error}); build the fit again"
        ) from None
    return state


def _agree(stored: str, given: str) -> bool:
    """Return whether digests are the same, of which an older version may have written fewer."""
    return all(a == b for a, b in zip(stored.split(), given.split(), strict=False))


def _taken_apart(state: Any, prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return names and numbers of a dataclass, and put its arrays among the others."""
    plain: dict[str, Any] = {}
    for field in fields(state):
        value = getattr(state, field.name)
        if isinstance(value, np.ndarray):
            arrays[prefix + field.name] = value
        elif is_dataclass(value):
            plain[field.name] = _taken_apart(value, f"{prefix}{field.name}.", arrays)
        elif isinstance(value, float) and not np.isfinite(value):
            plain[field.name] = None
        else:
            plain[field.name] = value
    return plain


def _put_together(kind: Any, plain: dict[str, Any], prefix: str, arrays: dict[str, Any]) -> Any:
    values = {}
    for name, hint in get_type_hints(kind).items():
        optional = get_origin(hint) is UnionType and NoneType in get_args(hint)
        inner = next(a for a in get_args(hint) if a is not NoneType) if optional else hint
        if is_dataclass(inner):
            given = plain[name]
            values[name] = (
                None
                if given is None and optional
                else _put_together(inner, given, f"{prefix}{name}.", arrays)
            )
        elif prefix + name in arrays:
            values[name] = arrays[prefix + name]
        elif get_origin(inner) is tuple:
            values[name] = tuple(plain[name])
        else:
            values[name] = float("nan") if inner is float and plain[name] is None else plain[name]
    return kind(**values)

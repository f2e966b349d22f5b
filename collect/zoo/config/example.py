"""A first ``zoo.yaml`` is written with comments, and names the checkpoints beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from capspace.fit._files import write_new

from ...errors import ZooError

__all__ = ["write_example"]

_DEFAULT = "models/*"
_DEPTH = 3
_MOST_FOLDERS = 2000
_SPECIAL = frozenset("*?[]{}@#:'\"\\,&!|>%`\n")


def write_example(path: Path) -> list[str]:
    """Write a ``zoo.yaml`` that runs as it stands, and return the checkpoints that it names.

    It names the folders with checkpoints up to three levels below its own, as globs. Where there
    is none it names ``models/*``, and the list is empty.

    Raises
    ------
    ZooError
        The file is there already, or cannot be written.

    """
    text = (files("capspace.collect.zoo.config") / "example.yaml").read_text(encoding="utf-8")
    globs = _globs(path.parent)
    entries = "\n".join(f"  - {name}" for name in globs or [_DEFAULT])
    try:
        write_new(path, text.replace(f"  - {_DEFAULT}", entries, 1).replace("zoo.yaml", path.name))
    except FileExistsError:
        raise ZooError(f"{path} is there already; name another file, or edit this one") from None
    except OSError as error:
        raise ZooError(f"cannot write {path}: {error.strerror}") from None
    return globs


def _globs(folder: Path) -> list[str]:
    """Return patterns, as a zoo.yaml has them, of the checkpoints below a folder."""
    patterns: dict[str, None] = {}
    for checkpoint in _checkpoints(folder):
        below = checkpoint.relative_to(folder)
        name = str(below) if len(below.parts) == 1 else f"{below.parent}/*"
        if _SPECIAL.isdisjoint(name.removesuffix("/*")):
            patterns[name] = None
    return list(patterns)


def _checkpoints(folder: Path) -> Iterator[Path]:
    """Yield folders with a transformers checkpoint, nearest first, within bounds."""
    level, n_seen = [folder], 0
    for _ in range(_DEPTH):
        below: list[Path] = []
        for parent in level:
            try:
                inner = sorted(p for p in parent.iterdir() if p.is_dir())
            except OSError:
                continue  # not ours to read
            for path in inner:
                n_seen += 1
                if path.name.startswith(".") or n_seen > _MOST_FOLDERS:
                    continue
                if _is_checkpoint(path):
                    yield path
                else:
                    below.append(path)
        level = below


def _is_checkpoint(folder: Path) -> bool:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False  # no checkpoint of transformers
    return isinstance(config, dict) and "model_type" in config

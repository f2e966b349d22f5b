"""The entries of a ``zoo.yaml``, its patterns, globs and lists, expand to checkpoints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path

from ...checkpoints.hub import http_errors
from ...errors import ZooError
from .config import Entry, Facts, ZooFile, ZooSettings
from .modes import mode_words

__all__ = ["Candidate", "candidates", "expand_braces"]

_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Candidate:
    """A checkpoint that an entry names; whether it exists is not known yet."""

    ref: str
    """Hub name with ``@revision``, or an absolute folder."""

    settings: ZooSettings
    facts: Facts
    where: str
    """``file:line`` of the entry it comes from."""


def candidates(zoo: ZooFile) -> list[Candidate]:
    """Return the checkpoints of a zoo, each once in every mode, in the file's order.

    Raises
    ------
    ZooError
        A pattern that matches nothing, a list of names that cannot be read, or one checkpoint with
        two settings in one mode; file and line are named.

    """
    known: dict[tuple[str, str], Candidate] = {}
    shared = zoo.settings
    for index, entry in enumerate(zoo.config.checkpoints):
        where = zoo.at("checkpoints", index)
        settings = shared.with_changes(entry.given_settings())
        for text, place in _texts(entry, zoo, where):
            for ref in _refs(text, zoo, place):
                new = Candidate(ref, settings, entry.facts, place)
                old = known.setdefault((ref, mode_words(settings)), new)
                if old.settings != new.settings:
                    raise ZooError(
                        f"{place}: {ref} was listed with other settings at {old.where}; keep one"
                    )
    return list(known.values())


def expand_braces(text: str) -> list[str]:
    """Return ``a{1,2}b`` as ``["a1b", "a2b"]``; several braces give all combinations.

    Raises
    ------
    ValueError
        A brace is not closed, or nothing is in it.

    """
    pieces = re.split(r"(\{[^{}]*\})", text)
    options = []
    for piece in pieces:
        if piece.startswith("{") and piece.endswith("}"):
            options.append([part.strip() for part in piece[1:-1].split(",")])
            if not all(options[-1]):
                raise ValueError(f"an empty choice in {piece}")
        elif "{" in piece or "}" in piece:
            raise ValueError(f"a brace without its partner in {text!r}")
        else:
            options.append([piece])
    return ["".join(parts) for parts in product(*options)]


def _texts(entry: Entry, zoo: ZooFile, where: str) -> Iterator[tuple[str, str]]:
    if entry.ref is not None:
        yield entry.ref, where
        return
    path = zoo.beside(entry.file or Path())
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ZooError(f"{where}: cannot read {path}: {reason}") from None
    names = [(n, line.partition("#")[0].strip()) for n, line in enumerate(lines, 1)]
    if not any(name for _, name in names):
        raise ZooError(f"{where}: {path} names no checkpoint")
    for number, name in names:
        if name:
            yield name, f"{path}:{number}"


def _refs(text: str, zoo: ZooFile, where: str) -> list[str]:
    try:
        return [ref for plain in expand_braces(text) for ref in _matches(plain, zoo, where)]
    except ValueError as error:
        raise ZooError(f"{where}: {error}") from None


def _matches(text: str, zoo: ZooFile, where: str) -> list[str]:
    repo, at, revision = text.partition("@")
    if at and _WILD.search(revision) and not _WILD.search(repo):
        return [f"{repo}@{name}" for name in _revisions(repo, revision, where)]
    if _WILD.search(text):
        pattern = zoo.beside(Path(text))
        root = Path(pattern.anchor)
        folders = root.glob(str(pattern.relative_to(root)))
        matches = sorted(str(p) for p in folders if (p / "config.json").is_file())
        if not matches:
            raise ZooError(
                f"{where}: {text!r} matches no folder with a config.json; put checkpoints there, "
                "or name others"
            )
        return matches
    local = zoo.beside(Path(text))
    return [str(local)] if local.is_dir() else [text]


def _revisions(repo: str, pattern: str, where: str) -> list[str]:
    from ...runtime.optional import require_collect_extra

    require_collect_extra()
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    unlisted: tuple[type[Exception], ...] = (HFValidationError, *http_errors())
    try:
        refs = HfApi().list_repo_refs(repo)
    except unlisted as error:
        raise ZooError(
            f"{where}: cannot list the revisions of {repo}: {str(error).splitlines()[0]}; "
            "name them in braces instead: @{a,b}"
        ) from None
    names = sorted({ref.name for ref in [*refs.branches, *refs.tags]}, key=_by_number)
    matches = [name for name in names if fnmatchcase(name, pattern)]
    if not matches:
        raise ZooError(f"{where}: no revision of {repo} matches {pattern!r}; it has {len(names)}")
    return matches


def _by_number(name: str) -> tuple[tuple[str, int], ...]:
    """Return a key that sorts step512 before step1000."""
    return tuple((text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d*)", name))

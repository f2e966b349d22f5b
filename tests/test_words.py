"""Names in the code say what they hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
BANNED = {"asking", "calling", "found", "kept", "lender", "one", "said", "told", "way"}

# Its bytes are part of the identity of each measurement of its tasks, and stay as they are.
HASHED = ROOT / "tasks/procedural/items.py"
PARTS = ("collect", "fit", "tasks", "scripts", "tests")

# Parsing takes a second or more: what has no such word where a name may be given is passed over.
_WORD = rf"_*(?:{'|'.join(sorted(BANNED))})_*"
MAY_GIVE = re.compile(
    rf"\b{_WORD}\s*(?:[-+*/|&^%@]*=|[]:,)]|in\b)|\b(?:def|class|as)\s+{_WORD}\b", re.IGNORECASE
)


def programs() -> Iterator[Path]:
    """Yield every file of Python code, those without a suffix included."""
    for path in (file for part in PARTS for file in sorted((ROOT / part).rglob("*"))):
        if path.suffix == ".py" and path != HASHED:
            yield path
        elif path.is_file() and not path.suffix:
            with path.open("rb") as file:
                if b"python" in file.readline():
                    yield path


def names_given(tree: ast.AST) -> Iterator[str]:
    """Yield the names of variables, attributes, parameters, functions and classes."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.arg(arg=name) | ast.alias(asname=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                yield name


def test_no_name_is_a_word_that_says_nothing() -> None:
    offenders: dict[str, set[str]] = {}
    for path in programs():
        text = path.read_text()
        names = {path.stem}
        if MAY_GIVE.search(text):
            names.update(names_given(ast.parse(text)))
        plain = {name.strip("_").lower() for name in names} & BANNED
        if plain:
            offenders[path.relative_to(ROOT).as_posix()] = plain
    assert offenders == {}

"""Text of a model that is run as code: whether the functions that grade a task's answers do so.

Read from their source, without running it: a function that uses ``eval``, ``exec`` or sympy's
parsers of Python expressions (which are ``eval`` underneath), or reaches one that does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from capspace.collect.errors import HarnessError

__all__ = ["evaluator_of_answers"]

_BUILTIN = {"eval", "exec"}
_SYMPY = {"parse_expr", "sympify"}
# What of a task sees answers. Its other functions see its data set alone.
_GRADING = ("class", "filter_list", "metric_list", "process_results")


@dataclass(frozen=True)
class _Module:
    """A file's functions and classes, and what it imports of lm-eval's tasks or its own folder."""

    defined: dict[str, list[ast.AST]] = field(default_factory=dict)
    imported: dict[str, tuple[Path | None, str | None]] = field(default_factory=dict)
    """Per local name the file it is from, if that is to be followed, and its name there."""

    stars: list[Path] = field(default_factory=list)


def evaluator_of_answers(config: dict[str, Any]) -> str | None:
    """Return where a task's grading runs text as code ("eval in utils.py"); None if nowhere.

    Raises
    ------
    HarnessError
        A file of the task's functions is not Python.

    """
    to_do: list[tuple[Path, str | None]] = []
    for path, function in _named([config.get(key) for key in _GRADING]):
        to_do.append((path, function.partition(".")[0]))
    seen = set()
    while to_do:
        here = to_do.pop()
        if here in seen:
            continue
        seen.add(here)
        found, reached = _reached(*here)
        if found is not None:
            return f"{found} in {here[0]}"
        to_do += reached
    return None


def _named(value: Any) -> Iterator[tuple[Path, str]]:
    """Yield file and name of each function in a configuration."""
    if isinstance(value, dict):
        yield from _named(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _named(one)
    # lm-eval's index leaves "!function utils.f" as "<folder>/utils.f".
    elif isinstance(value, str) and value.startswith("/") and "\n" not in value:
        module, _, function = value.rpartition(".")
        path = Path(f"{module}.py")
        if module and path.is_file():
            yield path, function


def _reached(path: Path, name: str | None) -> tuple[str | None, list[tuple[Path, str | None]]]:
    """Return what of a module's function (of all of it for None) runs text, and what it uses."""
    module = _module(path, path.read_bytes())
    if name is None:
        nodes = [node for same in module.defined.values() for node in same]
    elif name in module.defined:
        nodes = module.defined[name]
    else:
        return None, [*_followed(module, name)]
    used = [node for one in nodes for node in ast.walk(one)]
    reached: list[tuple[Path, str | None]] = []
    for node in used:
        if isinstance(node, ast.Attribute) and node.attr in _SYMPY:
            return node.attr, []
        if not isinstance(node, ast.Name):
            continue
        _, original = module.imported.get(node.id, (None, node.id))
        if original in _SYMPY or (node.id in _BUILTIN and node.id not in module.defined):
            return original, []
        reached += [(path, node.id)] if node.id in module.defined else _followed(module, node.id)
    return None, reached


def _followed(module: _Module, name: str) -> Iterator[tuple[Path, str | None]]:
    if name in module.imported:
        path, original = module.imported[name]
        if path is not None:
            yield path, original
    else:
        yield from ((path, name) for path in module.stars)


@cache
def _module(path: Path, source: bytes) -> _Module:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise HarnessError(f"{path} is not Python: {error}") from None
    module = _Module()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            module.defined.setdefault(node.name, []).append(node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    module.defined.setdefault(target.id, []).append(node)
    for inner in ast.walk(tree):
        if isinstance(inner, ast.Import):
            for alias in inner.names:
                local = alias.asname or alias.name.partition(".")[0]
                module.imported[local] = (_file_of(path, alias.name, 0), None)
        elif isinstance(inner, ast.ImportFrom):
            _add_import(module, path, inner)
    return module


def _add_import(module: _Module, path: Path, node: ast.ImportFrom) -> None:
    source = node.module or ""
    file = _file_of(path, source, node.level)
    for alias in node.names:
        inner = _file_of(path, f"{source}.{alias.name}".lstrip("."), node.level)
        if alias.name == "*":
            module.stars.extend([file] if file else [])
        elif inner is not None:
            module.imported[alias.asname or alias.name] = (inner, None)
        else:
            module.imported[alias.asname or alias.name] = (file, alias.name)


def _file_of(path: Path, name: str, level: int) -> Path | None:
    """Return the file of a module of lm-eval's tasks, or beside the file that imports it."""
    parts = name.split(".") if name else []
    if level:
        base = path.parents[level - 1]
    elif parts[:2] == ["lm_eval", "tasks"]:
        spec = find_spec("lm_eval")
        if spec is None or not spec.submodule_search_locations:
            return None
        base = Path(spec.submodule_search_locations[0])
        parts = parts[1:]
    else:
        base = path.parent
    whole = base.joinpath(*parts)
    for file in (whole.with_name(f"{whole.name}.py"), whole / "__init__.py"):
        if file.is_file() and file != path:
            return file
    return None

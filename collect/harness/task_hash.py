"""The code that a task's configuration reaches is followed without running it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..errors import HarnessError

__all__ = ["Import", "TaskModule", "functions_named", "reached_definitions"]


@dataclass(frozen=True)
class Import:
    """What a name that a file imports stands for."""

    module: str
    name: str | None
    """Its name in the module; None for the module itself."""

    file: Path | None
    """The module's file, where it is one of lm-eval's tasks or beside the file that imports it."""


@dataclass(frozen=True)
class TaskModule:
    """A file's definitions by name, and what it imports."""

    defined: dict[str, list[ast.AST]] = field(default_factory=dict)
    imported: dict[str, Import] = field(default_factory=dict)
    stars: list[Path] = field(default_factory=list)


def functions_named(value: Any) -> Iterator[tuple[Path, str]]:
    """Yield file and name of each function or class in a configuration, loaded or by its name."""
    if isinstance(value, partial):
        yield from functions_named(value.func)
    elif inspect.isfunction(value) or inspect.isclass(value):
        file = inspect.getsourcefile(value)
        if file is not None and Path(file).is_file():
            yield Path(file), value.__qualname__
    elif isinstance(value, dict):
        yield from functions_named(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from functions_named(inner)
    # lm-eval's index leaves "!function utils.f" as "<folder>/utils.f".
    elif isinstance(value, str) and value.startswith("/") and "\n" not in value:
        module, _, function = value.rpartition(".")
        path = Path(f"{module}.py")
        if module and path.is_file():
            yield path, function


def reached_definitions(
    functions: Iterable[tuple[Path, str]],
) -> Iterator[tuple[Path, TaskModule, ast.AST]]:
    """Yield each definition that functions reach, theirs among them, with its file and module.

    Followed are names of the same file, of files beside it and of lm-eval's tasks.

    Raises
    ------
    HarnessError
        A file is not Python.

    """
    to_do: list[tuple[Path, str | None]] = [
        (path, function.partition(".")[0]) for path, function in functions
    ]
    seen = set()
    while to_do:
        path, name = here = to_do.pop()
        if here in seen:
            continue
        seen.add(here)
        module = _module(path, path.read_bytes())
        if name is None:
            definitions = [node for same in module.defined.values() for node in same]
        elif name in module.defined:
            definitions = module.defined[name]
        else:
            to_do += _followed(module, name)
            continue
        for definition in definitions:
            yield path, module, definition
            for node in ast.walk(definition):
                if isinstance(node, ast.Name):
                    local = node.id in module.defined
                    to_do += [(path, node.id)] if local else _followed(module, node.id)


def _followed(module: TaskModule, name: str) -> Iterator[tuple[Path, str | None]]:
    if name in module.imported:
        source = module.imported[name]
        if source.file is not None:
            yield source.file, source.name
    else:
        yield from ((path, name) for path in module.stars)


@cache
def _module(path: Path, source: bytes) -> TaskModule:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise HarnessError(f"{path} is not Python: {error}") from None
    module = TaskModule()
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
                name = alias.name if alias.asname else local
                module.imported[local] = Import(name, None, _file_of(path, alias.name, 0))
        elif isinstance(inner, ast.ImportFrom):
            _add_import(module, path, inner)
    return module


def _add_import(module: TaskModule, path: Path, node: ast.ImportFrom) -> None:
    source = node.module or ""
    file = _file_of(path, source, node.level)
    for alias in node.names:
        full = f"{source}.{alias.name}".lstrip(".")
        inner = _file_of(path, full, node.level)
        if alias.name == "*":
            module.stars.extend([file] if file else [])
        elif inner is not None:
            module.imported[alias.asname or alias.name] = Import(full, None, inner)
        else:
            module.imported[alias.asname or alias.name] = Import(source, alias.name, file)


def _file_of(path: Path, name: str, level: int) -> Path | None:
    """Return the file of a module of lm-eval's tasks, or beside the file that imports it."""
    parts = name.split(".") if name else []
    if level:
        base = path.parents[level - 1]
    elif parts[:2] == ["lm_eval", "tasks"]:
        base = Path(str(files("lm_eval")))
        parts = parts[1:]
    else:
        base = path.parent
    whole = base.joinpath(*parts)
    for file in (whole.with_name(f"{whole.name}.py"), whole / "__init__.py"):
        if file.is_file() and file != path:
            return file
    return None

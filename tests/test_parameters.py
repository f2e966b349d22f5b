"""No function takes so many parameters that a caller cannot see what it passes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import typer
from all_commands import ALL
from checkout import ROOT, nodes

MOST = 10


def commands(group: typer.Typer) -> Iterator[str]:
    """Yield the functions that are commands, whose parameters typer makes options of."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield f"{command.callback.__module__}.{command.callback.__name__}"
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from commands(inner.typer_instance)


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the functions and methods of a file, and how many parameters a caller may give."""
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
            own = bool(named) and named[0].arg in {"self", "cls"}
            yield node.name, len(named) - own + bool(given.vararg) + bool(given.kwarg)


def test_no_function_takes_more_than_ten_parameters() -> None:
    exempt = set(commands(ALL))
    too_many = {}
    for part in ("collect", "fit", "tasks"):
        for path in (ROOT / part).rglob("*.py"):
            module = ".".join(("capspace", *path.relative_to(ROOT).with_suffix("").parts))
            for name, count in functions(path):
                if count > MOST and f"{module}.{name}" not in exempt:
                    too_many[name] = count
    assert too_many == {}


def test_the_settings_stand_once() -> None:
    """No signature outside the settings repeats three of them that mean nothing elsewhere."""
    distinctive = {"parallelize", "allow_code_execution", "batch_size", "chat_template"}
    repeated = []
    for path in (ROOT / "collect").rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                named = {a.arg for a in [*node.args.args, *node.args.kwonlyargs]}
                if len(named & distinctive) > 2:
                    repeated.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert repeated == []

"""A task is refused if the functions that grade its responses run a model's text as code.

Their source is read, not run: a function counts that uses ``eval``, ``exec`` or sympy's
parsers of Python expressions (which are ``eval`` underneath), or reaches one that does.
"""

from __future__ import annotations

import ast
from typing import Any

from .task_hash import TaskModule, functions_named, reached_definitions

__all__ = ["evaluator_of_responses"]

_BUILTIN = {"eval", "exec"}
_SYMPY = {"parse_expr", "sympify"}
# What of a task sees responses. Its other functions see its data set alone.
_GRADING = ("class", "filter_list", "metric_list", "process_results")


def evaluator_of_responses(config: dict[str, Any]) -> str | None:
    """Return where a task's grading runs text as code ("eval in utils.py"); None if nowhere.

    Raises
    ------
    HarnessError
        A file of the task's functions is not Python.

    """
    graders = functions_named([config.get(key) for key in _GRADING])
    for path, module, definition in reached_definitions(graders):
        for node in ast.walk(definition):
            evaluator = _evaluator(module, node)
            if evaluator is not None:
                return f"{evaluator} in {path}"
    return None


def _evaluator(module: TaskModule, node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute) and node.attr in _SYMPY:
        return node.attr
    if not isinstance(node, ast.Name):
        return None
    source = module.imported.get(node.id)
    original = node.id if source is None else source.name
    if original in _SYMPY or (node.id in _BUILTIN and node.id not in module.defined):
        return original
    return None

"""Read from the source of a task's functions whether it prepares its items at random.

The source is not run. A generator made from a seed inside the function that uses it does not
count as random, since the function returns the same result each time.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .task_hash import TaskModule, functions_named, reached_definitions

__all__ = ["RandomCode", "random_code", "with_drawn_order"]

# What of a task makes its items, once; and what makes prompts of an item, at each use of it.
_PREPARING = ("class", "custom_dataset", "process_docs")
_RENDERING = (
    "description",
    "doc_to_audio",
    "doc_to_choice",
    "doc_to_image",
    "doc_to_target",
    "doc_to_text",
    "gen_prefix",
)
_SOURCES = {"numpy.random", "random", "secrets"}
_UUIDS = {"uuid1", "uuid4"}
_SEEDED = {"Generator", "PCG64", "Random", "RandomState", "default_rng"}
# Methods of a data set that draw where no seed is given.
_SHUFFLING = {"shuffle", "train_test_split"}
_JINJA = re.compile(r"\|\s*random\b")


@dataclass(frozen=True)
class RandomCode:
    """Where a task's prompts are drawn at random; its few-shot examples are another matter."""

    prepares: bool
    """Its items, or their order, are drawn when they are prepared."""

    renders: bool
    """A prompt is drawn each time that it is made, also of the same item."""

    files: frozenset[Path]
    """The files whose functions draw, or which hold a generator for them."""

    def __bool__(self) -> bool:
        return self.prepares or self.renders


def random_code(config: Mapping[str, Any]) -> RandomCode:
    """Return where a task's configuration draws at random.

    Parameters
    ----------
    config : mapping
        As lm-eval's index holds it, functions by file and name, or as it is once they are loaded.

    Raises
    ------
    HarnessError
        A file of the task's functions is not Python.

    """
    examples = config.get("fewshot_config") or {}
    if not isinstance(examples, Mapping):
        examples = vars(examples)
    makers = [examples.get(key) for key in ("process_docs", "samples")]
    preparing = _files_that_draw([*(config.get(key) for key in _PREPARING), *makers])
    texts = [part.get(key) for part in (config, examples) for key in _RENDERING]
    rendering = _files_that_draw(texts)
    templates = any(isinstance(text, str) and _JINJA.search(text) for text in texts)
    return RandomCode(bool(preparing), bool(rendering) or templates, preparing | rendering)


def with_drawn_order(config: dict[str, Any]) -> dict[str, Any]:
    """Return a task's configuration with a word on its draws, for its identity; most draw nothing.

    Scores from before prompts were a function of the seeds are of any order, and lack the word.
    """
    return {**config, "drawn": "as its plain run alone"} if random_code(config) else config


def _files_that_draw(functions: Any) -> frozenset[Path]:
    return frozenset(
        path
        for path, module, definition in reached_definitions(functions_named(functions))
        if _draws_in(module, definition)
    )


def _draws_in(module: TaskModule, definition: ast.AST) -> bool:
    once = isinstance(definition, (ast.Assign, ast.AnnAssign))  # lives as long as the module
    excused = set() if once else {id(node) for node in _seeded_here(module, definition)}
    for node in ast.walk(definition):
        if isinstance(node, ast.Call) and _shuffles_unseeded(node):
            return True
        if id(node) not in excused and _origin(module, node) is not None:
            return True
    return False


def _seeded_here(module: TaskModule, definition: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that name a generator which is made from a seed."""
    for node in ast.walk(definition):
        if isinstance(node, ast.Call) and (node.args or node.keywords):
            origin = _origin(module, node.func)
            if origin is not None and origin.rpartition(".")[2] in _SEEDED:
                yield from ast.walk(node.func)


def _shuffles_unseeded(call: ast.Call) -> bool:
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in _SHUFFLING:
        return False
    return not call.args and not {"generator", "seed"} & {k.arg for k in call.keywords}


def _origin(module: TaskModule, node: ast.AST) -> str | None:
    """Return the full name of what a node names of a library of random numbers, else None."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in module.imported:
        return None
    source = module.imported[node.id]
    full = ".".join([source.module, *([source.name] if source.name else []), *names])
    if source.file is not None:
        return None
    if full.startswith("uuid."):
        return full if full.removeprefix("uuid.") in _UUIDS else None
    return full if any(f"{full}.".startswith(f"{name}.") for name in _SOURCES) else None

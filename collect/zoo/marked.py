"""YAML that remembers its lines, so that a wrong field can be pointed at."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from capspace.collect.errors import ZooError

__all__ = ["Lines", "read_model"]

Lines = dict[tuple[str | int, ...], int]
Model = TypeVar("Model", bound=BaseModel)


def read_model(path: Path, model: type[Model]) -> tuple[Model, Lines]:
    """Read a YAML file into a pydantic model.

    Returns
    -------
    model : BaseModel
        The validated content.
    lines : dict
        Line number, counted from 1, of each field by its path of names and indices.

    Raises
    ------
    ZooError
        The file cannot be read, is not YAML, or has a wrong field; file, line and field are named.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ZooError(f"{path}: cannot read this zoo: {reason}") from None
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        lines: Lines = {}
        _mark(node, (), lines, path)
        content: Any = loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ZooError(f"{path}:{line}: not YAML: {error.problem}") from None
    finally:
        loader.dispose()
    if not isinstance(content, dict):
        raise ZooError(f"{path}:1: a zoo is a mapping with checkpoints and panels")
    try:
        return model.model_validate(content), lines
    except ValidationError as error:
        raise ZooError(f"{path}:{_told(error, lines)}") from None


def _mark(node: yaml.Node | None, at: tuple[str | int, ...], lines: Lines, path: Path) -> None:
    if node is None:
        return
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = (*at, str(key.value))
            if name in lines:  # YAML's own loader would silently keep the last
                raise ZooError(
                    f"{path}:{key.start_mark.line + 1}: {key.value!r} is there twice; "
                    f"it was first given on line {lines[name]}"
                )
            lines[name] = key.start_mark.line + 1
            _mark(value, name, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _mark(value, (*at, index), lines, path)


def _told(error: ValidationError, lines: Lines) -> str:
    first = error.errors()[0]
    # The path may end in a union's branch, which is no place in the file.
    place = tuple(first["loc"])
    while place and place not in lines:
        place = place[:-1]
    field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"]).lstrip(".")
    given = "" if isinstance(first["input"], dict) else f", got {first['input']!r:.60}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    message = first["msg"].removeprefix("Value error, ")
    return f"{lines.get(place, 1)}: {field or 'zoo'}: {message}{given}{more}"

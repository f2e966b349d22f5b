"""A YAML file is read into a pydantic model, and every wrong field is listed with its line."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ._marked_yaml import (
    DuplicateKeyError,
    Lines,
    MarkedYAMLError,
    Place,
    RefusedError,
    YAMLError,
    line_numbers,
    load_marked,
)
from .errors import YamlError

__all__ = ["NOT_HERE", "Lines", "near_names", "parse_model"]

Model = TypeVar("Model", bound=BaseModel)

NOT_HERE = "not_here"
"""Type of the error of a validator that refuses a field whatever its value, which is not shown."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def parse_model(
    text: str,
    where: str,
    model: type[Model],
    *,
    kind: str,
    revise: Callable[[dict[str, Any], Lines], None] | None = None,
) -> tuple[Model, Lines]:
    """Read the text of a YAML file into a pydantic model.

    Parameters
    ----------
    text : str
        Content of the file.
    where : str
        The file's name, for messages.
    model : type of BaseModel
        What the file holds.
    kind : str
        What such a file is called: "panel".
    revise : callable, optional
        Changes content and lines before they are validated: old names become new ones.

    Returns
    -------
    model : BaseModel
        The validated content.
    lines : dict
        Line number, counted from 1, of each field by its path of names and indices.

    Raises
    ------
    YamlError
        It is not YAML, or has wrong fields: one line for each, with file, line and field; those
        that look like a slip of a known name come first.

    """
    try:
        content = load_marked(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        what = "" if isinstance(error, DuplicateKeyError | RefusedError) else "not YAML: "
        raise YamlError(f"{where}:{line}: {what}{error.problem}") from None
    except (YAMLError, ValueError) as error:  # a control character; a date such as 2024-13-01
        raise YamlError(f"{where}:1: not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise YamlError(f"{where}:1: not YAML that can be read: nested too deeply") from None
    if not isinstance(content, dict):
        needed = [n for n, field in model.model_fields.items() if field.is_required()]
        raise YamlError(
            f"{where}:1: a {kind} is a mapping with {', '.join(needed[:-1])} and {needed[-1]}"
        )
    lines = line_numbers(content)
    if revise is not None:
        revise(content, lines)
    try:
        return model.model_validate(content), lines
    except ValidationError as error:
        problems = sorted(_problems(error, model, content, lines, kind))
        raise YamlError(*(f"{where}:{line}: {what}" for _, line, what in problems)) from None


def near_names(name: str, known: list[str]) -> str:
    """Return ``"; did you mean 'a', 'b'?"`` for the names nearest to ``name``, or ``""``.

    Upper and lower case are alike.
    """
    by_lower = {each.lower(): each for each in known}
    close = [by_lower[each] for each in get_close_matches(name.lower(), by_lower, cutoff=0.5)]
    return f"; did you mean {', '.join(map(repr, close))}?" if close else ""


def _problems(
    error: ValidationError, model: type[BaseModel], content: Any, lines: Lines, kind: str
) -> Iterator[tuple[bool, int, str]]:
    """Yield for each wrong field whether nothing similar is known, its line, and what is wrong."""
    messages: dict[Place, list[str]] = {}
    given: dict[Place, str] = {}
    for problem in error.errors():
        place, name = _in_the_file(problem["loc"], lines), str((problem["loc"] or ("",))[-1])
        if problem["type"] == "extra_forbidden":
            path = place if place and place[-1] == name else (*place, name)  # of an alias
            known = _fields(model, path[:-1])
            free = [k for k in known if (*path[:-1], k) not in lines]
            near = get_close_matches(name, free, n=1) or get_close_matches(name, known, n=1)
            meant = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
            yield not near, lines[place], f"`{_dotted(path)}` is unknown; {meant}"
        elif problem["type"] == "missing":
            yield True, lines[place], f"`{_dotted((*place, name))}` is missing"
        elif (
            problem["type"] == "too_short" and len(problem["input"]) >= problem["ctx"]["min_length"]
        ):
            continue  # a list whose entries are wrong, each of which has a message
        else:  # a union's branches each have a message of their own
            messages.setdefault(place, []).append(problem["msg"].removeprefix("Value error, "))
            if problem["type"] != NOT_HERE and not isinstance(problem["input"], dict):
                given[place] = f", got {_SHORT.repr(problem['input'])}"
    for place, texts in messages.items():
        what = f"{_dotted(place) or kind}: {'; or '.join(dict.fromkeys(texts))}"
        yield True, lines[place], what + given.get(place, "")


def _in_the_file(loc: Place, lines: Lines) -> Place:
    """Return the part of a path that is a place in the file: it may end in a union's branch."""
    place = tuple(loc)
    while place not in lines:
        place = place[:-1]
    return place


def _dotted(path: Place) -> str:
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def _fields(model: type[BaseModel], path: Place) -> list[str]:
    """Return the names of the fields of the model at a path below another, needed ones first."""
    is_key = False  # of a mapping, and no field
    for step in path:
        if isinstance(step, str) and not is_key:
            annotation = model.model_fields[step].annotation
            model, is_key = _model_in(annotation) or model, _has_keys(annotation)
        elif isinstance(step, str):
            is_key = False
    return sorted(model.model_fields, key=lambda name: not model.model_fields[name].is_required())


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a type such as ``tuple[Model, ...]`` is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _has_keys(annotation: Any) -> bool:
    """Return whether a type such as ``dict[str, Model] | None`` is that of a mapping."""
    return get_origin(annotation) is dict or any(map(_has_keys, get_args(annotation)))

"""The command-line options for settings are generated from the settings' fields."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from typer.models import OptionInfo

from ..errors import SettingsError
from ..settings import EndpointFields, LoadSettings, RunSettings, problem_lines

__all__ = ["option_of", "option_words", "value_words", "with_settings"]

Function = TypeVar("Function", bound=Callable[..., None])

_GROUPS = {
    **dict.fromkeys(RunSettings.model_fields, "Measuring"),
    **dict.fromkeys(LoadSettings.model_fields, "Loading the checkpoint"),
    **dict.fromkeys(EndpointFields.model_fields, "A model behind a server"),
}
_SHOWN_AS_THEY_ARE = (bool, int, Path)


def with_settings(command: Function) -> Function:
    """Give a command one option for each field of the settings it takes.

    The command has one parameter that is annotated with `LoadSettings` or `RunSettings`. On the
    command line there is an option for each of its fields in its place: its name, default and
    help are the field's. Fields that are never written down, such as a token, have none.
    """
    signature = inspect.signature(command, eval_str=True)
    (taken,) = (p for p in signature.parameters.values() if _is_settings(p.annotation))
    model: type[LoadSettings] = taken.annotation
    fields = {name: field for name, field in model.model_fields.items() if not field.exclude}
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter is taken:
            parameters += [_parameter(name, field) for name, field in fields.items()]
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def run(**values: Any) -> None:
        given = {name: values.pop(name) for name in fields}
        settings = _settings(model, {n: v for n, v in given.items() if v != fields[n].default})
        command(**values, **{taken.name: settings})

    # What typer reads: annotations that are evaluated, and none of the function inside.
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    return run  # type: ignore[return-value] # called by typer alone, with keywords


def option_of(name: str) -> OptionInfo:
    """Return the option for one field of `RunSettings`, for a command with few options."""
    option: OptionInfo
    (option,) = _parameter(name, RunSettings.model_fields[name]).annotation.__metadata__
    option.rich_help_panel = None
    return option


def option_words(settings: LoadSettings, *, but: Collection[str] = ()) -> list[str]:
    """Return the options that give these settings on the command line, except those of ``but``."""
    return value_words(settings.model_dump(mode="json", exclude_defaults=True, exclude={*but}))


def value_words(values: Mapping[str, Any]) -> list[str]:
    """Return the options that give values, by name of setting, on the command line."""
    words: list[str] = []
    for name, value in values.items():
        words.append(_spelled(name))
        if not isinstance(value, bool):
            words.append(json.dumps(value) if isinstance(value, dict) else str(value))
    return words


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    spelled = _spelled(name)
    words, _, unset = " ".join((field.description or "").split()).partition("; by default ")
    option = typer.Option(
        spelled,
        autocompletion=_completion(field.examples) if field.examples else None,
        help=f"{words.rstrip('.')}.",
        rich_help_panel=_GROUPS[name],
        show_default=unset.rstrip(".")
        or (field.default is not None and field.annotation is not bool),
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=field.default,
        annotation=Annotated[_type_for_typer(field.annotation), option],
    )


def _type_for_typer(annotation: Any) -> Any:
    """Return the type by which typer reads a field: choices, a flag, a number, a path or a text."""
    if get_origin(annotation) in (Union, UnionType):
        inner = [a for a in get_args(annotation) if a is not NoneType]
        read = _type_for_typer(inner[0]) if len(inner) == 1 else str
        return read | None if NoneType in get_args(annotation) else read
    if get_origin(annotation) is Annotated:
        return _type_for_typer(get_args(annotation)[0])
    if get_origin(annotation) is Literal or annotation in _SHOWN_AS_THEY_ARE:
        return annotation
    return str


def _settings(model: type[LoadSettings], values: dict[str, Any]) -> LoadSettings:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(problem_lines(error, spell=_spelled))) from None


def _completion(values: list[str]) -> Callable[[str], list[str]]:
    """Return what a shell calls to complete a value; others are allowed too."""

    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return complete


def _spelled(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _is_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, LoadSettings)

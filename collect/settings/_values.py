"""Values of settings have types, which refuse what no setting takes in one line."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

__all__ = [
    "TRANSFORMERS_BACKENDS",
    "Backend",
    "BackendArguments",
    "BatchSize",
    "Count",
    "Dtype",
    "IsNumber",
    "NamesPlace",
    "RunChanges",
    "Seed",
    "Temperature",
    "TemplateArguments",
    "Thinking",
    "ThinkingSwitch",
]

_DEEPEST, _MOST_VALUES = 50, 10_000
_LOWEST_TEMPERATURE = 1e-4  # far below it, logits that are divided by it overflow
_SET_BY_LM_EVAL = frozenset(
    (
        *("self", "conversation", "conversations", "messages"),
        *("add_generation_prompt", "continue_final_message"),
        *("tokenize", "tokenizer_kwargs", "sanitize_control_tokens"),
        *("padding", "truncation", "max_length"),
        *("return_tensors", "return_dict", "return_assistant_tokens_mask"),
    )
)
"""What transformers takes beside a template's own variables: lm-eval's call decides it."""

Backend = Literal["capspace", "hf", "vllm", "sglang"]
"""Names in lm-eval's registry of model classes."""

TRANSFORMERS_BACKENDS = ("capspace", "hf")
"""Those whose arguments are those of lm-eval's own ``hf``; the others have arguments of theirs."""

Dtype = Literal["auto", "float32", "bfloat16", "float16"]

Thinking = Literal["default", "on", "off"]


def _batch_size(value: Any) -> Any:
    text = str(value)
    if re.fullmatch(r"auto(:0*[1-9][0-9]*)?", text):
        return text
    if re.fullmatch(r"0*[1-9][0-9]*", text):
        return int(text)
    raise ValueError("a batch size is a count of at least 1, or 'auto'")


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number")
    if isinstance(value, str) and not value.isascii():
        raise ValueError("expected a number in the digits 0 to 9")
    return value


def _place(value: Any) -> Any:
    """Return a path as a text; an empty one would stand for the current folder."""
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if text == "":
        raise ValueError("an empty text names no folder or file; leave it out for none")
    return text


def _switch(value: Any) -> Any:
    """Return on or off for true and false, which YAML reads the bare words as."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _not_too_low(value: float) -> float:
    if 0 < value < _LOWEST_TEMPERATURE:
        raise ValueError(
            f"expected 0, for the most probable texts, or at least {_LOWEST_TEMPERATURE}"
        )
    return value


def _template_arguments(value: Any) -> Any:
    """Return a mapping, or what its JSON says, where a chat template can take it and JSON hold it.

    Raises
    ------
    ValueError
        It is no JSON object, or has a value or a name that cannot be passed on.

    """
    arguments = _arguments(value)
    for name in arguments if isinstance(arguments, Mapping) else ():
        if name in _SET_BY_LM_EVAL:
            raise ValueError(f"{name} is not the template's: lm-eval sets it itself; leave it out")
    return arguments


def _arguments(value: Any) -> Any:
    """Return a mapping, or what its JSON says; other types are refused by pydantic."""
    arguments = _json_object(value) if isinstance(value, str) else value
    if isinstance(arguments, Mapping):
        _require_json(arguments)
    return arguments


def _json_object(text: str) -> Any:
    try:
        read = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError:
        read = None
    except RecursionError:
        raise ValueError(f"nested more than {_DEEPEST} deep") from None
    if not isinstance(read, dict):
        raise ValueError('expected a JSON object, such as {"thinking": true}')
    return read


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name, value in pairs:
        if name in read:
            raise ValueError(f"{name!r:.60} is there twice; keep one")
        read[name] = value
    return read


def _require_json(value: Any) -> None:
    """Refuse what has no form in JSON as UTF-8, and what is nested or repeated without bounds."""
    level: list[Any] = [value]
    n_seen = 0
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                below += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                below += item
            elif isinstance(item, float) and not math.isfinite(item):
                raise ValueError(f"{item} is no number of JSON")
            elif isinstance(item, int) and item.bit_length() > 64:
                raise ValueError("a number has more than 64 bits")
            elif isinstance(item, str) and any("\ud800" <= c <= "\udfff" for c in item):
                raise ValueError(f"{item!r:.60} has half of a character, which no text can hold")
            if n_seen + len(below) > _MOST_VALUES:
                raise ValueError(f"more than {_MOST_VALUES:,} values")
        n_seen += len(below)
        level = below
    if level:
        raise ValueError(f"nested more than {_DEEPEST} deep")


IsNumber = BeforeValidator(_number)
"""Refuses true and false, which would count as 1 and 0, and digits of other scripts."""

NamesPlace = BeforeValidator(_place)
"""Refuses an empty path."""

BatchSize = Annotated[int | str, BeforeValidator(_batch_size)]
Count = Annotated[int, IsNumber, Field(gt=0, le=sys.maxsize)]
Temperature = Annotated[float, IsNumber, Field(ge=0, le=100), AfterValidator(_not_too_low)]
BackendArguments = Annotated[dict[str, JsonValue] | None, BeforeValidator(_arguments)]
TemplateArguments = Annotated[dict[str, JsonValue] | None, BeforeValidator(_template_arguments)]
ThinkingSwitch = Annotated[Thinking, BeforeValidator(_switch)]
Seed = Annotated[int, IsNumber, Field(ge=0, lt=2**32)]  # what NumPy takes


class RunChanges(TypedDict, total=False):
    """The fields of `RunSettings` as keyword arguments, for type checkers and editors."""

    device: str
    dtype: Dtype
    batch_size: int | str
    backend: Backend
    backend_args: Mapping[str, JsonValue] | str | None
    parallelize: bool
    allow_pickle: bool
    trust_remote_code: bool
    token: str | None
    endpoint: str | None
    answers_of: str | None
    api_key_env: str
    concurrency: int
    tokenizer: os.PathLike[str] | str | None
    context_length: int | None
    data_root: os.PathLike[str] | str | None
    include_path: os.PathLike[str] | str | None
    limit: int | None
    until: str | None
    budget: str | None
    seed: int | None
    chat_template: bool
    thinking: Thinking | bool
    think_end: str | None
    chat_template_args: Mapping[str, JsonValue] | str | None
    reasoning_effort: str | None
    max_gen_toks: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    n_samples: int | None
    allow_code_execution: bool

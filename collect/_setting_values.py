"""Values of settings have types, which refuse what no setting takes in one line."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

from pydantic import BeforeValidator, Field, JsonValue

__all__ = [
    "Backend",
    "BatchSize",
    "Count",
    "Dtype",
    "IsNumber",
    "NamesPlace",
    "RunChanges",
    "Seed",
    "Thinking",
    "json_object",
]

Backend = Literal["capspace", "hf"]
"""Names in lm-eval's registry of model classes whose arguments are those of its own ``hf``."""

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


def json_object(value: Any) -> Any:
    """Return a mapping as it is, or what its JSON says."""
    if not isinstance(value, str):
        return value
    try:
        read = json.loads(value)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise ValueError('expected a JSON object, such as {"thinking": true}')
    return read


IsNumber = BeforeValidator(_number)
"""Refuses true and false, which would count as 1 and 0, and digits of other scripts."""

NamesPlace = BeforeValidator(_place)
"""Refuses an empty path."""

BatchSize = Annotated[int | str, BeforeValidator(_batch_size)]
Count = Annotated[int, IsNumber, Field(gt=0, le=sys.maxsize)]
Seed = Annotated[int, IsNumber, Field(ge=0, lt=2**32)]  # what NumPy takes


class RunChanges(TypedDict, total=False):
    """The fields of `RunSettings` as keyword arguments, for type checkers and editors."""

    device: str
    dtype: Dtype
    batch_size: int | str
    backend: Backend
    parallelize: bool
    allow_pickle: bool
    trust_remote_code: bool
    token: str | None
    data_root: os.PathLike[str] | str | None
    include_path: os.PathLike[str] | str | None
    limit: int | None
    seed: int | None
    chat_template: bool
    thinking: Thinking
    think_end: str | None
    chat_template_args: Mapping[str, JsonValue] | str | None
    reasoning_effort: str | None
    max_gen_toks: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    n_samples: int | None
    allow_code_execution: bool

"""The settings of a model behind a server state its address, and what is known about it."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ._values import Count, NamesPlace

__all__ = ["EndpointFields"]

_MOST_AT_ONCE = 1024


def _endpoint(value: Any) -> Any:
    """Refuse what is no plain URL; a password in it would be written down."""
    if isinstance(value, str) and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", value):
        raise ValueError(
            "expected a URL such as http://localhost:8000/v1, without password, ? or #"
        )
    return value


class EndpointFields(BaseModel):
    """The settings of a model behind a server, all at their defaults where there is none."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    endpoint: Annotated[
        str | None, BeforeValidator(_endpoint), Field(examples=["http://localhost:8000/v1"])
    ] = None
    """URL of the OpenAI-compatible server that runs the model; models are then named as the server
    names them. With a chat template, requests are for chat completions, else for completions."""

    answers_of: Annotated[str | None, Field(min_length=1)] = None
    """What you state the model to be, such as its Hub name with a revision, where nothing else
    identifies it: a server does not reveal its weights."""

    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "OPENAI_API_KEY"
    """Environment variable that holds the endpoint's key, which is never stored."""

    concurrency: Annotated[Count, Field(le=_MOST_AT_ONCE)] = 8
    """Number of requests sent to the endpoint at a time; reproducible samples may need 1."""

    tokenizer: Annotated[str | None, NamesPlace] = None
    """Hub name or folder of the endpoint's tokenizer, used to refuse prompts that do not fit before
    they are sent."""

    context_length: Count | None = None
    """Tokens in the endpoint's context; by default as the server or the tokenizer's configuration
    states."""

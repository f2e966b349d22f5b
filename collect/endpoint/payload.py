"""The payload of a request is built here: every field that is sent is sent on purpose.

There is always a number of tokens, never an empty list of stop strings, and a separate seed for
each repeat of a sampled request. lm-eval sends seed 1234 with all repeats, so that a server that
obeys it returns the same sample each time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import HarnessError
from ..storage.mode import Mode

__all__ = [
    "AcceptedFields",
    "Payloads",
    "Sampling",
    "answer_budget",
    "refuse_unknown_settings",
]

_ANSWER_TOKENS = 256
"""Tokens of an answer where neither the task nor the user says a number, as in lm-eval."""

_MOST_STOPS = 4  # that the API takes; the others are applied here
_READ = {"until", "max_gen_toks", "do_sample", "temperature", "top_p", "top_k"}
# Values of further generation settings by which they change nothing.
_WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "num_beams": (None, 1),
    "num_return_sequences": (None, 1),
    "repetition_penalty": (None, 1, 1.0),
    "min_p": (None, 0, 0.0),
}


@dataclass(frozen=True)
class AcceptedFields:
    """Which of the fields that a score does not depend on a server takes."""

    budget: str = "max_tokens"
    """The name of the number of tokens."""

    stop: bool = True
    seed: bool = True
    template_arguments: bool = True


@dataclass(frozen=True)
class Sampling:
    """How a text is drawn; greedy at temperature 0."""

    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Sampling:
        """Return how lm-eval's generation settings draw a text.

        lm-eval itself sends a task's temperature also where the task says not to sample.
        """
        temperature = float(settings.get("temperature") or 0.0)
        does = settings.get("do_sample")
        if temperature <= 0 or not (does is None or does):
            return cls()
        return cls(temperature, settings.get("top_p"), settings.get("top_k"))

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a request."""
        given = {"temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}
        return {name: value for name, value in given.items() if value is not None}


class Payloads:
    """Makes the requests of one model, by chat or by completions.

    Parameters
    ----------
    model : str
        The model's name on the server.
    mode : Mode
        How it responds.
    is_chat : bool
        Whether contexts are conversations, to which the server applies its chat template.

    Attributes
    ----------
    accepted : AcceptedFields
        What the server takes.
    template_arguments : dict
        What its chat template is given.

    """

    def __init__(self, model: str, mode: Mode, *, is_chat: bool) -> None:
        self.accepted = AcceptedFields()
        self.is_chat = is_chat
        self._model = model
        self.template_arguments = mode.template_arguments
        self._effort = self.template_arguments.get("reasoning_effort")

    @property
    def route(self) -> str:
        """The route that they are sent to."""
        return "/chat/completions" if self.is_chat else "/completions"

    @property
    def only_effort(self) -> bool:
        """Whether the chat template is given nothing but what a field of its own says as well."""
        return self.template_arguments.keys() <= {"reasoning_effort"}

    def generation(
        self, context: str, settings: Mapping[str, Any], seed: int | None
    ) -> dict[str, Any]:
        """Return the request for a text.

        Parameters
        ----------
        context : str
            A prompt, or a conversation as JSON.
        settings : mapping
            lm-eval's generation settings.
        seed : int or None
            Of a sampled text.

        """
        sampling = Sampling.of(settings)
        payload: dict[str, Any] = {"model": self._model}
        if self.is_chat:
            payload["messages"] = json.loads(context)
        else:
            payload["prompt"] = context
        payload[self.accepted.budget] = answer_budget(settings)
        payload |= sampling.fields
        until = settings.get("until") or []
        stops = [stop for stop in ([until] if isinstance(until, str) else until) if stop]
        if stops and self.accepted.stop:
            payload["stop"] = stops[:_MOST_STOPS]
        if sampling.temperature > 0 and self.accepted.seed and seed is not None:
            payload["seed"] = seed
        if self._effort is not None:
            payload["reasoning_effort"] = self._effort
        if self.template_arguments and self.accepted.template_arguments:
            payload["chat_template_kwargs"] = self.template_arguments
        return payload

    def scoring(self, text: str) -> dict[str, Any]:
        """Return the request for the log-probabilities of a text's own tokens."""
        return {
            "model": self._model,
            "prompt": text,
            "max_tokens": 1,
            "temperature": 0.0,
            "echo": True,
            "logprobs": 1,
        }


def answer_budget(settings: Mapping[str, Any]) -> int:
    """Return the most tokens of an answer."""
    return int(settings.get("max_gen_toks") or _ANSWER_TOKENS)


def refuse_unknown_settings(settings: Mapping[str, Any]) -> None:
    """Refuse generation settings that have no field in a request.

    Raises
    ------
    HarnessError
        There is one that could move the text.

    """
    for name, value in settings.items():
        if name not in _READ and value not in _WITHOUT_EFFECT.get(name, (None,)):
            raise HarnessError(
                f"the task generates with {name}={value}, for which the requests of an endpoint "
                "have no field"
            )

"""A mode says how a model responds: plain, by its chat template, or after thinking.

It is part of a protocol. The same model in two modes has two scores, and lm-eval's default, by
which nothing is passed to the chat template, is neither thinking nor not thinking, but whatever the
template does by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from capspace.tasks.panel import Benchmark

from ..settings import RunSettings
from .digests import canonical_json

__all__ = ["Mode"]

_SPELLINGS = {
    "thinking": ("thinking {}", r"thinking (on|off)"),
    "think_end": ("thoughts end with {}", r"thoughts end with (.+)"),
    "template_args": ("template arguments {}", r"template arguments (\{.+\})"),
    "max_gen_toks": ("at most {} tokens", r"at most ([0-9]{1,18}) tokens"),
    "temperature": ("temperature {}", r"temperature ([0-9.e+-]+)"),
    "top_p": ("top_p {}", r"top_p ([0-9.e+-]+)"),
    "top_k": ("top_k {}", r"top_k ([0-9]{1,18})"),
    "n_samples": ("{} samples", r"([0-9]{1,18}) samples"),
    "n_items": ("{} items in all", r"([0-9]{1,18}) items in all"),
    "n_drawn": ("{} items drawn at random", r"([0-9]{1,18}) items drawn at random"),
    "n_estimating": ("estimated from {} items", r"estimated from ([0-9]{1,18}) items"),
}
_COUNTS = ("max_gen_toks", "top_k", "n_samples", "n_items", "n_drawn", "n_estimating")
_READ = {**dict.fromkeys(_COUNTS, int), "temperature": float, "top_p": float}
_SEMICOLON = r"\u003b"  # as JSON may spell it: a sentence's parts are divided by one
_OF_MODEL = ("thinking", "think_end", "template_args")


@dataclass(frozen=True)
class Mode:
    """How a model responds, beside whether its chat template is applied.

    Attributes
    ----------
    thinking : {"default", "on", "off"}
        What the chat template is told of ``enable_thinking``; nothing by default.
    think_end : str or None
        Text or token id at which a thought ends; None where none was given.
    template_args : str
        Further arguments of the chat template, as canonical JSON; "" for none.
    max_gen_toks : int or None
        Tokens of a response, thought included; None for the task's own.
    temperature, top_p, top_k : float, float, int, or None
        How texts are sampled; None for the task's own.
    n_samples : int or None
        Responses per item; None for the panel's or the task's own.
    n_items : int or None
        Items in all, where a panel spreads them over its tasks; None for all there are.
    n_drawn : int or None
        Items in all, where they are drawn at random.
    n_estimating : int or None
        Items in all, where the score by all others is estimated from them.

    Examples
    --------
    >>> str(Mode(thinking="on", max_gen_toks=4096))
    'thinking on; at most 4096 tokens'

    """

    thinking: Literal["default", "on", "off"] = "default"
    think_end: str | None = None
    template_args: str = ""
    max_gen_toks: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    n_samples: int | None = None
    n_items: int | None = None
    n_drawn: int | None = None
    n_estimating: int | None = None

    @classmethod
    def of(cls, settings: RunSettings) -> Mode:
        """Return the mode that settings describe."""
        arguments = dict(settings.chat_template_args or {})
        if settings.reasoning_effort is not None:
            arguments["reasoning_effort"] = settings.reasoning_effort
        return cls(
            thinking=settings.thinking,
            think_end=settings.think_end,
            template_args=canonical_json(arguments) if arguments else "",
            max_gen_toks=settings.max_gen_toks,
            temperature=settings.temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
            n_samples=settings.n_samples,
        )

    def on(self, benchmark: Benchmark, *, generates: bool) -> Mode:
        """Return the mode with what a panel says where nothing else is wanted, for a protocol.

        Parameters
        ----------
        benchmark : Benchmark
            What is measured.
        generates : bool
            Whether the model generates texts, so that it matters how.

        """
        of_panel = {**benchmark.generation, "n_samples": benchmark.repeats}
        names = ("max_gen_toks", "temperature", "top_p", "top_k", "n_samples")
        chosen = {
            name: of_panel.get(name) if getattr(self, name) is None else getattr(self, name)
            for name in names
        }
        how: dict[str, Any] = chosen if generates else dict.fromkeys(names)
        how["n_drawn" if benchmark.draw == "random" else "n_items"] = benchmark.items
        if benchmark.estimate is not None:
            how["n_estimating"] = benchmark.estimate.n_items
        return replace(self, **how)

    @property
    def cuts_thoughts(self) -> bool:
        """Whether a response is a thought and an answer, of which the answer alone is graded."""
        return self.thinking == "on" or self.think_end is not None

    @property
    def template_arguments(self) -> dict[str, Any]:
        """What the chat template is given."""
        arguments: dict[str, Any] = json.loads(self.template_args or "{}")
        if self.thinking != "default":
            arguments["enable_thinking"] = self.thinking == "on"
        return arguments

    @property
    def generation(self) -> dict[str, Any]:
        """lm-eval's generation settings that replace those of a task."""
        given = {
            name: getattr(self, name) for name in ("max_gen_toks", "temperature", "top_p", "top_k")
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        if self.temperature is not None:
            chosen["do_sample"] = self.temperature > 0
        return chosen

    @property
    def identity_settings(self) -> tuple[tuple[str, str], ...]:
        """What of it decides a model's response to a request, for a model's identity.

        The other settings are in the requests, and in the identity of the tasks.
        """
        return tuple(
            (name, canonical_json(getattr(self, name)))
            for name in _OF_MODEL
            if getattr(self, name) != getattr(Mode, name)
        )

    @property
    def words(self) -> tuple[str, ...]:
        """What differs from lm-eval's defaults, for a protocol's sentence."""
        return tuple(
            spelling.format(getattr(self, name)).replace(";", _SEMICOLON)
            for name, (spelling, _) in _SPELLINGS.items()
            if getattr(self, name) != getattr(Mode, name)
        )

    def __str__(self) -> str:
        return "; ".join(self.words)

    @classmethod
    def read(cls, parts: Sequence[str]) -> tuple[Mode, list[str]]:
        """Return the mode that the first parts of a sentence state, and the parts behind it."""
        values: dict[str, Any] = {}
        rest = list(parts)
        for name, (_, pattern) in _SPELLINGS.items():
            stated = re.fullmatch(pattern, rest[0]) if rest else None
            if stated is None:
                continue
            try:
                values[name] = _READ.get(name, str)(stated[1].replace(_SEMICOLON, ";"))
            except ValueError:  # of a text that only looks like a number
                continue
            rest = rest[1:]
        return cls(**values), rest

    @staticmethod
    def states(part: str) -> bool:
        """Return whether a part of a sentence states something of a mode."""
        return any(re.fullmatch(pattern, part) for _, pattern in _SPELLINGS.values())

    @classmethod
    def label_of(cls, model_identity: Mapping[str, Any]) -> str:
        """Return the mode of a stored identity's model: ``plain``, ``chat`` or ``thinking``."""
        settings = dict(_pairs(model_identity.get("backend_settings")))
        thinks = settings.get("thinking") == '"on"' or "think_end" in settings
        if thinks:
            return "thinking"
        return "chat" if model_identity.get("chat_template") else "plain"


def _pairs(value: Any) -> Iterator[tuple[str, str]]:
    for pair in value or ():
        name, text = cast("Sequence[str]", pair)
        yield name, text

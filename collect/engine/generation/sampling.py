"""The next token is chosen, and a continuation ended, as lm-eval and transformers do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from transformers import (
    PreTrainedTokenizerBase,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from .adjustments import Adjustments
from .settings import TextSettings

__all__ = ["Choice", "StopCheck"]


@dataclass(frozen=True)
class Choice:
    """How the next token is chosen.

    Attributes
    ----------
    temperature, top_k, top_p
        As in `TextSettings`.
    seeds : sequence of int
        For each prompt the seed of its own stream of random numbers: a sample does not depend on
        what else runs. Read only where there is a temperature.
    adjustments : Adjustments, optional
        What a text so far changes of the logits of its next token.

    """

    temperature: float | None = None
    top_k: int = 0
    top_p: float = 1.0
    seeds: Sequence[int] = ()
    adjustments: Adjustments | None = None
    _streams: dict[int, np.random.Generator] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls, settings: TextSettings, prompts: Sequence[Sequence[int]], seeds: Sequence[int]
    ) -> Choice:
        """Return the choice that generation settings describe, for prompts given as tokens."""
        adjustments = Adjustments(settings, prompts)
        return cls(
            settings.temperature,
            settings.top_k,
            settings.top_p,
            seeds,
            adjustments if adjustments.is_any else None,
        )

    def __call__(self, logits: Tensor, prompts: list[int]) -> list[int]:
        """Choose one token per row of ``logits``, (n_rows, vocabulary)."""
        scores = logits.float()
        if self.adjustments is not None:
            scores = self.adjustments(scores, prompts)
        chosen = self._choose(scores, prompts)
        if self.adjustments is not None:
            self.adjustments.add(prompts, chosen)
        return chosen

    def _choose(self, scores: Tensor, prompts: list[int]) -> list[int]:
        if self.temperature is None:
            best: list[int] = scores.argmax(-1).tolist()
            return best
        unread = torch.empty(0, dtype=torch.long)  # the warpers look at the logits alone
        scores = TemperatureLogitsWarper(self.temperature)(unread, scores)
        if self.top_k:
            scores = TopKLogitsWarper(self.top_k)(unread, scores)
        if self.top_p < 1:
            scores = TopPLogitsWarper(self.top_p)(unread, scores)
        reached = scores.softmax(-1).cpu().double().cumsum(-1)
        drawn = [[self._stream(prompt).random()] for prompt in prompts]
        wanted = torch.tensor(drawn, dtype=torch.float64) * reached[:, -1:]
        chosen: list[int] = torch.searchsorted(reached, wanted, right=True)[:, 0].tolist()
        return chosen

    def _stream(self, prompt: int) -> np.random.Generator:
        if prompt not in self._streams:
            self._streams[prompt] = np.random.default_rng(self.seeds[prompt])
        return self._streams[prompt]


class StopCheck:
    """Whether a continuation ends with its last token.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Turns tokens into text.
    stops : sequence of str
        Texts that end a continuation.
    end_tokens : frozenset of int
        Tokens that end it.

    Notes
    -----
    As in lm-eval, a stop text of n tokens is looked for in the last n + 2 tokens generated: they
    may spell it with other tokens than the tokenizer would.

    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, stops: Sequence[str], end_tokens: frozenset[int]
    ) -> None:
        self._tokenizer = tokenizer
        self._end_tokens = end_tokens
        self._by_length: dict[int, list[str]] = {}
        for stop in stops:
            length = len(tokenizer.encode(stop, add_special_tokens=False)) + 2
            self._by_length.setdefault(length, []).append(stop)

    def __call__(self, tokens: list[int]) -> bool:
        """Return whether ``tokens``, all that was generated so far, are complete."""
        if tokens[-1] in self._end_tokens:
            return True
        for length, stops in self._by_length.items():
            text = self._tokenizer.decode(tokens[-length:])
            if any(stop in text for stop in stops):
                return True
        return False

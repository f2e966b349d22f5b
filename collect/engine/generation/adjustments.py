"""The text so far adjusts the logits of the next token, as transformers' processors do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    MinNewTokensLengthLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
)

from .settings import TextSettings

__all__ = ["Adjustments"]


class Adjustments:
    """The changes of logits that depend on the tokens of a text.

    Each text is adjusted by itself, as in a batch of one: transformers also counts the padding of
    a larger batch.

    Parameters
    ----------
    settings : TextSettings
        Penalties, limits and suppressed tokens.
    prompts : sequence of token id sequences
        What the texts begin with; an index into them names a text.

    """

    def __init__(self, settings: TextSettings, prompts: Sequence[Sequence[int]]) -> None:
        self._settings, self._prompts = settings, prompts
        self._tokens: dict[int, Tensor] = {}
        self._processors: dict[int, LogitsProcessorList] = {}

    @property
    def is_any(self) -> bool:
        """Whether the settings change a logit at all."""
        return len(self._of_length(1, torch.device("cpu"))) > 0

    def __call__(self, scores: Tensor, prompts: list[int]) -> Tensor:
        """Return the logits (n_rows, vocabulary) of the next token of each text, adjusted."""
        for prompt in prompts:
            if prompt not in self._tokens:
                tokens = torch.tensor([list(self._prompts[prompt])], device=scores.device)
                self._tokens[prompt] = tokens
                self._processors[prompt] = self._of_length(tokens.shape[1], scores.device)
        rows = [
            self._processors[prompt](
                cast(torch.LongTensor, self._tokens[prompt]), scores[i : i + 1]
            )
            for i, prompt in enumerate(prompts)
        ]
        return torch.cat(rows)

    def add(self, prompts: list[int], chosen: list[int]) -> None:
        """Append the token that was chosen for each of the texts."""
        for prompt, token in zip(prompts, chosen, strict=True):
            before = self._tokens[prompt]
            self._tokens[prompt] = torch.cat([before, before.new_tensor([[token]])], 1)

    def _of_length(self, length: int, device: torch.device) -> LogitsProcessorList:
        """Return the processors of a prompt of this many tokens, in transformers' order."""
        settings, place = self._settings, str(device)
        processors = LogitsProcessorList()
        if settings.repetition_penalty != 1.0:
            processors.append(RepetitionPenaltyLogitsProcessor(settings.repetition_penalty))
        if settings.no_repeat_ngram_size > 0:
            processors.append(NoRepeatNGramLogitsProcessor(settings.no_repeat_ngram_size))
        if settings.min_new_tokens > 0 and settings.end_tokens:
            ends = sorted(settings.end_tokens)
            processors.append(
                MinNewTokensLengthLogitsProcessor(length, settings.min_new_tokens, ends, place)
            )
        if settings.suppress_tokens:
            processors.append(SuppressTokensLogitsProcessor(settings.suppress_tokens, place))
        if settings.begin_suppress_tokens:
            processors.append(
                SuppressTokensAtBeginLogitsProcessor(settings.begin_suppress_tokens, length, place)
            )
        return processors

"""The next token is chosen, and a continuation ended, as lm-eval and transformers do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerBase,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

__all__ = ["Choice", "StopCheck", "UnservedSettingError", "read_settings"]

_NEUTRAL: dict[str, Any] = {
    "diversity_penalty": 0.0,
    "early_stopping": False,
    "encoder_no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "guidance_scale": 1.0,
    "length_penalty": 1.0,
    "min_length": 0,
    "no_repeat_ngram_size": 0,
    "num_beam_groups": 1,
    "num_beams": 1,
    "num_return_sequences": 1,
    "remove_invalid_values": False,
    "renormalize_logits": False,
    "repetition_penalty": 1.0,
    "typical_p": 1.0,
}
_SERVED = {"do_sample", "temperature", "top_k", "top_p", "eos_token_id"}
_WITHOUT_EFFECT = {
    "_from_model_config",
    "assistant_confidence_threshold",
    "assistant_lookbehind",
    "bos_token_id",
    "cache_implementation",
    "decoder_start_token_id",
    "disable_compile",
    "is_assistant",
    "max_length",
    "max_new_tokens",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "output_attentions",
    "output_hidden_states",
    "output_logits",
    "output_scores",
    "pad_token_id",
    "prefill_chunk_size",
    "return_dict_in_generate",
    "target_lookbehind",
    "token_healing",
    "transformers_version",
    "use_cache",
}


class UnservedSettingError(ValueError):
    """A generation setting that the engine leaves to lm-eval's own path."""


@dataclass(frozen=True)
class Choice:
    """How the next token is chosen.

    Attributes
    ----------
    temperature : float, optional
        Divides the logits before sampling; None takes the most probable token.
    top_k : int
        Sample among this many tokens; 0 is all.
    top_p : float
        Sample among the most probable tokens that together reach this probability.
    end_tokens : frozenset of int
        Tokens that end a continuation.
    seeds : sequence of int
        For each prompt the seed of its own stream of random numbers: a sample does not depend on
        what else runs. Read only where there is a temperature.

    """

    temperature: float | None = None
    top_k: int = 0
    top_p: float = 1.0
    end_tokens: frozenset[int] = frozenset()
    seeds: Sequence[int] = ()
    _streams: dict[int, np.random.Generator] = field(default_factory=dict, compare=False)

    def __call__(self, logits: Tensor, prompts: list[int]) -> list[int]:
        """Choose one token per row of ``logits``, (n_rows, vocabulary)."""
        if self.temperature is None:
            best: list[int] = logits.float().argmax(-1).tolist()
            return best
        unread = torch.empty(0, dtype=torch.long)  # the warpers look at the logits alone
        scores = TemperatureLogitsWarper(self.temperature)(unread, logits.float())
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


def read_settings(
    config: GenerationConfig, requested: Mapping[str, Any], seeds: Sequence[int]
) -> Choice:
    """Combine a model's own generation settings with those a task requests.

    Parameters
    ----------
    config : GenerationConfig
        The model's.
    requested : mapping
        The task's, which win; lm-eval's ``normalize_gen_kwargs`` went over them.
    seeds : sequence of int
        Seed of each prompt's sample.

    Raises
    ------
    UnservedSettingError
        A setting that changes what is generated and that the engine does not serve.

    """
    settings = {key: value for key, value in config.to_dict().items() if value is not None}
    settings.update({key: value for key, value in requested.items() if value is not None})
    for key, value in settings.items():
        if key in _SERVED or key in _WITHOUT_EFFECT or value in ({}, []):
            continue
        if key not in _NEUTRAL or value != _NEUTRAL[key]:
            raise UnservedSettingError(f"{key}={value}")
    ends = settings.get("eos_token_id")
    end_tokens = frozenset([] if ends is None else np.atleast_1d(ends).tolist())
    if not settings.get("do_sample", False):
        return Choice(end_tokens=end_tokens)
    # transformers samples among 50 tokens unless the model or the task says otherwise
    temperature, top_k = float(settings.get("temperature", 1.0)), int(settings.get("top_k", 50))
    if temperature <= 0:
        raise UnservedSettingError(f"do_sample=True with temperature={temperature}")
    return Choice(temperature, top_k, float(settings.get("top_p", 1.0)), end_tokens, seeds)


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

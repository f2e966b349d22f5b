"""Every setting of a generation is served as transformers serves it, or left to lm-eval's path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
from transformers import GenerationConfig

__all__ = ["SETTINGS", "Effect", "Setting", "TextSettings", "UnservedSettingError", "read_settings"]


class UnservedSettingError(ValueError):
    """A generation setting that the engine leaves to lm-eval's own path."""


class Effect(Enum):
    """What a setting changes of the texts that lm-eval asks a model for."""

    NOTHING = auto()
    """It concerns memory, speed, other outputs than the text, or what lm-eval itself passes."""

    SERVED = auto()
    """The engine does with it what transformers does."""

    SAMPLES = auto()
    """Sampled texts alone."""

    BEAMS = auto()
    """Texts of beam search alone, and the number of beams is a setting of its own."""

    TEXTS = auto()
    """Any text."""


@dataclass(frozen=True)
class Setting:
    """What the engine does with one field of transformers' ``GenerationConfig``.

    Attributes
    ----------
    effect : Effect
        What it changes.
    neutral : tuple
        Values under which it changes nothing, besides None and empty collections. Where it would
        change a text by any other value, and is not served, lm-eval's own path generates it.

    """

    effect: Effect
    neutral: tuple[Any, ...] = ()

    def is_unserved(self, value: Any, *, is_sampled: bool) -> bool:
        """Return whether a text with this value is left to lm-eval's own path."""
        if value is None or value in ({}, []) or value in self.neutral:
            return False
        return self.effect is Effect.TEXTS or (self.effect is Effect.SAMPLES and is_sampled)


_NOTHING, _SERVED = Setting(Effect.NOTHING), Setting(Effect.SERVED)
_BEAMS = Setting(Effect.BEAMS)


def _texts(*neutral: Any) -> Setting:
    return Setting(Effect.TEXTS, neutral)


def _samples(*neutral: Any) -> Setting:
    return Setting(Effect.SAMPLES, neutral)


SETTINGS: dict[str, Setting] = {
    "_commit_hash": _NOTHING,
    "_from_model_config": _NOTHING,
    "assistant_confidence_threshold": _NOTHING,  # unless is_assistant
    "assistant_early_exit": _texts(),
    "assistant_ensemble_weight": _NOTHING,  # given an assistant model
    "assistant_lookbehind": _NOTHING,  # given an assistant model
    "bad_words_ids": _texts(),
    "begin_suppress_tokens": _SERVED,
    "bos_token_id": _NOTHING,  # prompts are given
    "cache_config": _NOTHING,  # of a quantised cache
    "cache_implementation": _texts(
        *("dynamic", "dynamic_full", "offloaded", "static", "offloaded_static", "sliding_window"),
        *("hybrid", "hybrid_chunked", "offloaded_hybrid", "offloaded_hybrid_chunked"),
    ),
    "compile_config": _NOTHING,
    "constraints": _texts(),
    "continuous_batching_config": _NOTHING,
    "decoder_start_token_id": _NOTHING,
    "disable_compile": _NOTHING,
    "diversity_penalty": _texts(0.0),
    "do_sample": _SERVED,
    "dola_layers": _texts(),
    "early_stopping": _BEAMS,
    "encoder_no_repeat_ngram_size": _texts(0),
    "encoder_repetition_penalty": _texts(1.0),
    "eos_token_id": _SERVED,
    "epsilon_cutoff": _samples(0.0),
    "eta_cutoff": _samples(0.0),
    "exponential_decay_length_penalty": _texts(),
    "force_words_ids": _texts(),
    "forced_bos_token_id": _texts(),
    "forced_eos_token_id": _texts(),
    "guidance_scale": _texts(1.0),
    "is_assistant": _texts(False),  # ends a text at an improbable token
    "length_penalty": _BEAMS,
    "low_memory": _NOTHING,  # of contrastive and beam search
    "max_cache_len": _NOTHING,
    "max_length": _NOTHING,  # lm-eval passes its own
    "max_matching_ngram_size": _NOTHING,  # of prompt lookup
    "max_new_tokens": _SERVED,
    "max_time": _texts(),
    "min_length": _texts(0),  # counts the padding of a batch
    "min_new_tokens": _SERVED,
    "min_p": _samples(),
    "no_repeat_ngram_size": _SERVED,
    "num_assistant_tokens": _NOTHING,
    "num_assistant_tokens_schedule": _NOTHING,
    "num_beam_groups": _texts(1),
    "num_beams": _texts(1),
    "num_return_sequences": _texts(1),
    "output_attentions": _NOTHING,
    "output_hidden_states": _NOTHING,
    "output_logits": _NOTHING,
    "output_scores": _NOTHING,
    "pad_token_id": _NOTHING,  # lm-eval passes its own
    "penalty_alpha": _texts(0.0),
    "prefill_chunk_size": _NOTHING,
    "prompt_lookup_num_tokens": _texts(),
    "remove_invalid_values": _texts(False),
    "renormalize_logits": _texts(False),
    "repetition_penalty": _SERVED,
    "return_dict_in_generate": _NOTHING,
    "return_legacy_cache": _NOTHING,
    "sequence_bias": _texts(),
    "speculation_type": _NOTHING,  # given an assistant model
    "stop_strings": _texts(),
    "suppress_tokens": _SERVED,
    "target_lookbehind": _NOTHING,  # given an assistant model
    "temperature": _SERVED,
    "token_healing": _texts(False),
    "top_h": _samples(),
    "top_k": _SERVED,
    "top_p": _SERVED,
    "transformers_version": _NOTHING,
    "typical_p": _samples(1.0),
    "use_cache": _NOTHING,  # lm-eval passes its own
    "use_mtp": _texts(False),
    "watermarking_config": _texts(),
}
"""All fields of ``GenerationConfig``, from the lowest transformers served to the newest known.

A field that is not here leaves a text to lm-eval's own path.
"""

_UNKNOWN = _texts()


@dataclass(frozen=True)
class TextSettings:
    """What the engine reads of a model's and a task's generation settings.

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
    max_new_tokens : int, optional
        Longest continuation by the model's own settings, which in transformers overrides the
        length that lm-eval asks for.
    min_new_tokens : int
        No end token comes before this many tokens.
    repetition_penalty : float
        Divides the positive logits of tokens that the text has, and multiplies the negative ones.
    no_repeat_ngram_size : int
        No n-gram of this many tokens comes twice; 0 is no limit.
    suppress_tokens, begin_suppress_tokens : tuple of int
        Tokens that are never chosen, and those that are not chosen first.

    """

    temperature: float | None = None
    top_k: int = 0
    top_p: float = 1.0
    end_tokens: frozenset[int] = frozenset()
    max_new_tokens: int | None = None
    min_new_tokens: int = 0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    suppress_tokens: tuple[int, ...] = ()
    begin_suppress_tokens: tuple[int, ...] = ()


def read_settings(config: GenerationConfig, requested: Mapping[str, Any]) -> TextSettings:
    """Combine a model's own generation settings with those a task requests.

    Parameters
    ----------
    config : GenerationConfig
        The model's.
    requested : mapping
        The task's, which win, also where they are None; lm-eval's ``normalize_gen_kwargs`` went
        over them.

    Raises
    ------
    UnservedSettingError
        A setting that changes what is generated and that the engine does not serve.

    """
    # transformers samples among 50 tokens unless the model or the task says otherwise
    own = {key: value for key, value in config.to_dict().items() if value is not None}
    merged = {"top_k": 50, **own, **requested}
    given = {key: value for key, value in merged.items() if value is not None}
    is_sampled = bool(given.get("do_sample", False))
    for key, value in given.items():
        if SETTINGS.get(key, _UNKNOWN).is_unserved(value, is_sampled=is_sampled):
            raise UnservedSettingError(f"{key}={value}")
    sampling: dict[str, Any] = {}
    if is_sampled:
        temperature = float(given.get("temperature", 1.0))
        if temperature <= 0:
            raise UnservedSettingError(f"do_sample=True with temperature={temperature}")
        sampling = {
            "temperature": temperature,
            "top_k": int(given.get("top_k", 0)),
            "top_p": float(given.get("top_p", 1.0)),
        }
    ends = given.get("eos_token_id", [])
    own_limit = own.get("max_new_tokens")
    return TextSettings(
        **sampling,
        end_tokens=frozenset(np.atleast_1d(ends).tolist()),
        max_new_tokens=None if own_limit is None else int(own_limit),
        min_new_tokens=int(given.get("min_new_tokens", 0)),
        repetition_penalty=given.get("repetition_penalty", 1.0),
        no_repeat_ngram_size=given.get("no_repeat_ngram_size", 0),
        suppress_tokens=tuple(given.get("suppress_tokens", ())),
        begin_suppress_tokens=tuple(given.get("begin_suppress_tokens", ())),
    )

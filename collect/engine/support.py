"""The engine serves a model only where it reproduces it exactly, and says why it does not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from torch import nn
from transformers.configuration_utils import PretrainedConfig

from .attention.backends import AttentionBackend, suitable_backends
from .forward import Autocast, base_model
from .generation.recording import Recording, traced
from .length import CHUNKED, length_limit
from .own_texts import window_fault
from .probes import generation_probe, probe, recording_probe, state_probe, state_texts_probe
from .quantised import rounding_fault
from .state.forking import ATTENTION, goes_on_from_states, has_recurrent_state, state_line

__all__ = ["Support", "find_support", "unsupported_reason"]

_PROBED_TOKENS = 48
"""Longest input of a probe of attention over a tree, rounded up."""
_PROBED_BEHIND_STATES = 96
"""The same of texts that go on from states."""


@dataclass(frozen=True)
class Support:
    """How the engine computes a model's scores and texts, or why it does not.

    Attributes
    ----------
    attention_backend : callable
        How attention over a tree of tokens is computed, where it is.
    scores_by_states : bool
        Whether scores go on from the states behind shared tokens, computed by the model's own
        attention, instead of by attention over a tree of tokens.
    texts_by_states : bool
        The same of texts.
    unsupported_reason : str or None
        Why all requests take lm-eval's own path, None if the engine serves them.
    unsupported_texts : str or None
        Why texts take it, None if the engine generates them.
    slower_reason : str or None
        Why the fastest attention for the device is not used, None if it is.
    recording : Recording or None
        How steps of texts are recorded and replayed, None if each is computed as it is.
    unrecorded_reason : str or None
        Why they are not, where that was wanted and the engine generates texts.

    """

    attention_backend: AttentionBackend
    scores_by_states: bool = False
    texts_by_states: bool = False
    unsupported_reason: str | None = None
    unsupported_texts: str | None = None
    slower_reason: str | None = None
    recording: Recording | None = None
    unrecorded_reason: str | None = None


def find_support(
    model: nn.Module,
    *,
    backend: str = "causal",
    autocast: Autocast = nullcontext,
    recording: Recording | None = None,
) -> Support:
    """Return how the engine serves a model, in the fastest way that is exact.

    Parameters
    ----------
    model : Module
        A model as lm-eval holds it, with an adapter around it or not.
    backend : str
        lm-eval's word for the kind of model: ``"causal"`` or ``"seq2seq"``.
    autocast : callable
        Makes the context of each forward pass, as calls will use it.
    recording : Recording, optional
        How steps of texts are to be recorded, where that is exact.

    Notes
    -----
    What a configuration states is read from it; what its code does is found by trying: the
    engine's log-probabilities of a few tokens are compared with the model's own, those of texts
    with what its ``generate`` chooses by.

    """
    support = _support_of(model, backend, autocast)
    if recording is None or support.unsupported_texts is not None:
        return support
    fault = _by_recording(model, support, recording, autocast)
    return replace(support, recording=recording if fault is None else None, unrecorded_reason=fault)


def _support_of(model: nn.Module, backend: str, autocast: Autocast) -> Support:
    first, *others = suitable_backends(model, autocast)
    outside = _outside(model, backend)
    if outside is not None:
        return Support(first, unsupported_reason=outside, unsupported_texts=outside)
    if has_recurrent_state(model):
        reason = state_line(model)
        by_tree = Support(first, unsupported_reason=reason, unsupported_texts=reason)
    else:
        by_tree = _by_tree(model, [first, *others], autocast)
    if (fault := window_fault(model, autocast)) is not None:
        return replace(by_tree, unsupported_texts=by_tree.unsupported_reason or fault)
    limit = length_limit(model)
    has_room = limit is None or limit.tokens >= _PROBED_BEHIND_STATES
    if by_tree.unsupported_texts is None or not has_room or not goes_on_from_states(model):
        return by_tree
    fault = state_probe(model, autocast)
    if fault is not None:
        if not has_recurrent_state(model):
            return by_tree
        return replace(by_tree, unsupported_reason=fault, unsupported_texts=fault)
    fault = state_texts_probe(model, autocast)
    return replace(
        by_tree,
        scores_by_states=by_tree.unsupported_reason is not None,
        texts_by_states=fault is None,
        unsupported_reason=None,
        unsupported_texts=fault,
    )


def unsupported_reason(
    model: nn.Module, *, backend: str = "causal", autocast: Autocast = nullcontext
) -> str | None:
    """Return why the engine leaves ``model`` to lm-eval's own path, or None if it serves it.

    Parameters are those of `find_support`.

    Returns
    -------
    str or None
        A clause that completes "lm-eval's own path is used: ...".

    """
    return find_support(model, backend=backend, autocast=autocast).unsupported_reason


def _outside(model: nn.Module, backend: str) -> str | None:
    """Return what keeps a model from the engine, whatever its layers compute."""
    if backend != "causal":
        return "it is an encoder-decoder"
    base = base_model(model)
    if not isinstance(getattr(base, "config", None), PretrainedConfig):
        return "it is not a transformers model"
    if getattr(base.config, "is_encoder_decoder", False):
        return "it is an encoder-decoder"
    stated = _by_length(model) or _by_adapter(model) or _by_weights(base)
    return _by_span(base.config) or stated


def _by_tree(model: nn.Module, backends: Sequence[AttentionBackend], autocast: Autocast) -> Support:
    """Return how attention over a tree serves a model: by the first backend that is exact."""
    base = base_model(model)
    stated = _by_class(base) or _by_config(base.config)
    if stated is not None:
        return Support(backends[0], unsupported_reason=stated, unsupported_texts=stated)
    reasons: list[str] = []
    for backend in backends:
        reason = probe(model, backend, autocast)
        if reason is None:
            return Support(
                backend,
                unsupported_texts=generation_probe(model, backend, autocast),
                slower_reason=reasons[0] if reasons else None,
            )
        reasons.append(reason)
    return Support(backends[-1], unsupported_reason=reasons[-1], unsupported_texts=reasons[-1])


def _by_recording(
    model: nn.Module, support: Support, recording: Recording, autocast: Autocast
) -> str | None:
    """Return why a model's steps cannot be recorded, None if they can."""
    if support.texts_by_states:
        return "its texts go on from states"
    if len({parameter.device for parameter in model.parameters()}) > 1:
        return "its layers are on several devices"
    # a trace says why where a CUDA graph only fails
    for record in dict.fromkeys((traced, recording.record)):
        tried = replace(recording, record=record, at_use=2)
        fault = recording_probe(model, tried, support.attention_backend, autocast)
        if fault is not None:
            return fault
    return None


def _by_class(base: Any) -> str | None:
    is_hybrid = getattr(base, "_is_stateful", False)
    # hybrids do not say that their attention layers use it
    by_name = is_hybrid and hasattr(sys.modules[type(base).__module__], "ALL_ATTENTION_FUNCTIONS")
    if not by_name and not getattr(base, "_supports_attention_backend", False):
        return f"{type(base).__name__} does not use transformers' attention interface"
    return None


def _by_config(config: PretrainedConfig) -> str | None:
    text = config.get_text_config(decoder=True)
    if getattr(text, "alibi", False) or getattr(text, "position_embedding_type", "") == "alibi":
        return "its attention uses ALiBi"
    if getattr(text, "attention_chunk_size", None) is not None:
        return CHUNKED
    unknown = set(getattr(text, "layer_types", None) or ()) - ATTENTION
    if unknown:
        return f"it has layers of type {', '.join(sorted(unknown))}"
    return None


def _by_span(config: PretrainedConfig) -> str | None:
    """Return what a configuration states of tokens that see others than those before them."""
    text = config.get_text_config(decoder=True)
    two_sided = getattr(text, "use_bidirectional_attention", None)
    if getattr(text, "is_causal", True) is False or two_sided not in (None, False, "vision"):
        return "its attention is not causal"
    return None


def _by_length(model: nn.Module) -> str | None:
    limit = length_limit(model)
    return None if limit is None or limit.tokens >= _PROBED_TOKENS else limit.reason


def _by_adapter(model: nn.Module) -> str | None:
    active = getattr(model, "active_peft_config", None)
    if getattr(active, "is_prompt_learning", False):
        return "its adapter prepends virtual tokens"
    return None


def _by_weights(base: Any) -> str | None:
    if any(parameter.is_meta for parameter in base.parameters()):
        return "some of its weights are offloaded"
    return rounding_fault(base)

"""The engine serves a model only where it reproduces it exactly, and says why it does not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers.configuration_utils import PretrainedConfig

from .attention.backends import AttentionBackend, suitable_backends
from .attention.blocks import UnsupportedAttentionError
from .forward import UnsupportedForwardError, base_model, first_line
from .generation.decode import generate
from .generation.shared_prompts import MIN_SHARED
from .length import length_limit
from .scoring import HALF, Budget, Target, score_targets
from .state.forking import has_forkable_state
from .state.scoring import score_by_states
from .tree import IntArray

__all__ = [
    "choose_backend",
    "generation_probe",
    "goes_by_states",
    "probe",
    "state_probe",
    "unsupported_reason",
]

Autocast = Callable[[], AbstractContextManager[Any]]
"""Makes the context of each forward pass."""

_KNOWN_LAYERS = {"attention", "full_attention", "sliding_attention"}
_PROBED_TOKENS = 48
"""Longest input of a probe, rounded up."""


def choose_backend(
    model: nn.Module, *, backend: str, autocast: Autocast = nullcontext
) -> tuple[AttentionBackend, tuple[str | None, str | None]]:
    """Return the fastest attention backend that is exact, or the last of them.

    Parameters
    ----------
    model, backend, autocast
        As for `unsupported_reason`.

    Returns
    -------
    backend : callable
        How attention is computed.
    reasons : (str or None, str or None)
        Why none is exact, and why the fastest is not.

    """
    reasons: list[str] = []
    for attention_backend in suitable_backends(model):
        reason = unsupported_reason(
            model, backend=backend, attention_backend=attention_backend, autocast=autocast
        )
        if reason is None:
            return attention_backend, (None, reasons[0] if reasons else None)
        reasons.append(reason)
    return attention_backend, (reasons[-1], None)


def unsupported_reason(
    model: nn.Module,
    *,
    backend: str = "causal",
    attention_backend: AttentionBackend | None = None,
    autocast: Autocast = nullcontext,
) -> str | None:
    """Return why the engine leaves ``model`` to lm-eval's own path, or None if it serves it.

    Parameters
    ----------
    model : Module
        A model as lm-eval holds it, with an adapter around it or not.
    backend : str
        lm-eval's word for the kind of model: ``"causal"`` or ``"seq2seq"``.
    attention_backend : callable, optional
        How attention would be computed, as for
        :func:`~capspace.collect.engine.scoring.score_targets`.
    autocast : callable
        Makes the context of each forward pass, as calls will use it.

    Returns
    -------
    str or None
        A clause that completes "lm-eval's own path is used: ...".

    Notes
    -----
    What a configuration states is read from it; what its code does is found by trying: the engine's
    log-probabilities of a small tree of tokens are compared with the model's own, :func:`probe`.

    """
    if backend != "causal":
        return "it is an encoder-decoder"
    base = base_model(model)
    if not isinstance(getattr(base, "config", None), PretrainedConfig):
        return "it is not a transformers model"
    reason = _by_length(model) or _by_adapter(model) or _by_weights(base)
    if goes_by_states(model):
        return reason or state_probe(model, autocast)
    reason = _by_class(base) or _by_config(base.config) or reason
    return reason or probe(model, attention_backend, autocast)


def goes_by_states(model: nn.Module) -> bool:
    """Return whether a model is scored from states that go on, not by attention over a tree."""
    return has_forkable_state(model) and not _has_attention_alone(base_model(model).config)


def probe(
    model: nn.Module,
    attention_backend: AttentionBackend | None = None,
    autocast: Autocast = nullcontext,
) -> str | None:
    """Compare the engine with the model's own forward pass on a small tree of tokens.

    Returns
    -------
    str or None
        None if they agree within rounding: in half precision three quarters of the
        log-probabilities within a tenth of their own spread, above it all within a thousandth.

    """
    sequences: list[list[int]] = [[]]
    for level in range(3):
        branches = _draw(model, (len(sequences), 2, 5), seed=level)
        sequences = [
            [*sequence, *branch.tolist()]
            for sequence, pair in zip(sequences, branches, strict=True)
            for branch in pair
        ]
    targets = [
        Target(sequence[:length], [sequence[length]])
        for sequence in sequences
        for length in range(1, len(sequence))
    ]

    def scored() -> list[float]:
        scores, _ = score_targets(
            model,
            targets,
            Budget(tokens=17, rows=17),
            attention_backend=attention_backend,
            autocast=autocast,
        )
        return [score for score, _ in scores]

    own = partial(_own_logprobs, model, sequences, 1, autocast)
    return _compare(model, scored, own, what="a small tree of tokens")


def state_probe(model: nn.Module, autocast: Autocast = nullcontext) -> str | None:
    """Compare scores that go on from states with the model's own forward pass.

    Two texts go on with several tokens after a long common beginning, which is longer than what
    the scan of a recurrent layer takes at once, and two others with a single token.

    Returns
    -------
    str or None
        As for `probe`: None if their log-probabilities agree.

    """
    shared, tails = _draw(model, (2, 70), seed=5), _draw(model, (4, 12), seed=6)
    long = [[*shared[0].tolist(), *tail.tolist()] for tail in tails[:2]]
    short = [[*shared[1].tolist(), *tail[:2].tolist()] for tail in tails[2:]]

    def scored() -> list[float]:
        targets = [
            Target(sequence[:length], [sequence[length]])
            for sequence in [*long, *short]
            for length in range(1, len(sequence))
        ]
        scores, _ = score_by_states(model, targets, Budget(tokens=128, rows=128), autocast=autocast)
        return [score for score, _ in scores]

    def own() -> tuple[NDArray[np.float64], bool]:
        parts = [_own_logprobs(model, rows, 1, autocast) for rows in (long, short)]
        return np.concatenate([logprobs for logprobs, _ in parts]), parts[0][1]

    return _compare(model, scored, own, what="texts that go on from a state")


def generation_probe(
    model: nn.Module,
    attention_backend: AttentionBackend | None = None,
    autocast: Autocast = nullcontext,
) -> str | None:
    """Compare the engine with the model's own forward pass on short texts, given token by token.

    Returns
    -------
    str or None
        As for `probe`: None if their log-probabilities agree.

    """
    if goes_by_states(model):
        return "its layers carry a state, from which only scores go on"
    n_new = 4
    shared, own = _draw(model, (MIN_SHARED + 1,), seed=3), _draw(model, (2, 3 + n_new), seed=4)
    sequences = [[*shared.tolist(), *tail.tolist()] for tail in own]
    first = len(sequences[0]) - n_new
    logprobs: list[list[float]] = [[] for _ in sequences]

    def give_next(logits: Tensor, prompts: list[int]) -> list[int]:
        tokens = [sequences[i][first + len(logprobs[i])] for i in prompts]
        for row, i, token in zip(logits.float().log_softmax(-1), prompts, tokens, strict=True):
            logprobs[i].append(float(row[token]))
        return tokens

    def generated() -> list[float]:
        generate(
            model,
            [sequence[:first] for sequence in sequences],
            max_new_tokens=n_new,
            pick=give_next,
            is_finished=lambda new: False,
            rows=len(sequences),
            prefill_tokens=len(sequences[0]),
            attention_backend=attention_backend,
            autocast=autocast,
        )
        return [logprob for row in logprobs for logprob in row]

    own_logprobs = partial(_own_logprobs, model, sequences, first, autocast)
    return _compare(model, generated, own_logprobs, what="a short text")


def _draw(model: nn.Module, shape: tuple[int, ...], *, seed: int) -> IntArray:
    vocabulary = int(base_model(model).get_input_embeddings().num_embeddings)
    return np.random.default_rng(seed).integers(vocabulary // 8, vocabulary, size=shape)


def _compare(
    model: nn.Module,
    engine: Callable[[], list[float]],
    own: Callable[[], tuple[NDArray[np.float64], bool]],
    *,
    what: str,
) -> str | None:
    """Return how far the engine's log-probabilities are from the model's own."""
    try:
        reference, is_half = own()
        gap = np.abs(np.asarray(engine()) - reference)
    except (UnsupportedForwardError, UnsupportedAttentionError) as error:
        return str(error)  # a clause already
    except Exception as error:  # a stranger's code may raise anything
        return f"its code does not take the engine's inputs ({first_line(error)})"
    worst, tolerance = (float(np.quantile(gap, 0.75)), 0.1) if is_half else (float(gap.max()), 1e-3)
    if not worst <= tolerance * float(reference.std()) + 1e-5:
        return f"its log-probabilities of {what} are {worst:.2g} nats off"
    return None


def _own_logprobs(
    model: nn.Module, sequences: list[list[int]], first: int, autocast: Autocast
) -> tuple[NDArray[np.float64], bool]:
    """Return the model's own, from token ``first``, and whether they are of half precision."""
    parameter = next(model.parameters())
    rows = torch.tensor(sequences, device=parameter.device)
    with torch.no_grad(), autocast():
        is_half = parameter.dtype in HALF or torch.is_autocast_enabled(parameter.device.type)
        logits: Tensor = model(rows).logits
    logprobs = logits[:, first - 1 : -1].float().log_softmax(-1)
    return logprobs.gather(2, rows[:, first:, None]).double().cpu().numpy().ravel(), is_half


def _by_class(base: Any) -> str | None:
    name = type(base).__name__
    is_hybrid = getattr(base, "_is_stateful", False)
    if is_hybrid and not _has_attention_alone(base.config):
        return f"{name} carries a recurrent state"
    # hybrids do not say that their attention layers use it
    by_name = is_hybrid and hasattr(sys.modules[type(base).__module__], "ALL_ATTENTION_FUNCTIONS")
    if not by_name and not getattr(base, "_supports_attention_backend", False):
        return f"{name} does not use transformers' attention interface"
    return None


def _has_attention_alone(config: PretrainedConfig) -> bool:
    """Return whether a hybrid's configuration gives attention to each of its layers."""
    text = config.get_text_config(decoder=True)
    layers: list[str] = getattr(text, "layer_types", None) or []
    return bool(layers) and _KNOWN_LAYERS.issuperset(layers)


def _by_config(config: PretrainedConfig) -> str | None:
    text = config.get_text_config(decoder=True)
    if getattr(config, "is_encoder_decoder", False):
        return "it is an encoder-decoder"
    if getattr(text, "alibi", False) or getattr(text, "position_embedding_type", "") == "alibi":
        return "its attention uses ALiBi"
    two_sided = getattr(text, "use_bidirectional_attention", None)
    if getattr(text, "is_causal", True) is False or two_sided not in (None, False, "vision"):
        return "its attention is not causal"
    if getattr(text, "attention_chunk_size", None) is not None:
        return "its attention works in chunks of positions"
    unknown = set(getattr(text, "layer_types", None) or ()) - _KNOWN_LAYERS
    if unknown:
        return f"it has layers of type {', '.join(sorted(unknown))}"
    return None


def _by_length(model: nn.Module) -> str | None:
    limit = length_limit(model)
    return None if limit is None or limit.tokens >= _PROBED_TOKENS else limit.reason


def _by_adapter(model: nn.Module) -> str | None:
    active = getattr(model, "active_peft_config", None)
    if getattr(active, "is_prompt_learning", False):
        return "its adapter prepends virtual tokens"
    return None


def _by_weights(base: nn.Module) -> str | None:
    if any(parameter.is_meta for parameter in base.parameters()):
        return "some of its weights are offloaded"
    return None

"""Models whose own generation is not greedy decoding by their forward pass keep it for texts."""

from __future__ import annotations

import re
from typing import Any

import device
import pytest
import torch
import transformers
from engine_parts import SIZES
from packaging.version import Version
from transformers import cache_utils
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from capspace.collect.engine.forward import UnsupportedForwardError
from capspace.collect.engine.own_texts import window_fault
from capspace.collect.engine.state import forking
from capspace.collect.engine.state.forking import goes_on_from_states
from capspace.collect.engine.state.passes import StateForward
from capspace.collect.engine.support import find_support

_TRANSFORMERS_4 = Version(transformers.__version__) < Version("5")


class _OwnLoop(transformers.LlamaForCausalLM):
    """Writes a text at once, whatever it is given to choose by."""

    def generate(self, inputs: Any, **settings: Any) -> Any:
        new = self(inputs).logits[:, -settings["max_new_tokens"] :].argmax(-1)
        return torch.cat([inputs, new], dim=1)


class _OwnScores(transformers.LlamaForCausalLM):
    """Would rather have even tokens."""

    def _get_logits_processor(self, *args: Any, **settings: Any) -> Any:
        processors = super()._get_logits_processor(*args, **settings)
        even = torch.arange(self.config.vocab_size) % 2 == 0

        class Even(transformers.LogitsProcessor):
            def __call__(self, input_ids: Any, scores: Any) -> Any:
                return scores + even.to(scores.device)

        processors.insert(0, Even())
        return processors


class _OwnInputs(transformers.LlamaForCausalLM):
    """Numbers what it generates from the other side."""

    def prepare_inputs_for_generation(
        self, input_ids: Any, attention_mask: Any = None, **settings: Any
    ) -> Any:
        inputs = super().prepare_inputs_for_generation(
            input_ids, attention_mask=attention_mask, **settings
        )
        positions = torch.arange(inputs["input_ids"].shape[1], device=input_ids.device)
        return inputs | {"position_ids": positions.flip(0).expand_as(inputs["input_ids"])}


class _OwnFault(transformers.LlamaForCausalLM):
    def generate(self, *args: Any, **settings: Any) -> Any:
        raise ValueError("an image is missing\nplease")


def small(kind: str, **settings: Any) -> Any:
    """Return a small model with wide weights."""
    config = getattr(transformers, f"{kind}Config")(**SIZES, vocab_size=96, **settings)
    return widened(getattr(transformers, f"{kind}ForCausalLM"), config)


def widened(kind: Any, config: Any) -> Any:
    torch.manual_seed(0)
    return device.widened(kind(config))


class _OwnBeams(transformers.LlamaForCausalLM):
    def generate(self, *args: Any, **settings: Any) -> Any:
        return super().generate(*args, **{**settings, "num_beams": 2})


class _NoShortInput(transformers.MistralForCausalLM):
    def forward(self, *args: Any, **settings: Any) -> Any:
        raise ValueError("too short\nfor me")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (_OwnBeams, r"^its generate does not choose each token by the scores of the one before$"),
        (_OwnLoop, r"^its generate does not choose each token by the scores of the one before$"),
        (_OwnScores, r"^its log-probabilities of a short text are .* nats off$"),
        (_OwnInputs, r"^its log-probabilities of a short text are .* nats off$"),
        (_OwnFault, r"^its generate fails \(an image is missing\)$"),
    ],
)
def test_texts_of_a_class_that_generates_otherwise_are_left_to_it(kind: Any, reason: str) -> None:
    support = find_support(widened(kind, transformers.LlamaConfig(**SIZES, vocab_size=96)))
    assert support.unsupported_reason is None
    assert re.search(reason, str(support.unsupported_texts))


@pytest.mark.skipif(_TRANSFORMERS_4, reason="transformers 4 gives Moshi a cache of another kind")
def test_a_cache_that_drops_what_attention_sees_is_found_at_any_length() -> None:
    """Moshi's own texts differ from its forward pass beyond 3,000 tokens; a probe has 40."""
    support = find_support(small("Moshi", sliding_window=3000, head_dim=8, ffn_dim=48))
    assert support.unsupported_reason is None
    assert support.unsupported_texts == "its cache drops tokens that its attention sees"


def test_windows_that_agree_are_served() -> None:
    before = dict(ALL_MASK_ATTENTION_FUNCTIONS)
    model = small("Mistral", sliding_window=3000)
    assert window_fault(model) is None
    assert dict(ALL_MASK_ATTENTION_FUNCTIONS) == before
    assert find_support(model).unsupported_texts is None


def test_windows_that_cannot_be_compared_are_not_known() -> None:
    before = dict(ALL_MASK_ATTENTION_FUNCTIONS)
    settings = transformers.MistralConfig(**SIZES, vocab_size=96, sliding_window=3000)
    failing = widened(_NoShortInput, settings)
    assert window_fault(failing) == "the windows of its attention are not known (too short)"
    assert dict(ALL_MASK_ATTENTION_FUNCTIONS) == before
    own = small("Mistral", sliding_window=3000)
    own.config._attn_implementation_internal = "mine"
    assert window_fault(own) == "the windows of its attention are not known (mine)"


def test_a_model_without_a_cache_of_transformers_goes_on_from_no_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = small("Llama")
    assert goes_on_from_states(model) != _TRANSFORMERS_4

    def another(config: Any) -> Any:
        raise KeyError("a kind of layer with a cache of its own")

    with monkeypatch.context() as patch:
        patch.setattr(cache_utils, "DynamicCache", another)
        patch.setattr(forking, "DynamicCache", another)
        assert window_fault(model) is None
        assert not goes_on_from_states(model)
    monkeypatch.delattr(cache_utils, "LinearAttentionLayer", raising=False)
    assert not goes_on_from_states(model)


def test_a_forward_pass_that_fails_with_a_state_says_why() -> None:
    model = widened(_NoShortInput, transformers.MistralConfig(**SIZES, vocab_size=96))
    with pytest.raises(UnsupportedForwardError, match=r"does not take .* inputs \(too short\)$"):
        StateForward.of(model)

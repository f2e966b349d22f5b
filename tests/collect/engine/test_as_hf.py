"""Small models of each kind of attention: scores and texts beside hf's, in fp32 and in bf16.

How far apart they are is recorded with the results, for a device on which nobody has looked yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import device
import numpy as np
import pytest
import torch
import transformers
from engine_parts import EAGER, byte_tokenizer
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from state_models import needs_states

from capspace.collect.engine.attention.backends import masked, suitable_backends
from capspace.collect.engine.lm import CapspaceLM
from capspace.collect.engine.scoring import Budget, Target, score_targets

SIZES: dict[str, Any] = {
    **{"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "vocab_size": 320},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096},
    **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
}
"""Heads of 16 numbers, which flash attention takes."""
SHARED_KEYS = {
    **{"head_dim": 16, "hidden_size_per_layer_input": 16, "vocab_size_per_layer_input": 320},
    **{"num_kv_shared_layers": 2, "sliding_window": 48},
    "layer_types": ["sliding_attention", "full_attention"] * 2,
}
ATTENDING: dict[str, tuple[str, dict[str, Any]]] = {
    "dense": ("LlamaConfig", {}),
    "window": ("MistralConfig", {"sliding_window": 48}),
    "softcap": ("Gemma2Config", {"head_dim": 16, "sliding_window": 48, **EAGER}),
    "sinks": (
        "GptOssConfig",
        {
            **{"head_dim": 16, "sliding_window": 48, "num_local_experts": 4},
            "num_experts_per_tok": 2,
        },
    ),
    "experts": (
        "Qwen3MoeConfig",
        {
            **{"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 64},
            "head_dim": 16,
        },
    ),
}
"""Models whose scores and texts are computed by attention over a tree."""
BEHIND_STATES: dict[str, tuple[str, dict[str, Any]]] = {
    "latent": (
        "DeepseekV3Config",
        {
            **{"kv_lora_rank": 32, "q_lora_rank": 48, "qk_nope_head_dim": 16, "v_head_dim": 16},
            **{"qk_rope_head_dim": 16, "num_key_value_heads": 4, "n_routed_experts": 4},
            **{"num_experts_per_tok": 2, "moe_intermediate_size": 48, "n_group": 1},
            "topk_group": 1,
        },
    ),
    "shared keys": ("Gemma4TextConfig", SHARED_KEYS | {"global_head_dim": 32}),
    "shared keys and altup": ("Gemma3nTextConfig", SHARED_KEYS | {"laurel_rank": 8}),
}
"""Models whose texts go on from states; those whose scores do, too, have tests of their own."""
KINDS = [*ATTENDING, *(pytest.param(name, marks=needs_states) for name in BEHIND_STATES)]
pytestmark = pytest.mark.slow
SHARED = {"tokenizer": byte_tokenizer(), "max_length": 1024}
Record = Callable[[str, object], None]


def build(name: str, dtype: torch.dtype = torch.float32) -> Any:
    """Return a model whose scores move where attention is wrong anywhere."""
    kind, settings = (ATTENDING | BEHIND_STATES)[name]
    torch.manual_seed(0)
    config = getattr(transformers, kind)(**SIZES | settings)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=1.2 / parameter.shape[-1] ** 0.5)
    return device.placed(model).to(dtype)


def questions() -> list[str]:
    """Return questions of varied length under the same shots."""
    rng = np.random.default_rng(0)
    letters = list("abcdefghij ")
    shots = "".join(rng.choice(letters, 200))
    return [shots + "".join(rng.choice(letters, int(rng.integers(60, 160)))) for _ in range(6)]


SCORED = [
    Instance("loglikelihood", {}, (question, f" {choice}"), i)
    for i, question in enumerate(questions())
    for choice in "ABCD"
]
TEXTS = [
    Instance("generate_until", {}, (question, {"until": ["</end>"], "max_gen_toks": 24}), i)
    for i, question in enumerate(questions()[:4])
]


def scores_of(lm: Any) -> tuple[Any, list[bool]]:
    scores, flags = zip(*lm.loglikelihood(SCORED, disable_tqdm=True), strict=True)
    return np.array(scores), list(flags)


def texts_of(lm: Any) -> list[str]:
    texts: list[str] = lm.generate_until(TEXTS, disable_tqdm=True)
    return texts


@pytest.mark.parametrize("name", KINDS)
def test_in_full_precision_they_are_the_same(name: str, record_property: Record) -> None:
    model = build(name)
    engine, hf = CapspaceLM(model, **SHARED), HFLM(model, batch_size=1, **SHARED)
    assert (engine.unsupported_reason, engine.unsupported_generation) == (None, None)
    (ours, flags), (theirs, own_flags) = scores_of(engine), scores_of(hf)
    gap = float(np.abs(ours - theirs).max())
    record_property("nats", gap)
    assert gap <= device.within(1e-4)
    assert flags == own_flags
    assert texts_of(engine) == texts_of(hf)
    assert not engine.unserved


@pytest.mark.parametrize("name", KINDS)
def test_in_half_precision_the_error_is_hf_s_own(name: str, record_property: Record) -> None:
    shared = {**SHARED, "softmax_dtype": "float32"}
    exact, _ = scores_of(HFLM(build(name), batch_size=1, **SHARED))
    model = build(name, torch.bfloat16)
    engine, hf = CapspaceLM(model, **shared), HFLM(model, batch_size=1, **shared)
    assert engine.unsupported_reason is None
    assert engine.slower_reason is None  # the fastest attention that the device has is exact
    (ours, flags), (theirs, own_flags) = scores_of(engine), scores_of(hf)
    error, usual = (float(np.abs(scores - exact).mean()) for scores in (ours, theirs))
    record_property("attention", engine._support.attention_backend.__name__)
    record_property("nats from fp32", error)
    record_property("nats of hf from fp32", usual)
    record_property("flags", sum(a != b for a, b in zip(flags, own_flags, strict=True)))
    if device.name() == "cuda":
        both = zip(texts_of(engine), texts_of(hf), strict=True)
        record_property("texts that differ", sum(a != b for a, b in both))
    assert 0 < error <= device.usual(1.5) * usual


@pytest.mark.parametrize("name", ATTENDING)
def test_each_attention_over_a_tree_is_as_near_as_hf(name: str, record_property: Record) -> None:
    """On CUDA, flash attention by levels and one masked rectangle; on a CPU, blocks and that."""
    rng = np.random.default_rng(0)
    prefix = rng.integers(3, 250, 150).tolist()
    rows = [prefix[: 50 * i] + rng.integers(3, 250, 30).tolist() for i in (1, 2, 3, 3) * 6]
    asked = [(("", str(i)), row[:-20], row[-20:]) for i, row in enumerate(rows)]
    shared = {**SHARED, "softmax_dtype": "float32"}

    def by_hf(model: Any) -> Any:
        answers = HFLM(model, batch_size=1, **shared)._loglikelihood_tokens(asked, True)
        return np.array([score for score, _ in answers])

    model = build(name, torch.bfloat16)
    exact = by_hf(build(name))
    usual = float(np.abs(by_hf(model) - exact).mean())
    record_property("hf", usual)
    targets = [Target(row[:-1], row[-20:]) for row in rows]
    for backend in dict.fromkeys([*suitable_backends(model), masked]):
        scores, _ = score_targets(
            model, targets, Budget(256, 256), attention_backend=backend, softmax_dtype=torch.float32
        )
        error = float(np.abs(np.array([score for score, _ in scores]) - exact).mean())
        record_property(backend.__name__, error)
        assert 0 < error <= device.usual(1.5) * usual

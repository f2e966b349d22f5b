"""Models with recurrent or convolutional layers: scores from states equal hf's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from engine_parts import SIZES, byte_tokenizer
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from packaging.version import Version

from capspace.collect.engine.lm import CapspaceLM
from capspace.collect.engine.scoring import Budget, Target
from capspace.collect.engine.state.forking import StateForward, fork
from capspace.collect.engine.state.scoring import score_by_states

pytestmark = pytest.mark.skipif(
    Version(transformers.__version__) < Version("5.24"),
    reason="before, each family had a cache of its own: lm-eval's own path is used",
)

GATED = {
    **{"head_dim": 8, "linear_key_head_dim": 8, "linear_value_head_dim": 8},
    **{"linear_num_key_heads": 2, "linear_num_value_heads": 4},
    **{"layer_types": ["linear_attention", "linear_attention", "full_attention"]},
}
EXPERTS = {
    **{"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    **{"shared_expert_intermediate_size": 16},
}
CONV = {"layer_types": ["conv", "full_attention", "conv"]}
KIMI = {
    **{"linear_head_dim": 8, "linear_num_heads": 4, "kv_lora_rank": 8, "num_key_value_heads": 4},
    **{"qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8, "n_routed_experts": 4},
    **{"num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_group": 1, "topk_group": 1},
    "layer_types": GATED["layer_types"],
}
MAMBA = {
    **{"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1},
    **{"mamba_chunk_size": 16, "head_dim": 8},
}
GRANITE = {
    **{"layer_types": ["mamba", "attention", "mamba"], "shared_intermediate_size": 32},
    **{"num_local_experts": 4, "num_experts_per_tok": 2},
}
NEMOTRON = {
    **{"layers_block_type": ["mamba", "attention", "mlp", "mamba"], "head_dim": 8},
    **{"mamba_num_heads": 8, "mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1},
    **{"chunk_size": 16, "num_hidden_layers": 4},
}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3_5": ("Qwen3_5TextConfig", GATED),
    "qwen3_5_moe": ("Qwen3_5MoeTextConfig", GATED | EXPERTS),
    "qwen3_next": ("Qwen3NextConfig", GATED | EXPERTS),
    "olmo_hybrid": ("OlmoHybridConfig", GATED),
    "kimi_linear": ("KimiLinearConfig", KIMI),
    "lfm2": ("Lfm2Config", CONV),
    "lfm2_moe": ("Lfm2MoeConfig", CONV | EXPERTS | {"num_dense_layers": 1}),
    "lfm3": ("Lfm3Config", CONV),
    "granite_4": ("GraniteMoeHybridConfig", MAMBA | GRANITE),
    "falcon_h1": ("FalconH1Config", MAMBA | {"mamba_d_ssm": 64}),
    "nemotron_h": ("NemotronHConfig", NEMOTRON),
    "bamba": ("BambaConfig", MAMBA | {"attn_layer_indices": [1]}),
}

FAST = {"qwen3_5", "granite_4", "lfm2"}


def build(name: str) -> Any:
    kind, settings = CONFIGS[name]
    sizes = {**SIZES, "vocab_size": 300, "num_hidden_layers": 3}
    torch.manual_seed(0)
    config = getattr(transformers, kind)(**{**sizes, **settings})
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.15)
    return model


def pairs() -> list[tuple[str, str]]:
    """Questions under shots, with answers of one token and of many, and texts of their own."""
    rng = np.random.default_rng(0)

    def draw(length: int) -> str:
        return "".join(rng.choice(list("abcdefgh "), length))

    found = []
    for _ in range(2):
        shots = draw(90)
        for _ in range(2):
            question = shots + draw(int(rng.integers(5, 40)))
            found += [(question, answer) for answer in ("x", " yes", "no, it is not")]
    return [*found, ("", "alone"), ("z", "q"), (draw(230), draw(40)), ("b", "c" * 60)]


PAIRS = pairs()
SCORED = [Instance("loglikelihood", {}, pair, 0) for pair in PAIRS]
SHARED = {"tokenizer": byte_tokenizer(), "max_length": 256}


def assert_same(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(
        [score for score, _ in ours], [score for score, _ in theirs], atol=2e-4, rtol=1e-6
    )
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]


@pytest.mark.parametrize(
    "name",
    [
        name if name in FAST else pytest.param(name, marks=pytest.mark.slow, id=name)
        for name in CONFIGS
    ],
)
def test_scores_are_those_of_hf(name: str) -> None:
    model = build(name)
    engine, hf = CapspaceLM(model, **SHARED), HFLM(model, batch_size=1, **SHARED)
    assert engine.unsupported_reason is None
    assert engine.unsupported_generation == "its layers carry a state, from which only scores go on"
    theirs = hf.loglikelihood(SCORED, disable_tqdm=True)
    assert_same(engine.loglikelihood(SCORED, disable_tqdm=True), theirs)
    assert engine.stats.unique_tokens <= engine.stats.fed_tokens < engine.stats.requested_tokens / 2
    texts = [Instance("loglikelihood_rolling", {}, (a + b,), 0) for a, b in PAIRS[-3:]]
    ours, own = (lm.loglikelihood_rolling(texts, disable_tqdm=True) for lm in (engine, hf))
    np.testing.assert_allclose(ours, own, atol=2e-4, rtol=1e-6)


def test_texts_take_the_path_of_hf() -> None:
    model = build("qwen3_5")
    engine, hf = CapspaceLM(model, **SHARED), HFLM(model, batch_size=1, **SHARED)
    asked = [Instance("generate_until", {}, ("What is it?", {"max_gen_toks": 6}), 0)]
    ours = engine.generate_until(asked, disable_tqdm=True)
    assert ours == hf.generate_until(asked, disable_tqdm=True)
    assert engine.unserved == {engine.unsupported_generation: 1}


@pytest.mark.parametrize("budget", [Budget(1, 1), Budget(20, 3), Budget(4096, 4096)])
def test_the_budget_moves_no_score(budget: Budget) -> None:
    model = build("qwen3_next")
    rng = np.random.default_rng(1)
    prefix, tails = rng.integers(3, 300, 130), rng.integers(3, 300, (4, 80))
    texts = [[*prefix.tolist(), *tail.tolist()] for tail in tails]
    targets = [Target(text[:-1], text[-n:]) for text in texts for n in (1, 79)]
    usual, _ = score_by_states(model, targets, Budget(384, 128))
    done: list[int] = []
    found, stats = score_by_states(model, targets, budget, on_progress=done.append)
    assert_same(found, usual)
    assert done == sorted(done)
    assert done[-1] == len(targets)
    assert stats.fed_tokens == stats.unique_tokens
    assert score_by_states(model, [], budget)[0] == []


def test_deep_trees_hold_few_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the last state that is held, what texts share is read for each of them."""
    model = build("lfm2")
    rng = np.random.default_rng(2)
    path = rng.integers(3, 300, 120).tolist()
    texts = [[*path[:n], int(rng.integers(3, 300)), 5] for n in range(10, 121, 10)]
    targets = [Target(text[:-1], text[-2:]) for text in texts]
    usual, least = score_by_states(model, targets, Budget(384, 128))
    monkeypatch.setattr("capspace.collect.engine.state.scoring._MOST_STATES", 2)
    found, stats = score_by_states(model, targets, Budget(384, 128))
    assert_same(found, usual)
    assert stats.fed_tokens > least.fed_tokens


@pytest.mark.parametrize("name", ["qwen3_5", "lfm2"])
def test_a_copy_leaves_its_state_as_it_was(name: str) -> None:
    model = build(name)
    forward = StateForward.of(model)
    rng = np.random.default_rng(3)
    first, then = rng.integers(3, 300, (1, 9)), rng.integers(3, 300, (2, 5))
    state = forward.empty()
    with torch.no_grad():
        forward(first, np.arange(9)[None], np.array([8]), state)
        places = np.broadcast_to(9 + np.arange(5), (2, 5)).copy()
        once = forward(then, places, np.arange(5), fork(state, 2))
        again = forward(then, places, np.arange(5), fork(state, 2))
        whole = model(torch.from_numpy(np.c_[first, then[1:]])).logits[:, 9:]
    assert (once == again).all()
    torch.testing.assert_close(once[1:], whole, atol=1e-4, rtol=1e-4)


def test_a_state_that_does_not_go_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a scan that begins at zero in every chunk, as Mamba-1's does."""
    model = build("qwen3_5")
    layer = type(model.model.layers[0].linear_attn)
    own = layer.forward

    def afresh(self: Any, *args: Any, cache: Any = None, **settings: Any) -> Any:
        if cache is not None:
            for state in cache.layers[self.layer_idx].recurrent_states.values():
                if state is not None:
                    state.zero_()
        return own(self, *args, cache=cache, **settings)

    monkeypatch.setattr(layer, "forward", afresh)
    engine = CapspaceLM(model, **SHARED)
    assert "texts that go on from a state are" in str(engine.unsupported_reason)

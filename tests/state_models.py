"""Small models that go on from states: recurrent, convolutional, or of attention alone."""

from __future__ import annotations

from typing import Any

import device
import pytest
import torch
import transformers
from engine_parts import SIZES
from packaging.version import Version

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
    **{"mamba_chunk_size": 64, "head_dim": 8},
}
GRANITE = {
    **{"layer_types": ["mamba", "attention", "mamba"], "shared_intermediate_size": 32},
    **{"num_local_experts": 4, "num_experts_per_tok": 2},
}
NEMOTRON = {
    **{"layers_block_type": ["mamba", "attention", "mlp", "mamba"], "head_dim": 8},
    **{"mamba_num_heads": 8, "mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1},
    **{"chunk_size": 64, "num_hidden_layers": 4},
}
LATENT = {
    **{"kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8},
    **{"num_key_value_heads": 4, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1},
}
BAILING = {
    **{"num_local_experts": 4, "moe_intermediate_size": 16, "num_experts_per_tok": 2},
    **{"head_dim": 8, "layer_group_size": 3, "num_mtp_layers": 0},
}
ZAMBA_2 = {
    **{"layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"], "num_hidden_layers": 4},
    **{"n_mamba_heads": 8, "mamba_d_state": 8, "chunk_size": 64, "num_key_value_heads": 4},
}
ZAMBA = {
    **{"attn_layer_period": 3, "attn_layer_offset": 2, "num_hidden_layers": 6},
    **{"mamba_d_state": 8, "mamba_dt_rank": 4, "n_mamba_heads": 2, "num_key_value_heads": 4},
}
JAMBA = {
    **{"attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 4},
    **{"mamba_d_state": 8, "mamba_dt_rank": 4},
}
MAMBA_2 = {"num_heads": 8, "head_dim": 8, "state_size": 8, "n_groups": 1, "chunk_size": 64}
MINIMAX = {
    **{"layer_types": ["linear_attention", "full_attention", "linear_attention"], "head_dim": 8},
    **{"num_local_experts": 4, "num_experts_per_tok": 2, "block_size": 16},
}
ZAYA = {
    **{"head_dim": 8, "moe_intermediate_size": 16, "num_experts": 4, "router_hidden_size": 16},
    **{"layer_types": ["hybrid", "hybrid_sliding", "hybrid"], "sliding_window": 24},
}
HYBRIDS: dict[str, tuple[str, dict[str, Any]]] = {
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
    "bailing": ("BailingHybridConfig", LATENT | BAILING),
    "mamba_2": ("Mamba2Config", MAMBA_2),
    "zamba_2": ("Zamba2Config", ZAMBA_2),
    "zaya": ("ZayaConfig", ZAYA),
    "minimax_01": ("MiniMaxConfig", MINIMAX),
    "mamba": ("MambaConfig", {"state_size": 8, "time_step_rank": 4}),
    "falcon_mamba": ("FalconMambaConfig", {"state_size": 8, "time_step_rank": 4}),
    "jamba": ("JambaConfig", JAMBA),
    "zamba": ("ZambaConfig", ZAMBA),
    "rwkv": ("RwkvConfig", {"context_length": 256, "num_hidden_layers": 8}),
}

_LATENT = {
    **{"kv_lora_rank": 8, "q_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8},
    **{"v_head_dim": 8, "num_key_value_heads": 4},
}
_ROUTED = {
    **{"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    **{"n_group": 1, "topk_group": 1, "first_k_dense_replace": 1},
}
_SHARED_KEYS = {
    **{"num_kv_shared_layers": 2, "num_hidden_layers": 4, "sliding_window": 24, "head_dim": 8},
    **{"layer_types": ["sliding_attention", "full_attention"] * 2},
    **{"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 300},
}
_SMALL = {"n_embd": 32, "n_layer": 3, "n_head": 4, "hidden_size": 32, "num_hidden_layers": 3}
ATTENDING: dict[str, tuple[str, dict[str, Any]]] = {
    "deepseek_v3": ("DeepseekV3Config", _LATENT | _ROUTED),
    "glm_4_7_flash": ("Glm4MoeLiteConfig", _LATENT | _ROUTED),
    "longcat": ("LongcatFlashConfig", _LATENT | _ROUTED | {"num_layers": 2, "head_dim": 8}),
    "minicpm3": ("MiniCPM3Config", _LATENT),
    "youtu": ("YoutuConfig", _LATENT),
    "gemma_3n": ("Gemma3nTextConfig", _SHARED_KEYS | {"laurel_rank": 8, "intermediate_size": 48}),
    "gemma_4": ("Gemma4TextConfig", _SHARED_KEYS | {"global_head_dim": 8}),
    "diffllama": ("DiffLlamaConfig", {}),
    "jetmoe": ("JetMoeConfig", {"num_local_experts": 4, "kv_channels": 8}),
    "bloom": ("BloomConfig", _SMALL),
    "mpt": ("MptConfig", {"d_model": 32, "n_heads": 4, "n_layers": 3}),
    "falcon_alibi": ("FalconConfig", {"alibi": True}),
    "gpt_neo": (
        "GPTNeoConfig",
        {
            "num_hidden_layers": 2,
            "num_heads": 4,
            "window_size": 24,
            "attention_types": [[["global", "local"], 1]],
        },
    ),
    "gpt_j": ("GPTJConfig", {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 8}),
    "stablelm": ("StableLmConfig", {}),
    "xglm": ("XGLMConfig", {"d_model": 32, "ffn_dim": 48, "num_layers": 2, "attention_heads": 4}),
}
"""Models whose keys and values are not attended to as they are stored, and older ones."""

_INDEXED = _LATENT | _ROUTED | {"index_n_heads": 2, "index_head_dim": 16}
CHOOSING: dict[str, tuple[str, dict[str, Any]]] = {
    "llama_4": (
        "Llama4TextConfig",
        {
            **{"num_local_experts": 4, "intermediate_size_mlp": 48, "head_dim": 8},
            **{"num_experts_per_tok": 1, "no_rope_layers": [1, 0, 1]},
        },
    ),
    "deepseek_v3_2": ("DeepseekV32Config", _INDEXED),
    "glm_5": ("GlmMoeDsaConfig", _INDEXED),
    "minimax_m3": (
        "MiniMaxM3VLTextConfig",
        {
            **{"head_dim": 16, "index_n_heads": 2, "index_head_dim": 16, "num_local_experts": 4},
            **{"num_experts_per_tok": 2, "moe_intermediate_size": 16},
            "layer_types": ["full_attention", "minimax_m3_sparse", "minimax_m3_sparse"],
        },
    ),
    "qwen4_exp": (
        "Qwen4ExpTextConfig",
        {
            **{**GATED, **EXPERTS, "hc_count": 2, "hc_lowrank": 8, "ngram_vocab_size_base": 64},
            **{"make_ngram_vocab_size_divisible_by": 8, "split_ngram_parts": 1},
            **{"ple_layer_ids": [1], "ple_embed_dim": 32, "heads_per_ngram": 2},
            **{"indexer_n_heads": 2, "indexer_kv_heads": 1},
            **{"indexer_head_dim": 8, "indexer_budget": 512, "indexer_compress_ratio": 4},
        },
    ),
}
"""Models that attend to chosen tokens, from the number of tokens on that they are released with."""

FAST = {"qwen3_5", "granite_4", "lfm2", "mamba", "deepseek_v3", "bloom"}

needs_states = pytest.mark.skipif(
    Version(transformers.__version__) < Version("5.24"),
    reason="before, each family had a cache of its own: lm-eval's own path is used",
)


def each(names: Any) -> list[Any]:
    """Return parameters for tests: a model of each kind in every run, all in a slow one."""
    return [
        name if name in FAST else pytest.param(name, marks=pytest.mark.slow, id=name)
        for name in names
    ]


def build_named(name: str) -> Any:
    """Return the small model of this name."""
    return build(*(HYBRIDS | ATTENDING | CHOOSING)[name])


def build(kind: str, settings: dict[str, Any]) -> Any:
    """Return a small model whose log-probabilities all move where a state is wrong anywhere."""
    sizes = {**SIZES, "vocab_size": 300, "num_hidden_layers": 3}
    torch.manual_seed(0)
    config = getattr(transformers, kind)(**{**sizes, **settings})
    model = transformers.AutoModelForCausalLM.from_config(config)
    return device.widened(model)

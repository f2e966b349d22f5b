"""Models of random weights, of the shapes that common models have."""

from __future__ import annotations

from typing import Any


def _dense(
    hidden: int, inner: int, layers: int, heads: int, kv: int, words: int = 16000
) -> dict[str, Any]:
    return {
        **{"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers},
        **{"num_attention_heads": heads, "num_key_value_heads": kv, "vocab_size": words},
    }


SIZES: dict[str, dict[str, Any]] = {
    "tiny": _dense(64, 96, 4, 4, 2),
    "17M": _dense(256, 688, 12, 8, 8),
    "45M": _dense(512, 1376, 9, 8, 8),
    "0.5B": _dense(896, 4864, 24, 14, 2, 151936),
    "1B": _dense(2048, 8192, 16, 8, 8),
    "1.5B": _dense(1536, 8960, 28, 12, 2, 151936),
    "8B": _dense(4096, 14336, 32, 32, 8, 128256),
}
"""Shapes of common models of these sizes; all are made as Llamas."""
SHARED = {
    **{"vocab_size": 16000, "hidden_size": 512, "num_attention_heads": 8, "bos_token_id": 0},
    **{"num_key_value_heads": 8, "max_position_embeddings": 4096, "eos_token_id": 1},
    **{"pad_token_id": 1, "tie_word_embeddings": False},
}
GATED = ["linear_attention"] * 3 + ["full_attention"]
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "hybrid": (
        "Qwen3_5TextConfig",
        {
            **{"layer_types": GATED * 2, "num_hidden_layers": 8, "head_dim": 64},
            "intermediate_size": 1376,
            **{"linear_num_key_heads": 4, "linear_num_value_heads": 8},
            **{"linear_key_head_dim": 64, "linear_value_head_dim": 64},
        },
    ),
    "mamba_hybrid": (
        "GraniteMoeHybridConfig",
        {
            **{"layer_types": (["mamba"] * 3 + ["attention"]) * 2, "num_hidden_layers": 8},
            **{"mamba_n_heads": 16, "mamba_d_head": 64, "mamba_d_state": 64, "mamba_n_groups": 1},
            **{"intermediate_size": 1376, "shared_intermediate_size": 1376},
            **{"num_local_experts": 0, "num_experts_per_tok": 0},
        },
    ),
    "conv_hybrid": (
        "Lfm2Config",
        {
            **{"layer_types": (["conv", "conv", "full_attention"]) * 3, "num_hidden_layers": 9},
            **{"intermediate_size": 1376, "block_auto_adjust_ff_dim": False},
        },
    ),
    "mla": (
        "DeepseekV3Config",
        {
            **{"num_hidden_layers": 8, "intermediate_size": 1376, "moe_intermediate_size": 344},
            **{"q_lora_rank": 192, "kv_lora_rank": 128, "qk_nope_head_dim": 64},
            **{"qk_rope_head_dim": 32, "v_head_dim": 64, "n_routed_experts": 8, "n_group": 1},
            **{"topk_group": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 1},
        },
    ),
    "tiny_hybrid": (
        "Qwen3_5TextConfig",
        _dense(64, 96, 4, 4, 2)
        | {
            **{"layer_types": GATED, "head_dim": 16},
            **{"linear_key_head_dim": 16, "linear_value_head_dim": 16},
            **{"linear_num_key_heads": 2, "linear_num_value_heads": 4},
        },
    ),
    "1.5B_hybrid": (
        "Qwen3_5TextConfig",
        _dense(1536, 8960, 24, 12, 2, 151936)
        | {
            **{"layer_types": GATED * 6, "head_dim": 128},
            **{"linear_num_key_heads": 12, "linear_num_value_heads": 24},
        },
    ),
    "2B_experts": (
        "Qwen3MoeConfig",
        _dense(1024, 3072, 24, 16, 4, 151936)
        | {"num_experts": 32, "num_experts_per_tok": 4, "moe_intermediate_size": 768},
    ),
}
"""Models of other kinds: four of 30 to 60 M for a CPU, and two of today's shapes for a GPU."""


def make_model(size: str, device: str) -> Any:
    """Return a model of random weights, a Llama by its size: fp32 on a CPU, bf16 on a GPU."""
    import torch
    import transformers

    torch.manual_seed(0)
    kind, settings = OTHERS.get(size, ("LlamaConfig", SIZES.get(size, {})))
    config = getattr(transformers, kind)(**{**SHARED, **settings})
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    with torch.device(device):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                # texts that wander instead of repeating a token
                parameter.normal_(std=1.8 / parameter.shape[-1] ** 0.5)
    return model

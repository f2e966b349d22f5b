"""Arguments of lm-eval's model classes name the checkpoint, and some of them move a response."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import BackendError
from ..storage.digests import canonical_json

__all__ = [
    "CLASSES",
    "CONNECTION",
    "LOADING",
    "NAMING",
    "OWN",
    "OWN_LOADERS",
    "SETTINGS",
    "WITHOUT_EFFECT",
    "engine_settings",
    "given_arguments",
    "named_checkpoint",
    "other_weights",
]

# lm-eval's model classes that take a checkpoint as `pretrained`, by their names in its registry.
CLASSES = {
    "capspace": "capspace",
    "hf": "hf",
    "hf-auto": "hf",
    "huggingface": "hf",
    "sglang": "sglang",
    "vllm": "vllm",
}
# Others of its classes that load one by transformers or torch.
LOADING = CLASSES.keys() | {
    "habana",
    "hf-audiolm-qwen",
    "hf-mistral3",
    "hf-multimodal",
    "ipex",
    "mamba_ssm",
    "steered",
    "vllm-vlm",
}
OWN_LOADERS = {"sglang", "vllm", "vllm-vlm"}  # which take no adapter that nobody named
NAMING = {"pretrained", "revision", "subfolder", "tokenizer", "peft", "delta", "gguf_file"}
# Values of arguments that choose a file of weights, by which it is the one that is hashed.
_CHOOSING: dict[str, tuple[Any, ...]] = {
    "use_safetensors": (True,),
    "load_format": ("auto", "safetensors", "fastsafetensors", "runai_streamer", "dummy"),
}
OWN = {"pretrained", "revision", "dtype", "trust_remote_code"}
# What can move a response, and is distinguished by its value alone.
SETTINGS = {
    "add_bos_token",
    "attn_implementation",
    "backend",
    "chat_template_args",
    "context_length",
    "enable_thinking",
    "kv_cache_dtype",
    "load_format",
    "logits_cache",
    "max_gen_toks",
    "max_length",
    "max_model_len",
    "mixed_precision_dtype",
    "prefix_token_id",
    "quantization",
    "seed",
    "softmax_dtype",
    "think_end_token",
    "tokenizer_mode",
    "truncation",
    "truncation_side",
    "use_fast_tokenizer",
    "use_safetensors",
}
WITHOUT_EFFECT = {
    "batch_size",
    "chunked_prefill_size",
    "cuda_graphs",
    "data_parallel_size",
    "device",
    "dp_size",
    "gpu_memory_utilization",
    "max_batch_size",
    "max_cpu_memory",
    "max_memory_per_gpu",
    "mem_fraction_static",
    "offload_folder",
    "parallelize",
    "swap_space",
    "tensor_parallel_size",
    "token_budget",
    "tp_size",
}
# How a server is reached; its name, given by the user, says what answers there.
CONNECTION = {
    "api_key",
    "auth_token",
    "base_url",
    "ca_cert_path",
    "header",
    "max_retries",
    "num_concurrent",
    "timeout",
    "verify_certificate",
}


def other_weights(given: Mapping[str, Any]) -> str | None:
    """Return the argument that chooses other weights than those that are hashed, if one does."""
    for name, hashed in _CHOOSING.items():
        value = given.get(name, hashed[0])
        # By identity: 1 is not True where an argument stands for a choice.
        if not any(value is v or (isinstance(v, str) and value == v) for v in hashed):
            return f"{name}={value}"
    return None


def engine_settings(given: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return which arguments of another engine can move a response, for a model's identity.

    Raises
    ------
    BackendError
        One that is a setting of ours, that may load other weights, or whose meaning is not known.

    """
    strange = sorted(given.keys() - SETTINGS - WITHOUT_EFFECT)
    if taken := sorted(given.keys() & (OWN | NAMING)):
        raise BackendError(f"--backend-args: {taken[0]} is set by the checkpoint and its settings")
    if strange:
        raise BackendError(f"--backend-args: what {strange[0]} stands for is not known")
    if other := other_weights(given):
        raise BackendError(f"--backend-args: {other} may load other weights than those hashed")
    return tuple((name, canonical_json(given[name])) for name in sorted(given.keys() & SETTINGS))


def named_checkpoint(given: Mapping[str, Any]) -> str | None:
    """Return the folder, or the Hub name with its revision, that arguments name."""
    pretrained = given.get("pretrained")
    if not isinstance(pretrained, str):
        return None
    is_local = Path(pretrained).expanduser().is_dir()
    asked = "" if is_local or "revision" not in given else f"@{given['revision']}"
    return f"{pretrained}{asked}"


def given_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that are not None, which stands for not given; types by their names."""
    return {name: _plain(value) for name, value in arguments.items() if value is not None}


def _plain(value: Any) -> Any:
    torch = sys.modules.get("torch")  # without it, there is no value of its types
    is_type = torch is not None and isinstance(value, torch.dtype)
    return str(value).removeprefix("torch.") if is_type else value

"""Checkpoints as they are released after GPTQ and AWQ: eight weights of four bits in a number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import copy
from typing import Any

import torch
import transformers
from engine_parts import SIZES
from safetensors.torch import save_file
from torch import Tensor

GROUP = 32
"""Weights of an output that share a scale."""

_AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]
"""Which of eight outputs stand where in a number of AWQ's."""

SETTINGS: dict[str, dict[str, Any]] = {
    "gptq": {
        **{"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False, "sym": True},
        **{"checkpoint_format": "gptq"},
    },
    "awq": {
        **{"quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": True},
        **{"version": "gemm"},
    },
}
"""What their configurations state."""


def packed_checkpoint(method: str, folder: Path, tokenizer: Path) -> Any:
    """Write a checkpoint quantised by a method, and return the model of the rounded weights."""
    torch.manual_seed(0)
    sizes = {**SIZES, "hidden_size": 64, "intermediate_size": 128, "vocab_size": 300}
    config = transformers.LlamaConfig(**sizes)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    tensors: dict[str, Tensor] = {}
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.15)
        for name, weight in model.state_dict().items():
            if name.endswith("_proj.weight"):
                parts, rounded = _PACKERS[method](weight)
                stem = name.removesuffix("weight")
                tensors |= {f"{stem}{part}": tensor for part, tensor in parts.items()}
                weight.copy_(rounded)
            else:
                weight.copy_(weight.half())
                tensors[name] = weight.half()
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    model.config.quantization_config = SETTINGS[method]
    model.config.dtype = "float16"
    model.config.save_pretrained(folder)
    del model.config.quantization_config
    for name in ("tokenizer.json", "tokenizer_config.json"):
        copy(tokenizer / name, folder)
    return model


def _rounded(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return codes (in, out) around 8, scales (groups, out), and what they stand for (out, in)."""
    grouped = weight.T.reshape(-1, GROUP, len(weight))
    scales = (grouped.abs().amax(1) / 7).half()
    codes = (grouped / scales[:, None].float()).round().clamp(-8, 7) + 8
    values = (codes - 8) * scales[:, None].float()
    return codes.reshape(-1, len(weight)).int(), scales, values.reshape(-1, len(weight)).T


def _packed(codes: Tensor, order: list[int]) -> Tensor:
    """Return groups of eight along the last side in a number each."""
    eights = codes.reshape(*codes.shape[:-1], -1, 8).long()[..., order]
    numbers = (eights << (4 * torch.arange(8))).sum(-1)
    return torch.where(numbers >= 2**31, numbers - 2**32, numbers).int()


def _gptq(weight: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    codes, scales, rounded = _rounded(weight)
    plain = list(range(8))
    return {
        "qweight": _packed(codes.T, plain).T.contiguous(),
        "qzeros": _packed(torch.full(scales.shape, 7), plain),  # this format keeps one less
        "scales": scales,
        "g_idx": (torch.arange(len(codes)) // GROUP).int(),
    }, rounded


def _awq(weight: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    codes, scales, rounded = _rounded(weight)
    return {
        "qweight": _packed(codes, _AWQ_ORDER),
        "qzeros": _packed(torch.full(scales.shape, 8), _AWQ_ORDER),
        "scales": scales,
    }, rounded


_PACKERS: dict[str, Callable[[Tensor], tuple[dict[str, Tensor], Tensor]]] = {
    "gptq": _gptq,
    "awq": _awq,
}

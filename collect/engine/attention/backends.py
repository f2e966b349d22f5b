"""The ways of computing attention over a chunk, and which of them suit a model."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ..plan import Chunk, cascade_blocks, tree_blocks
from .blocks import Attention, ChunkAttention
from .varlen import FlashVarlen, LevelAttention

__all__ = ["Way", "cascade", "flash_levels", "masked", "ways"]

Way = Callable[[Chunk], Attention]
"""Makes the attention of one chunk."""


def masked(chunk: Chunk) -> Attention:
    """Compute the chunk as one masked rectangle: anywhere."""
    return ChunkAttention(chunk, tree_blocks)


def cascade(chunk: Chunk) -> Attention:
    """Compute the chunk block by block, shared ancestors unmasked: on CPUs."""
    return ChunkAttention(chunk, cascade_blocks)


def flash_levels(chunk: Chunk) -> Attention:
    """Compute the chunk with flash attention, one call per level of the tree: on CUDA."""
    return LevelAttention(chunk, FlashVarlen())


def ways(model: nn.Module) -> list[Way]:
    """Return the ways that may serve a model where it is, fastest first.

    The first that reproduces the model's own log-probabilities is the one to use, see
    :func:`~capspace.collect.engine.support.probe`.
    """
    parameter = next(model.parameters())
    if parameter.device.type == "cpu":
        return [cascade]
    half = parameter.dtype in (torch.float16, torch.bfloat16)
    if parameter.is_cuda and half and FlashVarlen.is_there():
        return [flash_levels, masked]
    return [masked]

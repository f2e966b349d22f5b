"""Attention backends compute a chunk in different ways; model and device decide which fit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from torch import nn

from ..forward import Autocast, computing_dtype
from ..plan import Chunk, cascade_blocks, tree_blocks
from ..tree import IntArray
from .blocks import Attention, ChunkAttention
from .flash_cpu import branch_blocks, marks_of_text
from .kernels import HALF
from .varlen import FlashVarlen, LevelAttention

__all__ = [
    "AttentionBackend",
    "branches",
    "cascade",
    "flash_levels",
    "marks_for",
    "masked",
    "suitable_backends",
]

AttentionBackend = Callable[[Chunk], Attention]
"""Makes the attention of one chunk."""


def masked(chunk: Chunk) -> Attention:
    """Compute the chunk as one masked rectangle: anywhere."""
    return ChunkAttention(chunk, tree_blocks)


def cascade(chunk: Chunk) -> Attention:
    """Compute the chunk block by block, shared ancestors unmasked: on CPUs."""
    return ChunkAttention(chunk, cascade_blocks)


def branches(chunk: Chunk) -> Attention:
    """Compute each branch with all of its keys at once: on CPUs, in half precision.

    Parts that are computed by themselves are each rounded, which in half precision shows in scores.
    Where the chunk has marks, see `marks_for`, a text gets the bits that it has alone.
    """
    return ChunkAttention(chunk, branch_blocks)


def marks_for(backend: AttentionBackend) -> Callable[[int], IntArray] | None:
    """Return how a backend wants the tokens of a text marked, given its length; None is not at all.

    Texts share a token only where it has the same mark, see
    :func:`~capspace.collect.engine.tree.build_tree`.
    """
    return marks_of_text if backend is branches else None


def flash_levels(chunk: Chunk) -> Attention:
    """Compute the chunk with flash attention, one call per level of the tree: on CUDA."""
    return LevelAttention(chunk, FlashVarlen())


def suitable_backends(model: nn.Module, autocast: Autocast = nullcontext) -> list[AttentionBackend]:
    """Return the backends that may serve a model on the device it is on, fastest first.

    The first that reproduces the model's own log-probabilities is the one to use, see
    :func:`~capspace.collect.engine.support.probe`.

    Parameters
    ----------
    model : Module
        The model.
    autocast : callable
        Makes the context of each forward pass.

    """
    parameter = next(model.parameters())
    if parameter.device.type == "cpu":
        return [branches if computing_dtype(model, autocast) in HALF else cascade]
    if parameter.is_cuda and parameter.dtype in HALF and FlashVarlen.is_there():
        return [flash_levels, masked]
    return [masked]

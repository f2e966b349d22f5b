"""On GPUs attention over a chunk takes one kernel call per level of the tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..plan import Block, Chunk, cascade_blocks, tree_blocks
from ..tree import IntArray
from .blocks import ChunkAttention, Layer, check_keys
from .kernels import HALF, Scores, add_part, apply_sinks

__all__ = ["FlashVarlen", "Level", "LevelAttention", "PlacedLevel", "VarlenKernel", "levels"]


@dataclass(frozen=True)
class Level:
    """Blocks of attention that one kernel call computes: no query is in two of them.

    Attributes
    ----------
    queries, keys : arrays of shape (n_queries,), (n_keys,)
        Queries and keys of all blocks, block after block.
    query_ends, key_ends : arrays of shape (n_blocks + 1,)
        Where each block's begin and end.
    causal : bool
        Query ``i`` of a block sees its first ``i + 1`` keys; all of them otherwise.

    """

    queries: IntArray
    keys: IntArray
    query_ends: IntArray
    key_ends: IntArray
    causal: bool = False

    @classmethod
    def of(cls, blocks: Sequence[Block], *, causal: bool = False) -> Level:
        """Return the level that holds these blocks."""
        queries = [np.arange(block.start, block.stop) for block in blocks]
        keys = [np.r_[block.keys] for block in blocks]  # a slice or an array
        return cls(
            np.concatenate(queries),
            np.concatenate(keys),
            np.cumsum([0, *map(len, queries)]),
            np.cumsum([0, *map(len, keys)]),
            causal,
        )


def levels(chunk: Chunk) -> list[Level]:
    """Cut the attention of a chunk into levels.

    Returns
    -------
    list of Level
        The first holds every query with its own branch, causally: queries and, after the
        ancestors, keys in order. Each query meets
        the further parts of its path in the others, at most one part in each.

    Notes
    -----
    The parts of a path are rectangles over nested ranges of queries. They are dealt out to the
    first level whose ranges end before they start; that needs as many levels as the most parts
    that one query has.

    """
    squares, rectangles = cascade_blocks(chunk, group_tokens=0)
    dealt: list[list[Block]] = []
    for block in sorted(rectangles, key=lambda block: block.start):
        for level in dealt:
            if level[-1].stop <= block.start:
                level.append(block)
                break
        else:
            dealt.append([block])
    return [Level.of(squares, causal=True), *map(Level.of, dealt)]


@dataclass(frozen=True)
class PlacedLevel:
    """A level on a device.

    Attributes
    ----------
    queries, keys : int64 tensors of shape (n_queries,), (n_keys,)
    query_ends, key_ends : int32 tensors of shape (n_blocks + 1,)
        As in `Level`.
    longest : (int, int)
        Most queries and most keys of one block.
    causal : bool
        As in `Level`.

    """

    queries: Tensor
    keys: Tensor
    query_ends: Tensor
    key_ends: Tensor
    longest: tuple[int, int]
    causal: bool

    @classmethod
    def of(cls, level: Level, device: torch.device) -> PlacedLevel:
        """Return ``level`` on ``device``."""
        return cls(
            torch.from_numpy(level.queries).to(device),
            torch.from_numpy(level.keys).to(device),
            torch.from_numpy(level.query_ends.astype(np.int32)).to(device),
            torch.from_numpy(level.key_ends.astype(np.int32)).to(device),
            (int(np.diff(level.query_ends).max()), int(np.diff(level.key_ends).max())),
            level.causal,
        )


class VarlenKernel(Protocol):
    """Attention of many blocks of different sizes in one call."""

    def takes(self, query: Tensor, value: Tensor) -> bool:
        """Return whether the kernel computes attention of these types and head sizes."""

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, level: PlacedLevel, scores: Scores
    ) -> tuple[Tensor, Tensor]:
        """Attend within each block.

        Parameters
        ----------
        query : tensor of shape (n_queries, n_heads, d)
            Queries of all blocks, block after block.
        key, value : tensors of shape (n_keys, n_kv_heads, d)
            Keys and values likewise.
        level : PlacedLevel
            Where each block begins and ends.
        scores : Scores
            Scale; no soft cap.

        Returns
        -------
        output : tensor of shape (n_queries, n_heads, d)
            Attention over the block's keys alone.
        weight : tensor of shape (n_queries, n_heads)
            Log-sum-exp of the scores.

        """


class FlashVarlen:
    """Flash attention of torch on CUDA, half precision."""

    @staticmethod
    def is_there() -> bool:
        """Return whether this torch has the kernel's public interface, log-sum-exp included."""
        if find_spec("torch.nn.attention.varlen") is None:
            return False
        from torch.nn.attention import varlen

        return hasattr(varlen, "AuxRequest")

    def takes(self, query: Tensor, value: Tensor) -> bool:
        """Return whether flash attention computes these types and head sizes."""
        size = query.shape[-1]
        half = query.dtype == value.dtype and query.dtype in HALF
        return query.is_cuda and half and size == value.shape[-1] and size % 8 == 0 and size <= 256

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, level: PlacedLevel, scores: Scores
    ) -> tuple[Tensor, Tensor]:
        """Attend within each block."""
        from torch.nn.attention.varlen import AuxRequest, varlen_attn

        output, weight = varlen_attn(
            query,
            key,
            value,
            level.query_ends,
            level.key_ends,
            *level.longest,
            return_aux=AuxRequest(lse=True),
            scale=scores.scale,
            window_size=(-1, 0) if level.causal else (-1, -1),
            enable_gqa=query.shape[1] != key.shape[1],
        )
        # documented as (n_queries, n_heads); the kernel of torch 2.13 gives (n_heads, n_queries)
        return output, weight if weight.shape == query.shape[:2] else weight.T


@dataclass
class LevelAttention:
    """Attention of one chunk, level by level.

    A layer that the kernel does not take, or with a soft cap or a sliding window in use, is
    computed as one masked rectangle.

    Parameters
    ----------
    chunk : Chunk
        The tokens and their ancestors.
    kernel : VarlenKernel
        Computes one level.

    """

    chunk: Chunk
    kernel: VarlenKernel
    _placed: dict[torch.device, list[PlacedLevel]] = field(default_factory=dict)

    @cached_property
    def _masked(self) -> ChunkAttention:
        return ChunkAttention(self.chunk, tree_blocks)

    @cached_property
    def _levels(self) -> list[Level]:
        return levels(self.chunk)

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, layer: Layer) -> Tensor:
        """Attend from every token of the chunk to its ancestors and itself.

        Parameters and result are those of
        :meth:`~capspace.collect.engine.attention.blocks.ChunkAttention.__call__`.
        """
        windowed = self.chunk.reached_by(layer.window) is not None
        if windowed or layer.scores.softcap is not None or not self.kernel.takes(query, value):
            return self._masked(query, key, value, layer)
        check_keys(self.chunk, key)
        rows, keys, values = (states[0].transpose(0, 1) for states in (query, key, value))
        first, *further = self._on(query.device)
        past = self.chunk.n_past
        output, total = self.kernel(rows, keys[past:], values[past:], first, layer.scores)
        if further or layer.sinks is not None:
            inner = torch.float32 if query.dtype in HALF else query.dtype
            output, total = output.to(inner, copy=True), total.to(inner, copy=True)
        for level in further:
            part, weight = self.kernel(
                rows.index_select(0, level.queries),
                keys.index_select(0, level.keys),
                values.index_select(0, level.keys),
                level,
                layer.scores,
            )
            some, sums = output.index_select(0, level.queries), total.index_select(0, level.queries)
            add_part(some, sums, part, weight)
            output.index_copy_(0, level.queries, some)
            total.index_copy_(0, level.queries, sums)
        if layer.sinks is not None:
            apply_sinks(output.transpose(0, 1)[None], total.T[None], layer.sinks)
        return output.to(query.dtype)[None]

    def _on(self, device: torch.device) -> list[PlacedLevel]:
        if device not in self._placed:
            self._placed[device] = [PlacedLevel.of(level, device) for level in self._levels]
        return self._placed[device]

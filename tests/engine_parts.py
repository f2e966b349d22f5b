"""A kernel of GPUs, computed on a CPU."""

from __future__ import annotations

import torch

from capspace.collect.engine.attention import Attention
from capspace.collect.engine.kernels import Scores, partial_attention
from capspace.collect.engine.plan import Chunk
from capspace.collect.engine.varlen import LevelAttention


class BlockByBlock:
    """What the varlen kernel of a GPU computes, one block after the other, on a CPU."""

    def takes(self, query: torch.Tensor, value: torch.Tensor) -> bool:
        return query.shape[-1] == value.shape[-1]

    def __call__(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        query_ends: torch.Tensor,
        key_ends: torch.Tensor,
        longest: tuple[int, int],
        scores: Scores,
        *,
        causal: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        sizes = query_ends.diff().tolist(), key_ends.diff().tolist()
        assert longest == (max(sizes[0]), max(sizes[1]))
        assert len(query) == query_ends[-1]
        assert len(key) == len(value) == key_ends[-1]
        parts = [
            partial_attention(
                *(states.transpose(0, 1)[None] for states in block), scores, causal=causal
            )
            for block in zip(
                query.split(sizes[0]), key.split(sizes[1]), value.split(sizes[1]), strict=True
            )
        ]
        output, weight = zip(*parts, strict=True)
        return torch.cat(output, 2)[0].transpose(0, 1), torch.cat(weight, 2)[0].T


def by_levels(chunk: Chunk) -> Attention:
    return LevelAttention(chunk, BlockByBlock())

"""Attention over a chunk of the prefix tree takes the place of a transformers model's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers.configuration_utils import PretrainedConfig
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ..plan import Block, BlockPlanner, Chunk
from .kernels import (
    HALF,
    Scores,
    add_part,
    apply_sinks,
    attention_with_sinks,
    partial_attention,
)

__all__ = [
    "OTHER_KEYS",
    "Attention",
    "ChunkAttention",
    "Layer",
    "Slot",
    "UnsupportedAttentionError",
    "attention_over_tree",
    "check_keys",
]

OTHER_KEYS = "its attention reads other keys than those of the cache"
"""Why keys are refused."""
_NAME = "capspace_tree"


class UnsupportedAttentionError(ValueError):
    """The model's attention needs what the engine does not compute; lm-eval's own path does."""


@dataclass(frozen=True)
class Layer:
    """How a layer of the model computes its attention.

    Attributes
    ----------
    scores : Scores
        Scale and soft cap.
    window : int, optional
        Sliding window in positions.
    sinks : tensor of shape (n_heads,), optional
        Scores of one extra key per head that has no value.

    """

    scores: Scores
    window: int | None = None
    sinks: Tensor | None = None


Attention = Callable[[Tensor, Tensor, Tensor, Layer], Tensor]
"""From queries (1, n_heads, q, d), keys, values and layer to outputs (1, q, n_heads, d)."""


def check_keys(chunk: Chunk, key: Tensor) -> None:
    """Raise unless a layer brings the keys of a chunk's ancestors and tokens, and no others."""
    if key.shape[2] != len(chunk.depth):
        raise UnsupportedAttentionError(OTHER_KEYS)


@dataclass
class ChunkAttention:
    """Attention of one chunk: the blocks of each window in use, and their masks on each device.

    Parameters
    ----------
    chunk : Chunk
        The tokens and their ancestors.
    planner : callable
        Cuts the chunk into blocks: :func:`~capspace.collect.engine.plan.cascade_blocks`,
        :func:`~capspace.collect.engine.plan.tree_blocks` or
        :func:`~capspace.collect.engine.attention.flash_cpu.branch_blocks`.

    """

    chunk: Chunk
    planner: BlockPlanner
    _plans: dict[int | None, tuple[list[Block], list[Block]]] = field(default_factory=dict)
    _tensors: dict[tuple[int, torch.device, torch.dtype | None], Tensor] = field(
        default_factory=dict
    )

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, layer: Layer) -> Tensor:
        """Attend from every token of the chunk to its ancestors and itself.

        Parameters
        ----------
        query : tensor of shape (1, n_heads, n_tokens, d)
            Queries of the chunk.
        key, value : tensors of shape (1, n_kv_heads, n_past + n_tokens, d)
            Keys and values of the ancestors, then of the chunk; ``n_kv_heads`` divides ``n_heads``.
        layer : Layer
            Its scale, soft cap, window and sinks.

        Returns
        -------
        tensor of shape (1, n_tokens, n_heads, d)

        """
        check_keys(self.chunk, key)
        _, n_heads, n_tokens, _ = query.shape
        squares, rectangles = self._blocks(layer.window)
        alone = not rectangles and (layer.sinks is None or _as_own_code(query, layer))
        inner = torch.float32 if query.dtype in HALF else query.dtype
        output = value.new_empty(1, n_tokens, n_heads, value.shape[-1], dtype=inner).transpose(1, 2)
        total = query.new_empty(1, n_heads, n_tokens, dtype=inner)
        for block in squares:
            part, weight = self._attend(block, query, key, value, layer, alone)
            output[:, :, block.start : block.stop] = part
            if not alone:
                total[:, :, block.start : block.stop] = weight
        for block in rectangles:
            part, weight = self._attend(block, query, key, value, layer, alone)
            rows = slice(block.start, block.stop)
            add_part(output[:, :, rows], total[:, :, rows], part, weight)
        if layer.sinks is not None and not alone:
            apply_sinks(output, total, layer.sinks)
        return output.transpose(1, 2).to(query.dtype)

    def _blocks(self, window: int | None) -> tuple[list[Block], list[Block]]:
        window = self.chunk.reached_by(window)
        if window not in self._plans:
            self._plans[window] = self.planner(self.chunk, window)
        return self._plans[window]

    def _attend(
        self, block: Block, query: Tensor, key: Tensor, value: Tensor, layer: Layer, alone: bool
    ) -> tuple[Tensor, Tensor]:
        query = query[:, :, block.start : block.stop]
        if isinstance(block.keys, slice):
            key, value = key[:, :, block.keys], value[:, :, block.keys]
        else:
            entries = self._tensor(block.keys, key.device, None)
            key, value = key.index_select(2, entries), value.index_select(2, entries)
        mask = bias = None
        if block.mask is not None:
            mask = self._tensor(block.mask, query.device, None)
        if alone and layer.sinks is not None:
            part = attention_with_sinks(query, key, value, layer.scores, layer.sinks, mask)
            return part, part.new_empty(0)
        if block.mask is not None:
            bias = self._tensor(block.mask, query.device, query.dtype)
        return partial_attention(
            query,
            key,
            value,
            layer.scores,
            mask=mask,
            bias=bias,
            causal=block.causal,
            has_blind_queries=block.has_blind_queries,
            alone=alone,
            least_queries=block.least_queries,
        )

    def _tensor(self, array: Any, device: torch.device, dtype: torch.dtype | None) -> Tensor:
        """Return ``array`` on ``device``: as it is or, given a dtype, as an additive mask."""
        name = (id(array), device, dtype)
        if name not in self._tensors:
            tensor = torch.from_numpy(array).to(device)
            if dtype is not None:
                tensor = torch.zeros_like(tensor, dtype=dtype).masked_fill_(~tensor, -torch.inf)
            self._tensors[name] = tensor
        return self._tensors[name]


def _as_own_code(query: Tensor, layer: Layer) -> bool:
    """Return whether a sink is one of the keys, as in the models' own code in half precision."""
    mixed = torch.is_autocast_enabled(query.device.type)
    return query.dtype in HALF and not mixed and layer.scores.softcap is None


@dataclass
class Slot:
    """The place where a caller puts the attention of the next forward pass."""

    attention: Attention | None = None


def _config_of(module: nn.Module) -> PretrainedConfig | None:
    config = getattr(module, "config", None)
    return config if isinstance(config, PretrainedConfig) else None


@contextmanager
def attention_over_tree(model: nn.Module) -> Iterator[Slot]:
    """Replace the attention of ``model`` by tree attention for the duration of the block.

    Parameters
    ----------
    model : Module
        A transformers model whose layers use the attention interface.

    Yields
    ------
    slot
        Set ``slot.attention`` before each forward pass.

    Notes
    -----
    The mask function registered here builds no mask: it passes on the sliding window that the
    model itself sets, so that the windows are those of the model's own code.

    """
    slot = Slot()

    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: int | None,
        scaling: float | None = None,
        **settings: Any,  # the interface passes whatever the model's layers were called with
    ) -> tuple[Tensor, None]:
        if settings.get("position_bias") is not None:
            raise UnsupportedAttentionError("its attention adds a position bias")
        # some code of transformers 4 calls the attention of one query "not causal"
        one_sided = settings.get("is_causal") is not False or query.shape[-2] == 1
        if not one_sided or isinstance(attention_mask, Tensor):
            raise UnsupportedAttentionError("its attention is not causal")
        if slot.attention is None:
            raise UnsupportedAttentionError("its attention runs outside the scoring loop")
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        scores = Scores(scale, settings.get("softcap"))
        layer = Layer(scores, window=attention_mask, sinks=settings.get("s_aux"))
        return slot.attention(query, key, value, layer), None

    def window_of(*, local_size: int | None = None, use_vmap: bool = False, **_: Any) -> int | None:
        if use_vmap:
            raise UnsupportedAttentionError("it changes the causal mask")
        return local_size

    by_id = {id(config): config for config in map(_config_of, model.modules())}
    configs = [config for config in by_id.values() if config is not None]
    before = [(config, config._attn_implementation_internal) for config in configs]
    ALL_ATTENTION_FUNCTIONS.register(_NAME, attend)
    ALL_MASK_ATTENTION_FUNCTIONS.register(_NAME, window_of)
    try:
        for config in configs:
            config._attn_implementation_internal = _NAME
        yield slot
    finally:
        for config, implementation in before:
            config._attn_implementation_internal = implementation
        ALL_ATTENTION_FUNCTIONS._global_mapping.pop(_NAME)
        ALL_MASK_ATTENTION_FUNCTIONS._global_mapping.pop(_NAME)

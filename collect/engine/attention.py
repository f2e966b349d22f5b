"""Attention over a chunk of the prefix tree, plugged into transformers' attention interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers.configuration_utils import PretrainedConfig
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from capspace.collect.engine.plan import Block, BlockPlanner, Chunk

__all__ = ["ChunkAttention", "UnsupportedAttentionError", "attention_over_tree"]

_NAME = "capspace_tree"


class UnsupportedAttentionError(ValueError):
    """The model asks of its attention what the engine does not compute; lm-eval's path does."""


@dataclass
class ChunkAttention:
    """Attention of one chunk: the blocks of each window in use, and their masks on each device.

    Parameters
    ----------
    chunk : Chunk
        The tokens and their ancestors.
    planner : callable
        Cuts the chunk into blocks: :func:`~capspace.collect.engine.plan.cascade_blocks` or
        :func:`~capspace.collect.engine.plan.tree_blocks`.

    """

    chunk: Chunk
    planner: BlockPlanner
    _plans: dict[int | None, tuple[list[Block], list[Block]]] = field(default_factory=dict)
    _tensors: dict[tuple[int, torch.device, torch.dtype | None], Tensor] = field(
        default_factory=dict
    )

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        window: int | None,
        scale: float,
        softcap: float | None,
        sinks: Tensor | None,
    ) -> Tensor:
        """Attend from every token of the chunk to its ancestors and itself.

        Parameters
        ----------
        query : tensor of shape (1, n_heads, n_tokens, d)
            Queries of the chunk.
        key, value : tensors of shape (1, n_kv_heads, n_past + n_tokens, d)
            Keys and values of the ancestors, then of the chunk; ``n_kv_heads`` divides ``n_heads``.
        window : int, optional
            Sliding window in positions.
        scale : float
            Factor of the scores.
        softcap : float, optional
            Scores become ``softcap * tanh(scores / softcap)``.
        sinks : tensor of shape (n_heads,), optional
            Scores of one extra key per head that has no value.

        Returns
        -------
        tensor of shape (1, n_tokens, n_heads, d)

        Notes
        -----
        Block ``b`` gives a query the output ``o_b`` and the log-sum-exp ``s_b`` of its scores; the
        whole is ``sum_b exp(s_b - s) o_b`` with ``s = logsumexp_b s_b``. A sink adds
        ``exp(sink)`` to the denominator alone.

        """
        _, n_heads, n_tokens, _ = query.shape
        squares, rectangles = self._blocks(window)
        merged = bool(rectangles) or sinks is not None
        inner = torch.float32 if query.dtype in (torch.float16, torch.bfloat16) else query.dtype
        output = value.new_empty(1, n_tokens, n_heads, value.shape[-1], dtype=inner).transpose(1, 2)
        total = query.new_empty(1, n_heads, n_tokens, dtype=inner)
        for block in squares:
            part, weight = self._attend(block, query, key, value, scale, softcap, merged)
            output[:, :, block.start : block.stop] = part
            if merged:
                total[:, :, block.start : block.stop] = weight
        for block in rectangles:
            part, weight = self._attend(block, query, key, value, scale, softcap, merged)
            old = total[:, :, block.start : block.stop]
            new = torch.logaddexp(old, weight)
            into = output[:, :, block.start : block.stop]
            into.mul_((old - new).exp_().unsqueeze(-1))
            into.addcmul_(part.to(inner), (weight - new).exp_().unsqueeze(-1))
            old.copy_(new)
        if sinks is not None:
            sink = sinks.to(inner).view(1, n_heads, 1)
            output.mul_(torch.sigmoid(total - sink).unsqueeze(-1))
        return output.transpose(1, 2).to(query.dtype)

    def _blocks(self, window: int | None) -> tuple[list[Block], list[Block]]:
        if window is not None and window > int(self.chunk.depth.max()):
            window = None
        if window not in self._plans:
            self._plans[window] = self.planner(self.chunk, window)
        return self._plans[window]

    def _attend(
        self,
        block: Block,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scale: float,
        softcap: float | None,
        merged: bool,
    ) -> tuple[Tensor, Tensor]:
        """Return the output of one block and, unless it stands alone, its log-sum-exp."""
        query = query[:, :, block.start : block.stop]
        if isinstance(block.keys, slice):
            key, value = key[:, :, block.keys], value[:, :, block.keys]
        else:
            entries = self._tensor(block.keys, key.device, None)
            key, value = key.index_select(2, entries), value.index_select(2, entries)
        on_cpu = query.device.type == "cpu"
        same_width = query.shape[-1] == value.shape[-1]
        if softcap is None and same_width and on_cpu:
            return self._flash(block, query, key, value, scale)
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        mask = self._bool_mask(block, query.device)
        if softcap is None and not merged:
            part = nn.functional.scaled_dot_product_attention(
                query, key, value, attn_mask=mask, scale=scale
            )
            return part, part.new_empty(0)
        scores = (query @ key.transpose(-1, -2)).mul_(scale)
        if softcap is not None:
            scores = scores.div_(softcap).tanh_().mul_(softcap)
        scores = scores.float() if scores.dtype != torch.float64 else scores
        if mask is not None:
            scores = scores.masked_fill_(~mask, -torch.inf)
        weight = scores.logsumexp(-1)
        # a query that sees no key of this block has log-sum-exp -inf, and must not become NaN
        scores = scores.sub_(weight.clamp_min(torch.finfo(weight.dtype).min).unsqueeze(-1)).exp_()
        return scores.to(value.dtype) @ value, weight

    def _flash(
        self, block: Block, query: Tensor, key: Tensor, value: Tensor, scale: float
    ) -> tuple[Tensor, Tensor]:
        bias = None
        if block.mask is not None:
            bias = self._tensor(block.mask, query.device, query.dtype)
        output, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, block.causal, attn_mask=bias, scale=scale
        )
        if block.has_blind_queries:
            # the kernel reports a log-sum-exp of 0.0, not -inf, for a query that sees no key
            blind = ~self._tensor(block.mask, query.device, torch.bool).any(-1)
            weight = weight.masked_fill(blind, -torch.inf)
            output = output.masked_fill(blind[:, None], 0.0)
        return output, weight

    def _bool_mask(self, block: Block, device: torch.device) -> Tensor | None:
        if block.causal:
            size = block.stop - block.start
            return torch.ones(size, size, dtype=torch.bool, device=device).tril_()
        return None if block.mask is None else self._tensor(block.mask, device, torch.bool)

    def _tensor(self, array: Any, device: torch.device, dtype: torch.dtype | None) -> Tensor:
        """Return ``array`` on ``device``: as it is, or, for a float dtype, as an additive mask."""
        name = (id(array), device, dtype)
        if name not in self._tensors:
            tensor = torch.from_numpy(array).to(device)
            if dtype is not None and dtype.is_floating_point:
                tensor = torch.zeros_like(tensor, dtype=dtype).masked_fill_(~tensor, -torch.inf)
            self._tensors[name] = tensor
        return self._tensors[name]


@dataclass
class _Slot:
    """Where the scoring loop leaves the chunk that the model's attention layers are to evaluate."""

    attention: ChunkAttention | None = None


def _config_of(module: nn.Module) -> PretrainedConfig | None:
    config = getattr(module, "config", None)
    return config if isinstance(config, PretrainedConfig) else None


@contextmanager
def attention_over_tree(model: nn.Module) -> Iterator[_Slot]:
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
    model itself asks for, so that the windows are those of the model's own code.

    """
    slot = _Slot()

    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: int | None,
        scaling: float | None = None,
        softcap: float | None = None,
        s_aux: Tensor | None = None,
        position_bias: Tensor | None = None,
        is_causal: bool | None = None,
        **_: Any,  # the interface passes whatever the model's layers were called with
    ) -> tuple[Tensor, None]:
        if position_bias is not None:
            raise UnsupportedAttentionError("its attention adds a position bias")
        if is_causal is False or isinstance(attention_mask, Tensor):
            raise UnsupportedAttentionError("its attention is not causal")
        if slot.attention is None:
            raise UnsupportedAttentionError("its attention runs outside the scoring loop")
        output = slot.attention(
            query,
            key,
            value,
            window=attention_mask,
            scale=query.shape[-1] ** -0.5 if scaling is None else scaling,
            softcap=softcap,
            sinks=s_aux,
        )
        return output, None

    def window_of(*, local_size: int | None = None, use_vmap: bool = False, **_: Any) -> int | None:
        if use_vmap:
            raise UnsupportedAttentionError("it changes the causal mask")
        return local_size

    found = {id(config): config for config in map(_config_of, model.modules())}
    configs = [config for config in found.values() if config is not None]
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

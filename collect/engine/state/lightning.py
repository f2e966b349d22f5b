"""Lightning attention goes on from a state by blocks of tokens, as it begins a text.

Transformers computes MiniMax-01's blocks of `block_size` tokens where a text begins, but one token
after another where a pass goes on from a state. That takes longer, and in half precision the state
is rounded at every token. Computed by blocks, a text has the numbers of one that is read at once if
its state stands between two blocks.

The blocks are those of Lightning Attention-2 (Qin et al., 2024, arXiv:2401.04658, algorithm 1).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..forward import CACHE_NAMES

__all__ = ["by_blocks", "lightning_layers"]

_MASKING = "apply_mask_to_padding_states"
"""What transformers applies to queries, keys and values before it uses them."""


def lightning_layers(model: nn.Module) -> tuple[nn.Module, ...]:
    """Return the layers of lightning attention of a model."""
    return tuple(
        module
        for module in model.modules()
        if hasattr(module, "diagonal_decay")
        and hasattr(module, "block_size")
        and hasattr(sys.modules[type(module).__module__], _MASKING)
    )


@contextmanager
def by_blocks(layers: Sequence[nn.Module]) -> Iterator[None]:
    """Let these layers go on from the states of their cache in blocks, within the context."""
    with ExitStack() as stack:
        for layer in cast(Sequence[Any], layers):
            own = layer.forward
            if "forward" in vars(layer):
                stack.callback(setattr, layer, "forward", own)
            else:
                stack.callback(delattr, layer, "forward")
            layer.forward = partial(_go_on, layer, own)
        yield


def _go_on(
    layer: Any,
    own: Callable[..., tuple[Tensor, Tensor]],
    *,
    hidden_states: Tensor,
    attention_mask: Tensor | None,
    **settings: Any,
) -> tuple[Tensor, Tensor]:
    cache = next(settings[name] for name in CACHE_NAMES if name in settings)
    state = cache.get_linear_cache(layer.layer_idx)
    if state is None or hidden_states.shape[1] == 1:
        return own(hidden_states=hidden_states, attention_mask=attention_mask, **settings)
    mask = getattr(sys.modules[type(layer).__module__], _MASKING)
    mixed = mask(layer.act_fn(layer.qkv_proj(hidden_states)), attention_mask)
    # (rows, heads, tokens, 3 * head_dim)
    heads = mixed.unflatten(-1, (layer.num_attention_heads, -1)).transpose(1, 2)
    parts = []
    for block in heads.split(layer.block_size, dim=2):
        part, state = _block(layer, block, state)
        parts.append(part)
    attended = layer.norm(torch.cat(parts, dim=2).transpose(1, 2).flatten(2))
    gate = torch.sigmoid(layer.output_gate(hidden_states))
    cache.set_linear_cache(layer.layer_idx, state)
    return layer.out_proj(gate * attended), state


def _block(layer: Any, block: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a block of tokens gets from itself and from a state, and the state behind it."""
    n = block.shape[2]
    queries, keys, values = block.chunk(3, dim=-1)
    weights = queries @ keys.mT * layer.diagonal_decay[..., :n, :n]
    attended = (queries * layer.query_decay[:, :n]) @ state + weights @ values
    added = (keys * layer.key_decay[:, -n:]).mT @ values
    return attended, state * torch.exp(-layer.slope_rate * n) + added

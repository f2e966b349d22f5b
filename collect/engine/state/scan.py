"""Scans of recurrent layers go on from their states, and take short pieces on a CPU.

A selective scan that begins at zero in every chunk goes on from the state of its layer instead.
The scan of Mamba-1 is linear in the state that it begins with: what an earlier state adds to its
outputs and to the state behind the chunk is computed apart. Mamba, Falcon Mamba, Jamba and Zamba
of transformers leave it out, without a warning, while their convolutions do go on.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

__all__ = [
    "continued_scans",
    "decaying_layers",
    "exact_decay",
    "layers_in_pieces",
    "scanning_layers",
    "short_pieces",
]

_NAME = "mamba_selective_scan"
_MASKING = "apply_mask_to_padding_states"
"""What lightning attention applies to queries, keys and values before it uses them."""
_PIECE = 32
"""Tokens; among 16 to 64 it makes little difference."""
_CACHE_NAMES = ("cache", "cache_params", "past_key_values")


def scanning_layers(model: nn.Module) -> tuple[nn.Module, ...]:
    """Return the layers of a model whose scan begins at zero in every chunk."""
    return tuple(
        module
        for module in model.modules()
        if hasattr(module, "layer_idx")
        and type(module).__name__.endswith("Mixer")
        and hasattr(sys.modules[type(module).__module__], _NAME)
    )


@contextmanager
def continued_scans(layers: Sequence[nn.Module]) -> Iterator[None]:
    """Let the scans of these layers go on from the states of their cache within the block."""
    before: deque[Tensor] = deque()

    def note_state(layer: Any, _: Any, settings: dict[str, Any]) -> None:
        before.clear()
        cache = next((settings[name] for name in _CACHE_NAMES if settings.get(name)), None)
        state = None if cache is None else cache.layers[layer.layer_idx].recurrent_states[0]
        if state is not None:  # Zamba scans each of its heads by itself
            before.extend(state.unbind(1) if state.ndim == 4 else [state])

    modules = {sys.modules[type(layer).__module__] for layer in layers}
    with ExitStack() as stack:
        for layer in layers:
            hook = layer.register_forward_pre_hook(note_state, with_kwargs=True)
            stack.callback(hook.remove)
        for module in modules:
            scan = getattr(module, _NAME)
            stack.callback(setattr, module, _NAME, scan)
            setattr(module, _NAME, _continued(scan, before))
        yield


def layers_in_pieces(model: nn.Module) -> tuple[nn.Module, ...]:
    """Return the layers of a model whose scans pad texts to pieces of `chunk_size`, as Mamba-2's.

    None are returned elsewhere than on a CPU, where kernels may read the same number.
    """
    if next(model.parameters()).device.type != "cpu":
        return ()
    return tuple(
        module
        for module in model.modules()
        if hasattr(module, "layer_idx") and isinstance(getattr(module, "chunk_size", None), int)
    )


@contextmanager
def short_pieces(layers: Sequence[nn.Module]) -> Iterator[None]:
    """Let the scans of these layers take short pieces within the block.

    A scan compares each token of a piece with all others of it, those of the padding too. The size
    of the pieces, 256 tokens in releases, decides what that costs and how it rounds, not what it
    computes.
    """
    with ExitStack() as stack:
        for layer in cast(Sequence[Any], layers):
            stack.callback(setattr, layer, "chunk_size", layer.chunk_size)
            layer.chunk_size = min(_PIECE, layer.chunk_size)
        yield


def decaying_layers(model: nn.Module) -> tuple[nn.Module, ...]:
    """Return the layers of lightning attention, MiniMax-01's, whose states would be rounded."""
    return tuple(
        module
        for module in model.modules()
        if hasattr(module, "slope_rate")
        and hasattr(module, "out_proj")
        and hasattr(sys.modules[type(module).__module__], _MASKING)
    )


@contextmanager
def exact_decay(layers: Sequence[nn.Module]) -> Iterator[None]:
    """Let lightning attention keep its state and its decay in float32 within the block.

    In half precision, transformers rounds both at every token that goes on from a state, and at
    every block of tokens otherwise.
    """

    def rounded(layer: Any, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return (inputs[0].to(layer.weight.dtype),)

    modules = {sys.modules[type(layer).__module__] for layer in layers}
    with ExitStack() as stack:
        for layer in cast(Sequence[Any], layers):
            stack.callback(layer.out_proj.register_forward_pre_hook(rounded).remove)
            stack.callback(setattr, layer, "slope_rate", layer.slope_rate)
            layer.slope_rate = layer.slope_rate.float()
        for module in modules:
            mask = getattr(module, _MASKING)
            stack.callback(setattr, module, _MASKING, mask)
            setattr(module, _MASKING, _in_full_precision(mask))
        yield


def _in_full_precision(mask: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a function of queries, keys and values that hides padding and gives float32."""
    return lambda states, *others: mask(states, *others).float()


def _continued(scan: Callable[..., Any], before: deque[Tensor]) -> Callable[..., Any]:
    def go_on(inputs: Tensor, step: Tensor, decay: Tensor, *others: Tensor, **settings: Any) -> Any:
        result = scan(inputs, step, decay, *others, **settings)
        if not before:
            return result
        state, read = before.popleft().float(), others[1].float()
        step = step.float()
        if settings.get("delta_bias") is not None:
            step = step + settings["delta_bias"].float()[..., None]
        if settings.get("delta_softplus"):
            step = nn.functional.softplus(step)
        # (rows, channels, tokens, states): how much of the earlier state is left at each token
        left = torch.exp(decay.float()[None, :, None] * step.cumsum(-1)[..., None])
        left = left * state[:, :, None]
        added = torch.einsum("bdln,bnl->bdl", left, read)
        if settings.get("z") is not None:
            added = added * nn.functional.silu(settings["z"].float())
        if not settings.get("return_last_state"):
            return (result + added).to(result.dtype)
        outputs, last = result
        return (outputs + added).to(outputs.dtype), (last + left[:, :, -1]).to(last.dtype)

    return go_on

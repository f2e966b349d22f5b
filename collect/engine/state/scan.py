"""Scans of recurrent layers go on from their states, and take short pieces on a CPU.

A selective scan that begins at zero in every chunk goes on from the state of its layer instead.
Mamba, Falcon Mamba, Jamba and Zamba of transformers leave the state out, without a warning, while
their convolutions do go on. The loop over the tokens is repeated from the state here, with the same
roundings. Where a kernel takes its place, what the state adds is computed apart: a scan is linear
in the state that it begins with.
"""

from __future__ import annotations

import importlib.util
import inspect
import math
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

__all__ = [
    "continued_scans",
    "delta_piece",
    "layers_in_pieces",
    "scanning_layers",
    "short_pieces",
]

_NAME = "mamba_selective_scan"
_HAS_KERNEL = importlib.util.find_spec("mamba_ssm") is not None
"""Whether transformers scans by this package's kernel on CUDA."""
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


def delta_piece(model: nn.Module) -> int:
    """Return how many tokens the delta rules of a model take at once, 1 if it has none."""
    names = {type(module).__module__ for module in model.modules()}
    modules = [sys.modules[name] for name in names if name in sys.modules]
    signatures = (
        inspect.signature(function).parameters
        for module in modules
        for function in vars(module).values()
        if inspect.isfunction(function)
    )
    pieces = (
        parameters["chunk_size"].default
        for parameters in signatures
        if {"chunk_size", "initial_state"} <= set(parameters)
    )
    return math.lcm(*(piece for piece in pieces if isinstance(piece, int)))


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


def _continued(scan: Callable[..., Any], before: deque[Tensor]) -> Callable[..., Any]:
    def go_on(*inputs: Tensor, **settings: Any) -> Any:
        if not before:
            return scan(*inputs, **settings)
        state = before.popleft()
        if _HAS_KERNEL and state.is_cuda:
            return _added_to(scan(*inputs, **settings), state, *inputs, **settings)
        outputs, last = _scanned_from(state, *inputs, **settings)
        return (outputs, last) if settings.get("return_last_state") else outputs

    return go_on


def _scanned_from(
    state: Tensor,
    inputs: Tensor,
    step: Tensor,
    decay: Tensor,
    write: Tensor,
    read: Tensor,
    **settings: Any,
) -> tuple[Tensor, Tensor]:
    """Scan token by token from a state, with the roundings of transformers' own loop."""
    step = _time_step(step, settings)
    outputs = []
    tokens = (each.unbind(-1) for each in (inputs, step, write, read))
    for x, dt, b, c in zip(*tokens, strict=True):
        # (rows, channels, states)
        left = torch.exp(decay * dt[..., None])
        state = left * state + dt[..., None] * b[:, None].float() * x[..., None].float()
        outputs.append((state.to(inputs.dtype) @ c[..., None])[..., 0])
    result = torch.stack(outputs, dim=-1)
    if settings.get("D") is not None:
        result = result + inputs * settings["D"][:, None]
    if settings.get("z") is not None:
        result = result * nn.functional.silu(settings["z"])
    return result, state


def _time_step(step: Tensor, settings: dict[str, Any]) -> Tensor:
    """Return the step that a scan takes at each token, in the type given."""
    if settings.get("delta_bias") is not None:
        step = step + settings["delta_bias"].to(step.dtype)[..., None]
    return nn.functional.softplus(step) if settings.get("delta_softplus") else step


def _added_to(
    result: Any,
    state: Tensor,
    inputs: Tensor,
    step: Tensor,
    decay: Tensor,
    write: Tensor,
    read: Tensor,
    **settings: Any,
) -> Any:
    """Add to the results of a scan from zero, by a kernel, what an earlier state adds to them."""
    state, step = state.float(), _time_step(step.float(), settings)
    # (rows, channels, tokens, states): how much of the earlier state is left at each token
    left = torch.exp(decay.float()[None, :, None] * step.cumsum(-1)[..., None])
    left = left * state[:, :, None]
    added = torch.einsum("bdln,bnl->bdl", left, read.float())
    if settings.get("z") is not None:
        added = added * nn.functional.silu(settings["z"].float())
    if not settings.get("return_last_state"):
        return (result + added).to(result.dtype)
    outputs, last = result
    return (outputs + added).to(outputs.dtype), (last + left[:, :, -1]).to(last.dtype)

"""A scan of Mamba-1 goes on from a state as if it had read all tokens at once."""

from __future__ import annotations

from collections import deque
from typing import Any

import device
import pytest
import torch
from state_models import needs_states
from torch import Tensor
from torch.nn.functional import silu, softplus
from transformers.models.mamba import modeling_mamba

from capspace.collect.engine.state.scan import _added_to, _continued, _scanned_from

N_BEFORE, N_TOKENS = 4, 7


def scan(
    inputs: Tensor, step: Tensor, decay: Tensor, write: Tensor, read: Tensor, **settings: Any
) -> Any:
    """Scan token by token, from zero: the recurrence as the paper of Mamba states it."""
    if settings.get("delta_bias") is not None:
        step = step + settings["delta_bias"][:, None]
    if settings.get("delta_softplus"):
        step = softplus(step)
    state = torch.zeros(inputs.shape[0], *decay.shape, dtype=inputs.dtype, device=inputs.device)
    outputs = []
    for t in range(inputs.shape[-1]):
        now = step[..., t, None]
        state = torch.exp(now * decay) * state + now * inputs[..., t, None] * write[:, None, :, t]
        outputs.append((state * read[:, None, :, t]).sum(-1))
    result = torch.stack(outputs, -1)
    if settings.get("z") is not None:
        result = result * silu(settings["z"])
    return (result, state) if settings.get("return_last_state") else result


def random(*shape: int) -> Tensor:
    return device.tensor(torch.randn(shape))


@pytest.mark.parametrize("returns_state", [True, False])
@pytest.mark.parametrize("plain", [True, False])
def test_two_chunks_are_scanned_as_one(returns_state: bool, plain: bool) -> None:
    torch.manual_seed(0)
    channels, states = 3, 5
    inputs, step, gate = (random(2, channels, N_TOKENS) for _ in range(3))
    write, read = (random(2, states, N_TOKENS) for _ in range(2))
    decay, bias = -random(channels, states).abs(), random(channels)

    def scanned(by: Any, tokens: slice, **more: Any) -> Any:
        if not plain:
            more |= {"delta_bias": bias, "delta_softplus": True, "z": gate[..., tokens]}
        own = (each[..., tokens] for each in (write, read))
        return by(inputs[..., tokens], step[..., tokens], decay, *own, **more)

    whole, last = scanned(scan, slice(None), return_last_state=True)
    _, middle = scanned(scan, slice(N_BEFORE), return_last_state=True)
    then = scanned(
        _continued(scan, deque([middle])), slice(N_BEFORE, None), return_last_state=returns_state
    )
    outputs = then[0] if returns_state else then
    torch.testing.assert_close(outputs, whole[..., N_BEFORE:])
    if returns_state:
        torch.testing.assert_close(then[1], last)


@needs_states
@pytest.mark.cpu_only("kernels round as they do")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_as_in_one_scan(dtype: torch.dtype) -> None:
    """Where it is rounded: steps, states before they are read, outputs, outputs by their gates."""
    own = modeling_mamba.mamba_selective_scan
    torch.manual_seed(0)
    inputs, step, gate = (random(2, 16, 40).to(dtype) for _ in range(3))
    write, read = (random(2, 8, 40).to(dtype) for _ in range(2))
    decay, bias, skipped = -random(16, 8).abs(), random(16), random(16)

    def scanned(by: Any, tokens: slice) -> Any:
        part = (
            inputs[..., tokens],
            step[..., tokens],
            decay,
            write[..., tokens],
            read[..., tokens],
        )
        more = {"D": skipped, "z": gate[..., tokens], "delta_bias": bias, "delta_softplus": True}
        return by(*part, **more, return_last_state=True)

    whole, last = scanned(own, slice(None))
    _, middle = scanned(own, slice(25))
    outputs, then = scanned(_continued(own, deque([middle])), slice(25, None))
    assert (outputs == whole[..., 25:]).all()
    assert (then == last).all()


@pytest.mark.cpu_only("it is about what is done for a kernel")
@pytest.mark.parametrize("returns_state", [True, False])
def test_what_a_state_adds_is_computed_apart_from_a_kernel(returns_state: bool) -> None:
    torch.manual_seed(0)
    inputs, step, gate = (random(2, 3, N_TOKENS) for _ in range(3))
    write, read = (random(2, 5, N_TOKENS) for _ in range(2))
    state, decay, bias = random(2, 3, 5), -random(3, 5).abs(), random(3)
    settings = {"delta_bias": bias, "delta_softplus": True, "z": gate}
    given = (inputs, step, decay, write, read)
    outputs, last = _scanned_from(state, *given, **settings)
    settings |= {"return_last_state": returns_state}
    then = _added_to(scan(*given, **settings), state, *given, **settings)
    torch.testing.assert_close(then[0] if returns_state else then, outputs)
    if returns_state:
        torch.testing.assert_close(then[1], last)

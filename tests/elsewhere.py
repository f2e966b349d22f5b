"""A device for tests that computes on the CPU and refuses what a GPU refuses.

Its tensors say that they are of another device, hold their numbers in a tensor of the CPU, and may
meet none of the CPU's but single numbers. So a test, or the engine, that makes a tensor without
saying where fails here as it would on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

NAME = "elsewhere"
_ATEN = torch.ops.aten
_READ = {_ATEN._local_scalar_dense.default, _ATEN.equal.default}
"""Operators that give a number to Python."""


class Elsewhere(torch.Tensor):
    """A tensor of this device, around one of the CPU."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Elsewhere:
        made: Elsewhere = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(NAME, 0),
        )
        made.held = held
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})

    def tolist(self) -> Any:
        """Return its numbers, as a tensor of a GPU does."""
        return self.held.tolist()

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"Elsewhere({self.held})"


class _Everywhere(TorchDispatchMode):
    """Takes what makes a tensor for this device out of none of its own."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


def _held(value: Any) -> Any:
    if not isinstance(value, Elsewhere):
        return value
    assert value.dtype == value.held.dtype, "the tensor was changed around the one that it holds"
    return value.held


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    given = [each for each in tree_iter((args, kwargs)) if isinstance(each, torch.Tensor)]
    device = kwargs.get("device")
    asks_for_it = device is not None and torch.device(device).type == NAME
    if not asks_for_it and not any(isinstance(each, Elsewhere) for each in given):
        return func(*args, **kwargs)
    if func._can_decompose():  # in inference mode these come here before their parts
        with _Everywhere():
            return func.decompose(*args, **kwargs)
    if asks_for_it:
        kwargs = kwargs | {"device": torch.device("cpu")}
    elif device is None and func is not _ATEN.copy_.default:
        _refuse_others(func, given)
    if func is _ATEN.histc.default:  # of integers a GPU takes it, and a CPU does not
        args = (args[0].double(), *args[1:])
    result = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    if func in _READ or (device is not None and not asks_for_it):
        return result
    changed = {id(_held(each)): each for each in given}  # what is computed in place is itself

    def wrapped(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or isinstance(value, Elsewhere):
            return value
        if id(value) in changed:
            return changed[id(value)]
        with torch.inference_mode(value.is_inference()):  # as a view of a weight is none
            return Elsewhere(value)

    return tree_map(wrapped, result)


def _refuse_others(func: Callable[..., Any], given: list[torch.Tensor]) -> None:
    for each in given:
        if not isinstance(each, Elsewhere) and each.dim() > 0:
            raise RuntimeError(f"{func} of tensors on {NAME} and on {each.device}")


def install() -> None:
    """Let torch have this device, from now on in this process."""
    from torch.utils import backend_registration

    setup = getattr(backend_registration, "_setup_privateuseone_for_python_backend", None)
    if setup is None:
        raise pytest.UsageError(f"--device {NAME}: torch {torch.__version__} cannot have it")

    class Module(backend_registration._DummyBackendModule):
        """What torch asks about the device as a whole."""

        def get_amp_supported_dtype(self) -> list[torch.dtype]:
            return [torch.bfloat16, torch.float16]

    setup(NAME, Module())
    torch._C._set_only_lift_cpu_tensors(True)
    torch.__future__.set_swap_module_params_on_conversion(True)  # setting data changes no `held`
    _Everywhere().__enter__()

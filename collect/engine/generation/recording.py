"""Work on buffers that stay where they are is recorded once and replayed with other contents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

__all__ = [
    "Recorder",
    "Recording",
    "UnrecordableStepError",
    "Work",
    "eager",
    "traced",
]

Work = Callable[[], None]
"""Reads and writes tensors that stay where they are; done twice it leaves what it leaves once."""

Recorder = Callable[[Work], Work]
"""From work to its recording, which does the same when called: launched with today's contents of
the tensors, but with every number, shape and branch of Python's as they were at the recording."""


class UnrecordableStepError(ValueError):
    """What a step computes cannot be recorded; a clause says why."""


@dataclass(frozen=True)
class Recording:
    """How steps are recorded.

    Attributes
    ----------
    record : Recorder
        `eager`, `traced` or a
        :class:`~capspace.collect.engine.generation.cuda_graphs.CudaGraphs`.
    at_use : int
        Which use of a step is recorded, at least the second: most kinds of step are used too
        seldom to pay for it.
    most : int
        Kinds of step that are held at once, the least recently used given up.

    """

    record: Recorder
    at_use: int = 3
    most: int = 16


def eager(work: Work) -> Work:
    """Record nothing: every call runs the work as it is."""
    return work


@dataclass
class _Call:
    """An operation of a trace; tensors that the trace made are named by their slots."""

    operation: Any
    args: Any
    kwargs: Any
    results: list[int | None]
    last_uses: list[int]


@dataclass(frozen=True)
class _Made:
    """Stands for a tensor that an earlier operation of the trace makes."""

    slot: int


class _Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Runs operations and writes down each of them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.calls: list[_Call] = []
        self._slots = WeakTensorKeyDictionary()
        self._n_slots = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if _reads_values(func, args):
            raise UnrecordableStepError(f"a step of it depends on values that {func.name()} reads")
        given = self._named(args), {name: self._named(value) for name, value in kwargs.items()}
        output = func(*args, **kwargs)
        results = [self._slot(value) for value in _several(output)]
        self.calls.append(_Call(func, *given, results, []))
        return output

    def _named(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return type(value)(self._named(entry) for entry in value)
        if isinstance(value, Tensor) and value in self._slots:
            return _Made(self._slots[value])
        return value

    def _slot(self, value: Any) -> int | None:
        if not isinstance(value, Tensor):
            return None
        if value not in self._slots:
            self._slots[value] = self._n_slots
            self._n_slots += 1
        slot: int = self._slots[value]
        return slot

    def close(self) -> list[_Call]:
        """Return the operations, each with the slots that nothing after it reads."""
        read: set[int] = set()
        for call in reversed(self.calls):
            slots = {*_slots_in(call.args), *_slots_in([*call.kwargs.values()])}
            slots |= {slot for slot in call.results if slot is not None}
            call.last_uses = sorted(slots - read)
            read |= slots
        return self.calls


def _several(output: Any) -> Any:
    """Return what an operation returns, as several results."""
    return output if isinstance(output, list | tuple) else [output]


def _slots_in(value: Any) -> Iterator[int]:
    if isinstance(value, list | tuple):
        for entry in value:
            yield from _slots_in(entry)
    elif isinstance(value, _Made):
        yield value.slot


def _filled(value: Any, made: dict[int, Tensor]) -> Any:
    """Return an argument with the tensors of this replay."""
    if isinstance(value, _Made):
        return made[value.slot]
    if isinstance(value, list | tuple):
        return type(value)(_filled(entry, made) for entry in value)
    return value


def traced(work: Work) -> Work:
    """Record the tensor operations of work, on any device.

    A replay runs these operations on the same buffers and none of the Python between them: what a
    CUDA graph freezes is frozen here as well, and seen without a card.

    Raises
    ------
    UnrecordableStepError
        The work reads a value, or makes a tensor whose shape depends on values.

    """
    trace = _Trace()
    with trace:
        work()
    calls = trace.close()

    def replay() -> None:
        made: dict[int, Tensor] = {}
        for call in calls:
            kwargs = {name: _filled(value, made) for name, value in call.kwargs.items()}
            output = call.operation(*_filled(call.args, made), **kwargs)
            for slot, result in zip(call.results, _several(output), strict=True):
                if slot is not None:
                    made[slot] = result
            for slot in call.last_uses:
                del made[slot]

    return replay


def _reads_values(operation: Any, args: Any) -> bool:
    """Return whether what comes after an operation, or its shape, depends on values."""
    if operation is torch.ops.aten.index.Tensor:  # by integers its shape is theirs
        indices = [index for index in args[1] if index is not None]
        return any(index.dtype in (torch.bool, torch.uint8) for index in indices)
    value_dependent = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
    return not value_dependent.isdisjoint(operation.tags)

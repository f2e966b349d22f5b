"""Decode steps of the same shapes read the same buffers, so that one recording serves them all."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .kv_cache import SharedSegment
from .loop import DecodingStats
from .recording import Recording, Work
from .shared_prompts import Segment
from .steps import DecodeStep, StepInputs, StepTensors

__all__ = ["StaticSteps", "room"]

_ROWS = 8
"""Numbers of rows are rounded up to a multiple: the more rows, the less a multiple adds."""
_TOKENS = 64
"""The same of tokens of its own that are read of each row."""


def room(rows: int, length: int) -> tuple[int, int]:
    """Return the rows, and tokens of each, that the buffers of at most so many need."""
    return _round_up(rows, _ROWS), _round_up(length, _TOKENS)


def _round_up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


class _Shape(NamedTuple):
    """What a recording freezes.

    Attributes
    ----------
    rows, length : int
        Rows of the pass, and tokens read of each, rounded up.
    sharing : tuple of (Segment, int)
        Shared segments with the number of rows that share each, rounded up; 0 is all rows.

    """

    rows: int
    length: int
    sharing: tuple[tuple[Segment, int], ...]

    @classmethod
    def of(cls, inputs: StepInputs, rank: dict[Segment, int]) -> _Shape:
        n_rows = len(inputs.tokens)
        rows, length = room(n_rows, max(inputs.lengths) + 1)

        def rounded(users: list[int]) -> int:
            return 0 if len(users) == n_rows else min(_round_up(len(users), _ROWS), rows)

        order = sorted(inputs.sharing, key=rank.__getitem__)
        sharing = tuple((segment, rounded(inputs.sharing[segment])) for segment in order)
        return cls(rows, length, sharing)


@dataclass
class _Output:
    """The logits of the step that ran last, of its rows and others; None before the first."""

    logits: Tensor | None = None


@dataclass
class _Held:
    """A kind of step with the tensor that its inputs are read from."""

    inputs: Tensor
    run: Work
    uses: int = 0
    is_recorded: bool = False


class StaticSteps:
    """Run decode steps, those of a shape that occurs often by a recording.

    Parameters
    ----------
    step : DecodeStep
        What is run; its store has the room that `room` says.
    recording : Recording
        How it is recorded.
    segments : list of Segment
        All shared segments, in the order of their merging.
    stats : DecodingStats
        Takes the numbers of recordings and of replayed steps.

    Notes
    -----
    Rows beyond those in use are computed, too: they read token 0 at position 0, and write where
    no text is. A list of the rows that share a segment is filled up with the last of them, which
    is then computed more than once, each time with the same result.

    """

    def __init__(
        self,
        step: DecodeStep,
        recording: Recording,
        segments: list[Segment],
        stats: DecodingStats,
    ) -> None:
        self._step, self._recording, self._stats = step, recording, stats
        self._rank = {segment: place for place, segment in enumerate(segments)}
        self._held: OrderedDict[_Shape, _Held] = OrderedDict()
        self._output = _Output()

    def __call__(self, inputs: StepInputs) -> Tensor:
        """Return the logits of the next token of every row, (n_rows, vocabulary).

        They are overwritten by the next step.
        """
        shape = _Shape.of(inputs, self._rank)
        held = self._held.get(shape) or self._new(shape)
        self._held[shape] = held
        self._held.move_to_end(shape)
        if len(self._held) > self._recording.most:
            self._held.popitem(last=False)
        held.inputs.copy_(_flat(shape, inputs))
        held.uses += 1
        if not held.is_recorded and held.uses >= max(2, self._recording.at_use):
            held.run, held.is_recorded = self._recording.record(held.run), True
            self._stats.recordings += 1
        self._stats.replayed_steps += held.is_recorded
        held.run()
        assert self._output.logits is not None  # noqa: S101  # every run sets it
        return self._output.logits[: len(inputs.tokens)]

    def drop(self, segment: Segment) -> None:
        """Give up what reads a segment that is stored no longer."""
        for shape in [shape for shape in self._held if segment in dict(shape.sharing)]:
            del self._held[shape]

    def _new(self, shape: _Shape) -> _Held:
        sizes = [shape.rows] * 3 + [count for _, count in shape.sharing]
        flat = torch.zeros(sum(sizes), dtype=torch.long, device=self._step.device)
        tokens, positions, lengths, *rows = torch.split(flat, sizes)
        segments = [
            SharedSegment(segment, users if count else None)
            for (segment, count), users in zip(shape.sharing, rows, strict=True)
        ]
        inputs = StepTensors(tokens, positions, lengths, shape.length, segments)
        return _Held(flat, _work(self._step, inputs, self._output))


def _work(step: DecodeStep, inputs: StepTensors, output: _Output) -> Work:
    """Return a step from buffers to buffers; it refers to nothing that refers to it."""

    def run() -> None:
        logits = step(inputs)
        if output.logits is None:
            output.logits = logits.new_empty(step.store.rows, logits.shape[1])
        output.logits[: len(logits)].copy_(logits)

    return run


def _flat(shape: _Shape, inputs: StepInputs) -> Tensor:
    """Return the inputs one after the other, each filled up to its number in a shape."""
    numbers: list[int] = []
    for column in (inputs.tokens, inputs.positions, inputs.lengths):
        numbers += column + [0] * (shape.rows - len(column))
    for segment, count in shape.sharing:
        rows = inputs.sharing[segment]
        if count:
            numbers += rows + rows[-1:] * (count - len(rows))
    return torch.tensor(numbers)

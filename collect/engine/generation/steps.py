"""A decode step reads the newest token of every row and gives the logits of the next."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..attention.blocks import Slot
from ..forward import Autocast, Forward
from .kv_cache import DecodeAttention, Decoding, RowStore, SharedSegment
from .shared_prompts import Segment

__all__ = ["DecodeStep", "StepInputs", "StepTensors"]


@dataclass(frozen=True)
class StepInputs:
    """What a step reads of its rows, one entry per row.

    Attributes
    ----------
    tokens : list of int
        Newest token.
    positions : list of int
        Where in its text that token stands.
    lengths : list of int
        Tokens in its row of the buffer, the newest left out.
    sharing : dict from Segment to list of int
        The rows that share each segment.

    """

    tokens: list[int]
    positions: list[int]
    lengths: list[int]
    sharing: dict[Segment, list[int]]


@dataclass(frozen=True)
class StepTensors:
    """The same on the model's device.

    Attributes
    ----------
    tokens, positions, lengths : tensors of shape (n_rows,)
        As in `StepInputs`.
    length : int
        Tokens that are read of each row of the buffer.
    segments : list of SharedSegment
        Shared segments with their rows.

    """

    tokens: Tensor
    positions: Tensor
    lengths: Tensor
    length: int
    segments: list[SharedSegment]

    @classmethod
    def of(cls, inputs: StepInputs, device: torch.device) -> StepTensors:
        """Return the tensors of these inputs alone."""
        n_rows = len(inputs.tokens)
        segments = []
        for segment, rows in inputs.sharing.items():
            last = segment.start + len(segment.tokens) - 1
            segments.append(
                SharedSegment(
                    segment,
                    None if len(rows) == n_rows else torch.tensor(rows, device=device),
                    min(inputs.positions[row] for row in rows) - last,
                )
            )
        return cls(
            torch.tensor(inputs.tokens, device=device),
            torch.tensor(inputs.positions, device=device),
            torch.tensor(inputs.lengths, device=device),
            max(inputs.lengths) + 1,
            segments,
        )


@dataclass(frozen=True)
class DecodeStep:
    """One forward pass over the newest tokens.

    Parameters
    ----------
    model : Module
        The model.
    forward : Forward
        How it is called.
    slot : Slot
        Takes the attention of the pass.
    store : RowStore
        Holds keys and values.
    autocast : callable
        Makes the context of the pass.

    """

    model: nn.Module
    forward: Forward
    slot: Slot
    store: RowStore
    autocast: Autocast

    @property
    def device(self) -> torch.device:
        """The device of the inputs."""
        return next(self.model.parameters()).device

    def __call__(self, inputs: StepTensors) -> Tensor:
        """Return the logits of the next token of every row, (n_rows, vocabulary).

        A function of the tensors given and of the keys and values stored, to which it adds those
        of the newest tokens; given the same again, it writes and returns the same.
        """
        self.store.step.work = Decoding(inputs.lengths)
        self.slot.attention = DecodeAttention(
            self.store, inputs.positions, inputs.lengths + 1, inputs.length, inputs.segments
        )
        every = torch.arange(len(inputs.tokens), device=inputs.tokens.device)
        with self.autocast():
            return self.forward.logits(
                self.model, inputs.tokens, inputs.positions, every, self.store.cache
            )

"""Running generations keep shared keys and values once, and the rest in rows of a buffer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from ..attention.blocks import Layer, UnsupportedAttentionError
from ..attention.kernels import FEW, HALF, add_part, apply_sinks, partial_attention
from .shared_prompts import Segment

__all__ = ["DecodeAttention", "Decoding", "Prefilling", "RowStore", "SharedSegment"]


@dataclass(frozen=True)
class Prefilling:
    """A forward pass over prompts.

    Attributes
    ----------
    past : list of Segment
        Stored segments that come before the first token of the pass.
    segments : list of (Segment, slice)
        New segments and where in the pass their tokens are.
    tails : list of (int, slice)
        Rows of the buffer and where in the pass their tokens are.

    """

    past: list[Segment]
    segments: list[tuple[Segment, slice]]
    tails: list[tuple[int, slice]]


@dataclass(frozen=True)
class Decoding:
    """A forward pass over one new token of each row.

    Attributes
    ----------
    lengths : tensor of shape (n_rows,)
        Tokens of its own each row has before this one.

    """

    lengths: Tensor


@dataclass
class _Step:
    """The running forward pass, and the layer that updated its keys last."""

    work: Prefilling | Decoding | None = None
    layer: _Layer | None = None
    handed_out: tuple[Tensor, Tensor] | None = None


class _Layer(DynamicLayer):  # type: ignore[no-untyped-call]  # its base hooks subclasses untyped
    """Keys and values of one layer of the model."""

    def __init__(self, step: _Step, size: tuple[int, int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        self._step, self._size = step, size
        self.segments: dict[Segment, tuple[Tensor, Tensor]] = {}
        self.rows: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        work = self._step.work
        if isinstance(work, Prefilling):
            return self._prefill(work, key_states, value_states)
        if work is None:
            raise UnsupportedAttentionError("its attention runs outside the generation loop")
        rows = self._rows(key_states, value_states)
        lengths = work.lengths.to(key_states.device)
        index = torch.arange(len(lengths), device=key_states.device)
        for buffer, states in zip(rows, (key_states, value_states), strict=True):
            buffer[index, :, lengths] = states[0].transpose(0, 1)
        self._step.layer, self._step.handed_out = self, (key_states, value_states)
        return key_states, value_states

    def _prefill(self, work: Prefilling, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        for segment, where in work.segments:
            self.segments[segment] = (key[:, :, where].clone(), value[:, :, where].clone())
        for row, where in work.tails:
            length = where.stop - where.start
            for buffer, states in zip(self._rows(key, value), (key, value), strict=True):
                buffer[row, :, :length] = states[0, :, where]
        past = [self.segments[segment] for segment in work.past]
        return (
            torch.cat([*(keys for keys, _ in past), key], 2),
            torch.cat([*(values for _, values in past), value], 2),
        )

    def _rows(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return the buffers, (n_rows, n_kv_heads, length, d)."""
        if self.rows is None:
            rows, length = self._size
            # zeros: keys that a mask hides still enter products, and must not be NaN there
            keys, values = (
                states.new_zeros(rows, states.shape[1], length, states.shape[3])
                for states in (key, value)
            )
            self.rows = (keys, values)
        return self.rows


@dataclass
class RowStore:
    """The cache that a model's forward passes are given while it generates.

    Parameters
    ----------
    rows : int
        Most generations at once.
    length : int
        Most tokens of its own that one of them has.

    Attributes
    ----------
    cache : DynamicCache
        Pass it to the model as ``past_key_values`` with ``step.work`` set.
    step : object
        What the running pass is.

    """

    rows: int
    length: int
    step: _Step = field(default_factory=_Step)
    cache: DynamicCache = field(init=False)

    def __post_init__(self) -> None:
        self.cache = DynamicCache()
        self.cache.layer_class_to_replicate = self._new_layer  # type: ignore[assignment]  # called as a class, with no arguments

    def _new_layer(self) -> _Layer:
        return _Layer(self.step, (self.rows, self.length))

    @property
    def _layers(self) -> list[_Layer]:
        return [layer for layer in self.cache.layers if isinstance(layer, _Layer)]

    def move_row(self, source: int, target: int, length: int) -> None:
        """Copy the first ``length`` tokens of one row of the buffers over another."""
        for layer in self._layers:
            for buffer in layer.rows or ():
                buffer[target, :, :length] = buffer[source, :, :length]

    def drop(self, segment: Segment) -> None:
        """Forget a segment that no running or waiting prompt shares."""
        for layer in self._layers:
            layer.segments.pop(segment, None)


@dataclass(frozen=True)
class SharedSegment:
    """A segment and the rows that attend to it.

    Attributes
    ----------
    segment : Segment
        Stored by every layer.
    rows : tensor of shape (n,), optional
        Rows of the pass; one may repeat. None is all of them.
    distance : int, optional
        Least distance, in positions, of their new tokens from the segment's last token. None where
        it is not known: a recorded pass serves other rows later.

    """

    segment: Segment
    rows: Tensor | None
    distance: int | None = None


@dataclass
class DecodeAttention:
    """Attention of one new token per row to its segments and to its row of the buffer.

    Parameters
    ----------
    store : RowStore
        Where keys and values are.
    positions : tensor of shape (n_rows,)
        Position of each row's new token.
    own : tensor of shape (n_rows,)
        Tokens in each row of the buffer, the new one included.
    length : int
        Tokens that are read of each row, those beyond its own hidden.
    segments : list of SharedSegment
        In the order of their merging.

    Notes
    -----
    No value of a tensor is read on the host, so that what a call computes can be recorded.

    """

    store: RowStore
    positions: Tensor
    own: Tensor
    length: int
    segments: list[SharedSegment]
    _masks: dict[tuple[int | None, torch.device], tuple[Tensor, Tensor]] = field(
        default_factory=dict
    )

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, layer: Layer) -> Tensor:
        """Attend from the new token of every row, all (1, n_heads, n_rows, d)."""
        held, given = self.store.step.layer, self.store.step.handed_out
        if held is None or held.rows is None or given is None:
            raise UnsupportedAttentionError("its layers keep no keys and values")
        if key is not given[0] or value is not given[1]:
            raise UnsupportedAttentionError("its attention changes the keys and values it keeps")
        mask, bias = self._mask(layer.window, query)
        keys, values = (buffer[: len(mask), :, : self.length] for buffer in held.rows)
        alone = not self.segments and layer.sinks is None
        output, total = partial_attention(
            query[0].transpose(0, 1).unsqueeze(2),
            keys,
            values,
            layer.scores,
            mask=mask,
            bias=bias,
            alone=alone,
        )
        output = output.squeeze(2).transpose(0, 1).unsqueeze(0)
        if not alone:
            inner = torch.float32 if query.dtype in HALF else query.dtype
            output = output.to(inner, copy=True)
            total = total.squeeze(2).transpose(0, 1).unsqueeze(0).to(inner, copy=True)
        for shared in self.segments:
            self._add_segment(output, total, query, held.segments[shared.segment], shared, layer)
        if layer.sinks is not None:
            apply_sinks(output, total, layer.sinks)
        return output.transpose(1, 2).to(query.dtype)

    def _add_segment(
        self,
        output: Tensor,
        total: Tensor,
        query: Tensor,
        held: tuple[Tensor, Tensor],
        shared: SharedSegment,
        layer: Layer,
    ) -> None:
        window, segment = layer.window, shared.segment
        if window is not None and shared.distance is not None and shared.distance >= window:
            return
        rows = None if shared.rows is None else shared.rows.to(query.device)
        mask = None
        if window is not None:
            positions = _select(self.positions.to(query.device), 0, rows)
            stop = segment.start + len(segment.tokens)
            place = torch.arange(segment.start, stop, device=query.device)
            mask = (positions[:, None] - place[None] < window)[None, None]
        part, weight = partial_attention(
            _select(query, 2, rows),
            *held,
            layer.scores,
            mask=mask,
            has_blind_queries=mask is not None,
            least_queries=FEW if query.dtype in HALF else 1,  # the same for few rows and for many
        )
        some, sums = _select(output, 2, rows), _select(total, 2, rows)
        add_part(some, sums, part, weight)
        if rows is not None:
            output.index_copy_(2, rows, some)
            total.index_copy_(2, rows, sums)

    def _mask(self, window: int | None, query: Tensor) -> tuple[Tensor, Tensor]:
        """Return which tokens of its own each row sees, (n_rows, 1, 1, length), and the bias."""
        name = (window, query.device)
        if name not in self._masks:
            own = self.own.to(query.device)[:, None]
            place = torch.arange(self.length, device=query.device)[None]
            mask = place < own
            if window is not None:
                mask &= own - 1 - place < window
            mask = mask[:, None, None]
            bias = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, -torch.inf)
            self._masks[name] = (mask, bias)
        return self._masks[name]


def _select(states: Tensor, dim: int, rows: Tensor | None) -> Tensor:
    """Return some rows of ``states``, or ``states`` itself for all of them."""
    return states if rows is None else states.index_select(dim, rows)

"""Generation shares prompts and runs a batch that rows leave and enter one by one."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..attention.backends import AttentionBackend, marks_for, suitable_backends
from ..attention.blocks import attention_over_tree
from ..forward import Autocast, forward_of
from ..plan import Chunk
from .kv_cache import Prefilling, RowStore
from .loop import DecodingStats, Picker, run_batch
from .recording import Recording
from .shared_prompts import Prompt, Segment, share_prompts
from .static_steps import StaticSteps, room
from .steps import DecodeStep, StepInputs, StepTensors

__all__ = ["Computation", "generate"]


@dataclass(frozen=True)
class Computation:
    """How forward passes are computed.

    Attributes
    ----------
    attention_backend : callable, optional
        How attention over prompts is computed, as for
        :func:`~capspace.collect.engine.scoring.score_targets`.
    recording : Recording, optional
        How steps are recorded to be replayed; None runs each as it is.

    """

    attention_backend: AttentionBackend | None = None
    recording: Recording | None = None


_PLAIN = Computation()


@dataclass(eq=False)
class _Row:
    """A running generation."""

    prompt: Prompt
    new: list[int] = field(default_factory=list)

    @property
    def position(self) -> int:
        """Position of the newest token."""
        return self.prompt.tail_start + len(self.prompt.tail) + len(self.new) - 1

    @property
    def stored(self) -> int:
        """Tokens in its row of the buffer: the tail and all new tokens but the newest."""
        return len(self.prompt.tail) + len(self.new) - 1


def generate(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    pick: Picker,
    is_finished: Callable[[list[int]], bool],
    rows: int,
    prefill_tokens: int,
    computation: Computation = _PLAIN,
    autocast: Autocast = nullcontext,
    on_finished: Callable[[int], Any] | None = None,
) -> tuple[list[list[int]], DecodingStats]:
    """Continue every prompt until it is finished.

    Parameters
    ----------
    model : Module
        A causal language model that the engine serves, see
        :func:`~capspace.collect.engine.support.unsupported_reason`.
    prompts : sequence of token id sequences
        None of them empty; they may repeat.
    max_new_tokens : int
        Longest continuation, at least 1.
    pick : callable
        Chooses the next tokens.
    is_finished : callable
        Whether a continuation, given as its tokens so far, ends with its last token.
    rows : int
        Generations that run at once.
    prefill_tokens : int
        Prompt tokens per forward pass; a longer prompt goes alone.
    computation : Computation
        How forward passes are computed.
    autocast : callable
        Makes the context of each forward pass.
    on_finished : callable, optional
        Called with the index of each prompt whose continuation is complete.

    Returns
    -------
    continuations : list of lists of int
        New tokens for each prompt, the one that finished it included.
    stats : DecodingStats
        Tokens read and generated.

    """
    forward = forward_of(model)
    with attention_over_tree(model) as slot, torch.no_grad():
        shared = share_prompts(prompts)
        longest = max((len(prompt.tail) for prompt in shared), default=0) + max_new_tokens
        size = min(rows, len(shared)), longest
        store = RowStore(*(size if computation.recording is None else room(*size)))
        step = DecodeStep(model, forward, slot, store, autocast)
        run = _Run(step, pick, computation, shared)
        return run_batch(
            run,
            prompts,
            max_new_tokens=max_new_tokens,
            is_finished=is_finished,
            rows=rows,
            prefill_tokens=prefill_tokens,
            on_finished=on_finished,
        )


class _Run:
    """The state of one call of :func:`generate`."""

    def __init__(
        self, step: DecodeStep, pick: Picker, computation: Computation, prompts: list[Prompt]
    ) -> None:
        self.decode_step, self.store, self.pick = step, step.store, pick
        backend = computation.attention_backend
        self.attention_backend = backend or suitable_backends(step.model, step.autocast)[0]
        self.waiting = deque(prompts)
        self.active: list[_Row] = []
        self.stored: set[Segment] = set()
        self.users = Counter(segment for prompt in prompts for segment in prompt.chain)
        self.stats = DecodingStats()
        self.static: StaticSteps | None = None
        if computation.recording is not None:
            self.static = StaticSteps(step, computation.recording, [*self.users], self.stats)

    def retire(self, is_complete: Callable[[list[int]], bool]) -> list[tuple[int, list[int]]]:
        """Take out the rows whose tokens are complete."""
        complete = [row for row in self.active if is_complete(row.new)]
        for row in complete:
            self._remove(row)
        return [(row.prompt.index, row.new) for row in complete]

    def _remove(self, row: _Row) -> None:
        """Take a row out; the last one moves to its place in the buffer."""
        place, last = self.active.index(row), len(self.active) - 1
        if place != last:
            self.store.move_row(last, place, self.active[last].stored)
            self.active[place] = self.active[last]
        self.active.pop()
        for segment in row.prompt.chain:
            self.users[segment] -= 1
            if not self.users[segment]:
                self.store.drop(segment)
                if self.static is not None:
                    self.static.drop(segment)

    def prefill(self, most_rows: int, most_tokens: int) -> None:
        """Read the next prompts, as many as fit, and pick their first tokens."""
        first = self.waiting[0]
        past = [segment for segment in first.chain if segment in self.stored]
        pieces: list[tuple[Segment | int, int, int]] = []
        ends: dict[Segment, int] = {}
        tokens: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        marks_of = marks_for(self.attention_backend)
        marks: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        size = 0
        new: list[_Row] = []
        while self.waiting and len(new) < most_rows:
            prompt = self.waiting[0]
            fresh = [segment for segment in prompt.chain if segment not in self.stored]
            more = sum(len(segment.tokens) for segment in fresh) + len(prompt.tail)
            if new and size + more > most_tokens:
                break
            self.waiting.popleft()
            if marks_of is not None:  # what is shared has those of its first prompt
                marks.append(marks_of(prompt.tail_start + len(prompt.tail))[-more:])
            for segment in fresh:
                pieces.append((segment, segment.start, size))
                tokens.append(segment.tokens)
                size += len(segment.tokens)
                self.stored.add(segment)
            pieces.append((len(self.active) + len(new), prompt.tail_start, size))
            tokens.append(prompt.tail)
            size += len(prompt.tail)
            ends.update(dict.fromkeys(prompt.chain, size))
            new.append(_Row(prompt))

        n_past = sum(len(segment.tokens) for segment in past)
        depth = [np.arange(n_past)]
        end = [np.repeat([ends[segment] for segment in past], [len(s.tokens) for s in past])]
        for (owner, start, place), piece in zip(pieces, tokens, strict=True):
            depth.append(np.arange(start, start + len(piece)))
            stop = ends[owner] if isinstance(owner, Segment) else place + len(piece)
            end.append(np.full(len(piece), stop))
        mark = None
        if marks:
            mark = np.concatenate([np.zeros(n_past, dtype=np.int64), *marks])
        chunk = Chunk(n_past, np.concatenate(depth), np.concatenate(end).astype(np.int64), mark)
        where = [
            (owner, slice(place, place + len(piece)))
            for (owner, _, place), piece in zip(pieces, tokens, strict=True)
        ]
        self.store.step.work = Prefilling(
            past,
            [(owner, span) for owner, span in where if isinstance(owner, Segment)],
            [(owner, span) for owner, span in where if isinstance(owner, int)],
        )
        self.decode_step.slot.attention = self.attention_backend(chunk)
        last = [span.stop - 1 for owner, span in where if isinstance(owner, int)]
        self.active.extend(new)
        self.stats.fed_prompt_tokens += size
        step = self.decode_step
        with step.autocast():
            logits = step.forward(
                step.model,
                np.concatenate(tokens),
                chunk.depth[n_past:],
                np.array(last),
                self.store.cache,
            )
        self._pick(logits, new)

    def step(self) -> None:
        """Read the newest token of every row and pick the next."""
        sharing: dict[Segment, list[int]] = {}
        for i, row in enumerate(self.active):
            for segment in row.prompt.chain:
                sharing.setdefault(segment, []).append(i)
        inputs = StepInputs(
            [row.new[-1] for row in self.active],
            [row.position for row in self.active],
            [row.stored for row in self.active],
            sharing,
        )
        self.stats.steps += 1
        if self.static is not None:
            logits = self.static(inputs)
        else:
            logits = self.decode_step(StepTensors.of(inputs, self.decode_step.device))
        self._pick(logits, self.active)

    def _pick(self, logits: Tensor, rows: list[_Row]) -> None:
        picked = self.pick(logits, [row.prompt.index for row in rows])
        for row, token in zip(rows, picked, strict=True):
            row.new.append(token)

"""Texts are generated from the states behind the prompts that they share."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..forward import Autocast
from ..generation.loop import DecodingStats, Picker, run_batch
from ..generation.shared_prompts import Prompt, Segment, share_prompts
from ..tree import IntArray
from .forking import State, fork
from .passes import StateForward, cuts
from .rows import StateRows

__all__ = ["generate_by_states"]


def generate_by_states(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    pick: Picker,
    is_finished: Callable[[list[int]], bool],
    rows: int,
    prefill_tokens: int,
    state_bytes: int = 2**28,
    autocast: Autocast = nullcontext,
    on_finished: Callable[[int], Any] | None = None,
) -> tuple[list[list[int]], DecodingStats]:
    """Continue every prompt until it is finished.

    What prompts share is read once, and each goes on from a copy of the state behind it. Prompts
    are read without padding, which a recurrent state would take in, and in passes of two tokens
    or more, as transformers reads a prompt; new tokens are read one at a time, as it does too.

    Parameters and result are those of :func:`~capspace.collect.engine.generation.decode.generate`,
    but for ``state_bytes``: the bytes that the recurrent states of all rows may take, and those
    held behind shared prompts with their keys and values. ``rows`` allows for the keys and values
    of the rows.
    """
    forward = StateForward.of(model, autocast)
    rows = max(1, min(rows, state_bytes // max(1, forward.size.fixed)))
    shared = share_prompts(prompts, min_tail=2, multiple=forward.block)
    run = _Run(forward, shared, pick, state_bytes)
    with torch.no_grad():
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
    """The state of one call of :func:`generate_by_states`."""

    def __init__(
        self,
        forward: StateForward,
        prompts: list[Prompt],
        pick: Picker,
        state_bytes: int,
    ) -> None:
        self.forward, self.pick = forward, pick
        self.state_bytes = state_bytes
        self.waiting = deque(prompts)
        self.active: list[int] = []
        self.new: dict[int, list[int]] = {}
        self.rows = StateRows()
        self.states: dict[Segment, State] = {}
        self.users = Counter(segment for prompt in prompts for segment in prompt.chain)
        self.stats = DecodingStats()

    def retire(self, is_complete: Callable[[list[int]], bool]) -> list[tuple[int, list[int]]]:
        """Take out the rows whose tokens are complete."""
        done = [is_complete(self.new[prompt]) for prompt in self.active]
        complete = [prompt for prompt, is_done in zip(self.active, done, strict=True) if is_done]
        if complete:
            rows = [row for row, is_done in enumerate(done) if not is_done]
            self.active = [self.active[row] for row in rows]
            self.rows.keep(rows)
        return [(prompt, self.new.pop(prompt)) for prompt in complete]

    def prefill(self, most_rows: int, most_tokens: int) -> None:
        """Read the next prompts that differ from each other in as many last tokens."""
        first = self.waiting[0]
        size = len(first.tail)
        group: list[Prompt] = []
        while (
            self.waiting
            and len(group) < min(most_rows, max(1, most_tokens // size))
            and self.waiting[0].chain == first.chain
            and len(self.waiting[0].tail) == size
        ):
            group.append(self.waiting.popleft())
        state = fork(self._state_behind(first.chain, most_tokens), len(group))
        tails = np.stack([prompt.tail for prompt in group])
        logits = self._read(tails, first.tail_start, state, most_tokens)
        for segment in first.chain:
            self.users[segment] -= len(group)
            if not self.users[segment]:
                self.states.pop(segment, None)
        self.rows.add(state, len(group), first.tail_start + size)
        self._take(logits, [prompt.index for prompt in group])
        self.active.extend(prompt.index for prompt in group)

    def step(self) -> None:
        """Read the newest token of every row and pick the next."""
        newest = np.array([[self.new[prompt][-1]] for prompt in self.active])
        positions = np.array(self.rows.lengths)[:, None]
        logits = self.forward(
            newest, positions, np.zeros(1, np.int64), self.rows.state, self.rows.mask()
        )
        self.rows.advance()
        self.stats.steps += 1
        self._take(logits, self.active)

    def _take(self, logits: Tensor, prompts: list[int]) -> None:
        for prompt, token in zip(prompts, self.pick(logits[:, -1], prompts), strict=True):
            self.new.setdefault(prompt, []).append(token)

    def _state_behind(self, chain: Sequence[Segment], most_tokens: int) -> State:
        """Return the state behind shared segments; those not read yet are read now."""
        n_held = next((n for n in range(len(chain), 0, -1) if chain[n - 1] in self.states), 0)
        state = self.states[chain[n_held - 1]] if n_held else self.forward.empty()
        for segment in chain[n_held:]:
            own = fork(state, 1)
            self._read(segment.tokens[None], segment.start, own, most_tokens)
            self.states[segment] = state = own
            self._make_room(segment)
        return state

    def _make_room(self, newest: Segment) -> None:
        """Forget states held for other prompts, the oldest first, while they take too much."""
        size = self.forward.size
        taken = {held: size.after(held.start + len(held.tokens)) for held in self.states}
        for segment in [held for held in self.states if held is not newest]:
            if sum(taken.values()) > self.state_bytes:  # read again for whoever needs it
                del self.states[segment], taken[segment]

    def _read(self, tokens: IntArray, start: int, state: State, most_tokens: int) -> Tensor:
        """Read rows of prompts, in pieces where they are long; return the last token's logits."""
        length = tokens.shape[1]
        places = np.arange(start, start + length)
        cut_at = cuts(start, length, most_tokens, self.forward.shortest_pass)
        for piece in np.split(np.arange(length), cut_at):
            positions = np.broadcast_to(places[piece], (len(tokens), len(piece)))
            last = np.array([len(piece) - 1])
            logits = self.forward(tokens[:, piece], positions.copy(), last, state)
        self.stats.fed_prompt_tokens += tokens.size
        return logits

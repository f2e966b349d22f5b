"""Continuations get their log-likelihoods from states that go on at the branches of their tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from ..attention.backends import branches, marks_for, suitable_backends
from ..attention.blocks import Slot, attention_over_tree
from ..attention.rows import RowsAttention, row_chunk
from ..plan import Chunk
from ..scoring import Budget, ScoringStats, Target, TargetScores
from ..tree import IntArray, TokenTree, build_tree
from .forking import State, fork
from .passes import StateForward, cuts

__all__ = ["score_by_states"]

_MIN_SAVED = 32
"""A shared stretch that saves fewer tokens is read again for each branch.

On a CPU, each pass takes as long as some 40 tokens of a larger one; on a GPU it is more.
"""
_MOST_STATES = 8
"""States held at once, of branching points above each other."""
_MOST_CONTEXT = 16384
"""Tokens of context that the rows of one pass may hold together."""
_NO_ENTRIES: IntArray = np.empty(0, dtype=np.int64)


def score_by_states(
    model: nn.Module,
    targets: Sequence[Target],
    budget: Budget,
    *,
    softmax_dtype: torch.dtype | None = None,
    on_progress: Callable[[int], Any] | None = None,
    forward: StateForward | None = None,
) -> tuple[list[tuple[float, bool]], ScoringStats]:
    """Score every continuation, going on from the state at the point where texts branch.

    A stretch that several texts share is read once, in a row of its own and without padding, which
    a recurrent state would take in; what is left of the texts is read together, padded on the
    right, from copies of the state.

    Parameters and result are those of :func:`~capspace.collect.engine.scoring.score_targets`, for a
    model that :func:`~capspace.collect.engine.state.forking.goes_on_from_states` lets through.
    ``forward`` is how it is called, in mixed precision or not; found by a pass over three tokens,
    and without, if None.
    """
    forward = forward or StateForward.of(model)
    backend, *_ = suitable_backends(model, forward.autocast)
    is_marked = backend is branches and forward.takes_tree_attention
    tree, located = build_tree(
        [target.inputs for target in targets],
        [len(target.continuation) for target in targets],
        marks_for(branches) if is_marked else None,
    )
    stats = ScoringStats(
        requested_tokens=sum(len(target.inputs) for target in targets), unique_tokens=len(tree)
    )
    if not targets:
        return [], stats
    scores = TargetScores(targets, located, softmax_dtype)
    attention = attention_over_tree(model) if is_marked else nullcontext(Slot())
    with torch.no_grad(), attention as slot:
        run = _Run(forward, tree, scores, budget, stats, on_progress, slot)
        run.branches(_children(tree, 0, len(tree)), None)
    return scores.totals(), stats


class _Run:
    """The state of one call of :func:`score_by_states`."""

    def __init__(
        self,
        forward: StateForward,
        tree: TokenTree,
        scores: TargetScores,
        budget: Budget,
        stats: ScoringStats,
        on_progress: Callable[[int], Any] | None,
        slot: Slot,
    ) -> None:
        self.forward, self.tree, self.scores, self.budget = forward, tree, scores, budget
        self.stats, self.on_progress = stats, on_progress
        self.slot = slot
        self.held: list[int] = []  # bytes of each state above the branches that are read

    def branches(
        self, starts: list[int], state: State | None, rest: IntArray = _NO_ENTRIES
    ) -> None:
        """Read all that follows a state: the branches that begin at these entries of the tree.

        Each begins with the ``rest`` of what they share, of which there is no state.
        """
        tree, block = self.tree, self.forward.block
        texts: list[IntArray] = []
        inner: list[tuple[IntArray, IntArray, list[int]]] = []
        open_branches = [(rest, start) for start in reversed(starts)]
        while open_branches:
            before, start = open_branches.pop()
            stop = _run_end(tree, start)
            stretch = np.concatenate([before, np.arange(start, stop)])
            children = _children(tree, stop, int(tree.end[stop - 1]))
            n_tokens = int(tree.depth[stop - 1]) + 1
            n_shared = len(stretch) - n_tokens % block
            if not children:
                texts.append(stretch)
            elif self._has_room(n_tokens // block * block) and _is_worth_a_state(
                n_shared, len(children)
            ):
                inner.append((stretch[:n_shared], stretch[n_shared:], children))
            else:  # too short or too deep: read again for each of its branches
                open_branches.extend((stretch, child) for child in reversed(children))
        self._read_texts(texts, state)
        for shared, rest, children in inner:
            own = self._read_alone(shared, state)
            self.held.append(self.forward.size.after(int(tree.depth[shared[-1]]) + 1))
            self.branches(children, own, rest)
            self.held.pop()

    def _has_room(self, n_tokens: int) -> bool:
        """Return whether one more state may be held, that behind so many tokens."""
        # the other half is left to the copies of a pass
        taken = sum(self.held) + self.forward.size.after(n_tokens)
        fits = 2 * taken <= self.budget.state_bytes
        return not self.held or (fits and len(self.held) < _MOST_STATES)

    def _copy(self, state: State | None, rows: int) -> State:
        return self.forward.empty() if state is None else fork(state, rows)

    def _read_texts(self, texts: list[IntArray], state: State | None) -> None:
        """Read what is left of texts, several at once, and keep no state."""
        waiting = sorted(texts, key=len)
        while waiting:
            longest = len(waiting[-1])
            n_needed = int(self.scores.is_needed(waiting[-1]).sum())
            if longest > self.budget.tokens or n_needed > self.budget.rows:
                self._read_alone(waiting.pop(), state)
                continue
            depth = int(self.tree.depth[waiting[-1][-1]]) + 1
            row_bytes = max(1, self.forward.size.after(depth))
            rows = min(
                len(waiting),
                self.budget.tokens // longest,
                self.budget.rows // max(n_needed, 1),
                max(1, _MOST_CONTEXT // depth),
                max(1, (self.budget.state_bytes - sum(self.held)) // row_bytes),
            )
            try:
                self._read(waiting[-rows:], self._copy(state, rows))
            except torch.OutOfMemoryError:
                if rows == 1 and longest <= self.forward.shortest_pass:
                    raise
                tokens = max(1, rows * longest // 2)
                self.budget = (
                    Budget(
                        tokens,
                        max(1, rows * n_needed // 2),
                        sum(self.held) + rows * row_bytes // 2,
                    )
                    if rows > 1
                    else replace(self.budget, tokens=tokens)  # a single text, now read in pieces
                )
                continue
            waiting = waiting[:-rows]

    def _read_alone(self, entries: IntArray, state: State | None) -> State:
        """Read one stretch, in pieces where it is long, and return the state behind it."""
        first = int(self.tree.depth[entries[0]])
        while True:
            most = self.budget.tokens
            if self.scores.is_needed(entries).sum() > self.budget.rows:
                most = min(most, self.budget.rows)
            own = None
            try:
                own = self._copy(state, 1)
                places = cuts(first, len(entries), most, self.forward.shortest_pass)
                for piece in np.split(entries, places):
                    self._read([piece], own)
            except torch.OutOfMemoryError:
                most = min(most, len(entries))
                if most <= self.forward.shortest_pass:
                    raise
                self.budget = replace(self.budget, tokens=most // 2)
                continue
            return own

    def _read(self, texts: list[IntArray], state: State) -> None:
        """Read stretches of the tree, each in a row, padded on the right.

        The state is of use afterwards where there is one row, of two tokens or more.
        """
        # a single token would be computed step by step, which some models do not do exactly so
        longest = max(2, *map(len, texts))
        first = self.tree.depth[[entries[0] for entries in texts]]
        entry_of = np.zeros((len(texts), longest), dtype=np.int64)
        is_needed = np.zeros((len(texts), longest), dtype=bool)
        for row, entries in enumerate(texts):
            entry_of[row, : len(entries)] = entries
            is_needed[row, : len(entries)] = self.scores.is_needed(entries)
        # asked for no logits at all, a model may return all of them
        columns = np.flatnonzero(is_needed.any(0)) if is_needed.any() else np.zeros(1, np.int64)
        if self.tree.mark is not None:
            chunks = [_row_chunk(self.tree, self.tree.mark, entries) for entries in texts]
            self.slot.attention = RowsAttention(chunks, branches)
        logits = self.forward(
            self.tree.tokens[entry_of], first[:, None] + np.arange(longest), columns, state
        )
        self.stats.fed_tokens += sum(map(len, texts))
        self.stats.chunks += 1
        self.stats.logit_rows += int(is_needed.sum())
        rows, places = np.nonzero(is_needed[:, columns])
        if len(rows):
            index = torch.from_numpy(rows * len(columns) + places).to(logits.device)
            self.scores.add(
                entry_of[rows, columns[places]], logits.flatten(0, 1).index_select(0, index)
            )
        if self.on_progress is not None:
            self.on_progress(self.scores.n_done)


def _row_chunk(tree: TokenTree, mark: IntArray, entries: IntArray) -> Chunk:
    first, last = int(entries[0]), int(entries[-1])
    goes_on = bool(tree.end[last] > last + 1)
    return row_chunk(int(tree.depth[first]), mark[entries], goes_on=goes_on)


def _is_worth_a_state(n_tokens: int, n_branches: int) -> bool:
    """Return whether a stretch is read once for its branches, not again for each."""
    return n_tokens > 1 and n_tokens * (n_branches - 1) >= _MIN_SAVED


def _run_end(tree: TokenTree, start: int) -> int:
    """Return the entry after the last one that all texts through ``start`` share."""
    end = tree.end
    stop = start + 1
    while stop < end[stop - 1] and end[stop] == end[stop - 1]:
        stop += 1
    return stop


def _children(tree: TokenTree, start: int, stop: int) -> list[int]:
    """Return the entries that begin the branches between ``start`` and ``stop``."""
    begins = []
    while start < stop:
        begins.append(start)
        start = int(tree.end[start])
    return begins

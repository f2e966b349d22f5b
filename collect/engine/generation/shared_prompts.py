"""Prefixes that many prompts share are computed once and stored while their texts are generated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..tree import IntArray, shared_prefix_length, sort_key

__all__ = ["MIN_SHARED", "Prompt", "Segment", "longest_tail", "share_prompts"]

MIN_SHARED = 32
"""Shorter stretches are computed for each prompt: one more part to merge costs more."""


@dataclass(frozen=True, eq=False)
class Segment:
    """Tokens that several prompts share, after those of its parent.

    Attributes
    ----------
    tokens : array of shape (n,)
        Token ids.
    start : int
        Position of the first of them.

    """

    tokens: IntArray
    start: int


@dataclass(frozen=True)
class Prompt:
    """One prompt as shared segments and a tail of its own.

    Attributes
    ----------
    index : int
        Which of the prompts given.
    chain : tuple of Segment
        The shared part, from position 0 on.
    tail : array of shape (n,)
        The rest; at least one token, whose logits give the first new one.

    """

    index: int
    chain: tuple[Segment, ...]
    tail: IntArray

    @property
    def tail_start(self) -> int:
        """Position of the first token of the tail."""
        return sum(len(segment.tokens) for segment in self.chain)


def share_prompts(
    prompts: Sequence[Sequence[int]],
    min_shared: int = MIN_SHARED,
    min_tail: int = 1,
    multiple: int = 1,
) -> list[Prompt]:
    """Find what prompts share, among all of them and within groups that share more.

    Parameters
    ----------
    prompts : sequence of token id sequences
        None of them empty; they may repeat.
    min_shared : int
        Shortest segment.
    min_tail : int
        Shortest rest of a prompt that shares a segment.
    multiple : int
        Segments end at multiples of as many tokens.

    Returns
    -------
    list of Prompt
        In depth-first order: the prompts that share a segment are neighbours.

    """
    users: dict[bytes, list[int]] = {}
    for index, prompt in enumerate(prompts):
        users.setdefault(sort_key(prompt), []).append(index)
    keys = sorted(users)
    rows = [np.frombuffer(key, dtype=">u4").astype(np.int64) for key in keys]
    # shared[i]: tokens that row i has in common with row i - 1
    shared = np.array([0, *(shared_prefix_length(a, b) for a, b in pairwise(rows))])
    ordered: list[Prompt] = []
    stack: list[tuple[int, int, int, tuple[Segment, ...]]] = [(0, len(rows), 0, ())]
    while stack:
        low, high, depth, chain = stack.pop()
        if low == high:
            continue
        common = int(shared[low + 1 : high].min()) if high - low > 1 else len(rows[low])
        last = min(common, min(len(row) for row in rows[low:high]) - min_tail)
        last -= last % multiple
        alone = high - low == 1 and len(users[keys[low]]) == 1
        if not alone and last - depth >= min_shared:
            chain = (*chain, Segment(rows[low][depth:last], depth))
            depth = last
        if high - low == 1:
            ordered.extend(Prompt(index, chain, rows[low][depth:]) for index in users[keys[low]])
            continue
        cuts = [low, *(low + 1 + np.flatnonzero(shared[low + 1 : high] == common)).tolist(), high]
        stack.extend((a, b, depth, chain) for a, b in reversed(list(pairwise(cuts))))
    return ordered


def longest_tail(prompts: Sequence[Sequence[int]]) -> int:
    """Return how many tokens of a prompt are stored for it alone, at most."""
    return max(len(prompt.tail) for prompt in share_prompts(prompts))

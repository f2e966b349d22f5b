"""The prefix tree of many token sequences is stored as one depth-first row of distinct tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["IntArray", "TokenTree", "build_tree", "shared_prefix_length", "sort_key"]

IntArray = NDArray[np.int64]

_TOKEN_BITS = 20  # of 32, the others are those of a mark


@dataclass(frozen=True)
class TokenTree:
    """Distinct tokens of a set of sequences, in depth-first order.

    Attributes
    ----------
    tokens : array of shape (n,)
        Token ids. Two sequences share an entry where they agree from their first token on.
    depth : array of shape (n,)
        Position of each token in the sequences that hold it, from 0.
    end : array of shape (n,)
        Entries ``i + 1 .. end[i] - 1`` are the descendants of entry ``i``.
    mark : array of shape (n,), optional
        The mark of each token in the sequences that hold it, see `build_tree`; None if none has.

    Notes
    -----
    Entry ``k`` is ``i`` or one of its ancestors exactly where ``k <= i < end[k]``. This holds in
    any contiguous slice of the row together with the ancestors of its first entry, so the row may
    be cut anywhere and evaluated slice by slice.

    """

    tokens: IntArray
    depth: IntArray
    end: IntArray
    mark: IntArray | None

    def __len__(self) -> int:
        return len(self.tokens)

    def path_after(self, path: IntArray, start: int, stop: int) -> IntArray:
        """Return the ancestors of entry ``stop``, given those of entry ``start``.

        Parameters
        ----------
        path : array
            Ancestors of entry ``start``, ascending.
        start, stop : int
            A slice of the row, ``start <= stop``.

        Returns
        -------
        array
            Ancestors of entry ``stop``, ascending, hence by depth.

        """
        candidates = np.concatenate([path, np.arange(start, stop)])
        open_there: IntArray = candidates[self.end[candidates] > stop]
        return open_there


def sort_key(sequence: Sequence[int] | IntArray) -> bytes:
    """Return bytes that order as the token ids do, so that shared prefixes become neighbours."""
    return np.asarray(sequence, dtype=">u4").tobytes()


def shared_prefix_length(left: IntArray, right: IntArray) -> int:
    """Return how many leading entries two rows of token ids share."""
    length = min(len(left), len(right))
    differs = left[:length] != right[:length]
    first = int(differs.argmax()) if length else 0
    return first if length and differs[first] else length


def build_tree(
    sequences: Sequence[Sequence[int]],
    tails: Sequence[int],
    marks_of: Callable[[int], IntArray] | None = None,
) -> tuple[TokenTree, list[IntArray]]:
    """Build the prefix tree of ``sequences`` and say where each of them ends in it.

    Parameters
    ----------
    sequences : sequence of token id sequences
        May repeat, and may be prefixes of each other.
    tails : sequence of int
        For each sequence, how many of its last tokens to locate.
    marks_of : callable, optional
        Given the length of a sequence, returns a mark of each of its tokens, from 0 to 4095.
        Sequences share an entry only where their tokens have the same mark. No token has one if
        None.

    Returns
    -------
    tree : TokenTree
        The distinct tokens.
    located : list of arrays
        For each sequence, in the order given, the entries of ``tree`` that hold its last
        ``tails[i]`` tokens.

    Raises
    ------
    ValueError
        If tokens that have marks are not below 2^20.

    """
    keys = [sort_key(_marked(sequence, marks_of)) for sequence in sequences]
    tail_of: dict[bytes, int] = {}
    for key, tail in zip(keys, tails, strict=True):
        tail_of[key] = max(tail, tail_of.get(key, 0))
    longest = max((len(key) // 4 for key in tail_of), default=0)
    path = np.empty(longest, dtype=np.int64)
    previous = np.empty(0, dtype=np.int64)
    tokens: list[IntArray] = [previous]
    depth: list[IntArray] = [previous]
    closed: list[tuple[IntArray, int]] = []
    located: dict[bytes, IntArray] = {}
    size = 0
    for key in sorted(tail_of):
        row = np.frombuffer(key, dtype=">u4").astype(np.int64)
        shared = shared_prefix_length(previous, row)
        closed.append((path[shared : len(previous)].copy(), size))
        path[shared : len(row)] = np.arange(size, size + len(row) - shared)
        tokens.append(row[shared:])
        depth.append(np.arange(shared, len(row)))
        size += len(row) - shared
        located[key] = path[len(row) - tail_of[key] : len(row)].copy()
        previous = row
    end = np.full(size, size, dtype=np.int64)
    for entries, stop in closed:
        end[entries] = stop
    marked = np.concatenate(tokens)
    if marks_of is None:
        tree = TokenTree(marked, np.concatenate(depth), end, None)
    else:
        own = marked & (1 << _TOKEN_BITS) - 1
        tree = TokenTree(own, np.concatenate(depth), end, marked >> _TOKEN_BITS)
    return tree, [
        located[key][len(located[key]) - tail :] for key, tail in zip(keys, tails, strict=True)
    ]


def _marked(
    sequence: Sequence[int], marks_of: Callable[[int], IntArray] | None
) -> Sequence[int] | IntArray:
    """Return numbers that are equal where both a token and its mark are."""
    if marks_of is None:
        return sequence
    tokens = np.asarray(sequence, dtype=np.int64)
    if len(tokens) and int(tokens.max()) >> _TOKEN_BITS:
        raise ValueError(f"token {tokens.max()} has more than {_TOKEN_BITS} bits")
    marked: IntArray = tokens | marks_of(len(tokens)) << _TOKEN_BITS
    return marked

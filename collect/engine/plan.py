"""A chunk of the prefix tree becomes a short list of blocks: which queries meet which keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .tree import IntArray

__all__ = ["Block", "BlockPlanner", "Chunk", "cascade_blocks", "runs_to_leaves", "tree_blocks"]

BoolArray = NDArray[np.bool_]

GROUP_TOKENS = 256
"""Small subtrees are packed up to this many tokens into one masked square."""
SMALL_PIECE = 16
"""Ancestor segments shorter than this join the square, a kernel call of their own costs more."""


@dataclass(frozen=True)
class Chunk:
    """A contiguous slice of a prefix tree, with the ancestors of its first token.

    Attributes
    ----------
    n_past : int
        Number of ancestors; they are the first keys, by depth.
    depth : array of shape (n_past + n_tokens,)
        Position of every key in its sequences.
    end : array of shape (n_past + n_tokens,)
        First token of the chunk, counted from its start, that no longer sees this key.
    mark : array of shape (n_past + n_tokens,), optional
        The mark of each key in its texts, see :func:`~capspace.collect.engine.tree.build_tree`.

    """

    n_past: int
    depth: IntArray
    end: IntArray
    mark: IntArray | None = None

    @property
    def n_tokens(self) -> int:
        """Number of tokens to evaluate."""
        return len(self.depth) - self.n_past

    def reached_by(self, window: int | None) -> int | None:
        """Return ``window``, or None where it is longer than every sequence and hides nothing."""
        return None if window is not None and window > int(self.depth.max()) else window

    def visible(self, queries: IntArray, keys: IntArray, window: int | None) -> BoolArray:
        """Return which of ``keys`` each of ``queries`` attends to, (n_queries, n_keys)."""
        query_key = queries[:, None] + self.n_past
        seen = (keys[None] <= query_key) & (queries[:, None] < self.end[keys][None])
        if window is not None:
            distance = self.depth[query_key] - self.depth[keys][None]
            seen &= distance < window
        return seen


@dataclass(frozen=True)
class Block:
    """Attention of a range of queries to some keys.

    Attributes
    ----------
    start, stop : int
        The queries, counted from the start of the chunk.
    keys : slice or array
        The keys, counted from the first ancestor.
    causal : bool
        Query ``i`` sees the first ``i + 1`` keys, and ``mask`` is None.
    mask : array of shape (stop - start, n_keys), optional
        Which keys each query sees; None, unless ``causal``, is all of them.
    has_blind_queries : bool
        Some rows of ``mask`` are all False.
    least_queries : int
        With how many queries a kernel is to compute the block at least.

    """

    start: int
    stop: int
    keys: slice | IntArray
    causal: bool = False
    mask: BoolArray | None = None
    has_blind_queries: bool = False
    least_queries: int = 1


BlockPlanner = Callable[[Chunk, int | None], tuple[list[Block], list[Block]]]


@dataclass(frozen=True)
class _Piece:
    """A run of keys on the path from the root, seen in full by all queries from ``since`` on."""

    start: int
    stop: int
    since: int


def tree_blocks(chunk: Chunk, window: int | None = None) -> tuple[list[Block], list[Block]]:
    """Return the chunk as one masked rectangle, and no further blocks (tree attention)."""
    n_keys = len(chunk.depth)
    mask = chunk.visible(np.arange(chunk.n_tokens), np.arange(n_keys), window)
    return [Block(0, chunk.n_tokens, slice(0, n_keys), mask=mask)], []


def cascade_blocks(
    chunk: Chunk, window: int | None = None, group_tokens: int = GROUP_TOKENS
) -> tuple[list[Block], list[Block]]:
    """Cut the chunk into squares along the diagonal and rectangles of shared ancestors.

    Parameters
    ----------
    chunk : Chunk
        The tokens.
    window : int, optional
        Sliding window: a query sees keys less than this many positions back.
    group_tokens : int
        Largest square that packs several branches.

    Returns
    -------
    squares : list of Block
        One block for each query, each query in exactly one of them; every query sees a key.
    rectangles : list of Block
        Further keys for some queries. All blocks of a query hold different keys, and together
        all that it sees: its output is their average weighted by the exponential of their
        log-sum-exp.

    Notes
    -----
    A branch that shares ``d`` tokens with the one before it leaves the path at depth ``d``. The
    path is a stack of pieces; a piece is closed, as one unmasked rectangle over all queries since
    it was pushed, when a branch leaves above it.

    References
    ----------
    Ye et al. (2024), Cascade inference: memory bandwidth efficient shared prefix batch decoding.

    """
    squares: list[Block] = []
    rectangles: list[Block] = []
    path = [_Piece(0, chunk.n_past, 0)] if chunk.n_past else []

    def close(piece: _Piece, start: int, now: int) -> None:
        if piece.since < now:
            rectangles.extend(_rectangle(chunk, piece.since, now, start, piece.stop, window))

    for begin, stop, attach in _groups(chunk, group_tokens):
        reached = int(chunk.depth[chunk.n_past + begin])
        left: list[tuple[int, int]] = []
        while path and int(chunk.depth[path[-1].stop - 1]) >= attach:
            piece = path.pop()
            origin = piece.start - int(chunk.depth[piece.start])
            cut = max(piece.start, origin + attach)
            close(piece, cut, begin)
            if cut < min(piece.stop, origin + reached):
                left.append((cut, min(piece.stop, origin + reached)))
            if cut > piece.start:
                path.append(_Piece(piece.start, cut, piece.since))
        while stop - begin <= group_tokens and path and _is_small(path[-1], begin):
            piece = path.pop()
            left.append((piece.start, piece.stop))
        own = (chunk.n_past + begin, chunk.n_past + stop)
        runs = [*reversed(left), own]
        squares.append(_square(chunk, begin, stop, runs, window))
        path.extend(_open_pieces(chunk, runs, stop))
    for piece in path:
        close(piece, piece.start, chunk.n_tokens)
    return squares, rectangles


def _is_small(piece: _Piece, now: int) -> bool:
    return piece.since == now and piece.stop - piece.start < SMALL_PIECE


def runs_to_leaves(chunk: Chunk) -> list[tuple[int, int]]:
    """Return (start, stop) of each run of tokens that ends with a leaf."""
    end = chunk.end[chunk.n_past :]
    leaves = np.arange(1, chunk.n_tokens) >= end[:-1]
    starts = [0, *(np.flatnonzero(leaves) + 1).tolist()]
    return list(zip(starts, [*starts[1:], chunk.n_tokens], strict=True))


def _groups(chunk: Chunk, group_tokens: int) -> list[tuple[int, int, int]]:
    """Return (start, stop, depth of the highest attachment) of consecutive groups of branches."""
    depth = chunk.depth[chunk.n_past :]
    groups: list[tuple[int, int, int]] = []
    for start, stop in runs_to_leaves(chunk):
        attach = int(depth[start])
        if groups:
            first, _, highest = groups[-1]
            lowered = int(depth[first]) - min(attach, highest)
            if stop - first <= group_tokens and lowered <= group_tokens // 4:
                groups[-1] = (first, stop, min(attach, highest))
                continue
        groups.append((start, stop, attach))
    return groups


def _square(
    chunk: Chunk, start: int, stop: int, runs: list[tuple[int, int]], window: int | None
) -> Block:
    queries = np.arange(start, stop)
    keys: slice | IntArray = slice(*runs[0])
    entries = np.arange(*runs[0])
    if len(runs) > 1:
        keys = entries = np.concatenate([np.arange(*run) for run in runs])
    elif window is None or stop - start <= window:
        unbranched = bool((chunk.end[entries] >= stop).all())
        if unbranched:
            return Block(start, stop, keys, causal=True)
    return Block(start, stop, keys, mask=chunk.visible(queries, entries, window))


def _rectangle(
    chunk: Chunk, start: int, stop: int, first: int, last: int, window: int | None
) -> list[Block]:
    """Return the block of keys ``first .. last - 1``, without those out of every query's window."""
    if window is None:
        return [Block(start, stop, slice(first, last))]
    position = chunk.depth[chunk.n_past + start : chunk.n_past + stop]
    reach = int(position.min()) - window + 1
    first = max(first, first + reach - int(chunk.depth[first]))
    if first >= last:
        return []
    if int(position.max()) - int(chunk.depth[first]) < window:
        return [Block(start, stop, slice(first, last))]
    mask = chunk.visible(np.arange(start, stop), np.arange(first, last), window)
    blind = not bool(mask.any(axis=1).all())
    return [Block(start, stop, slice(first, last), mask=mask, has_blind_queries=blind)]


def _open_pieces(chunk: Chunk, runs: list[tuple[int, int]], now: int) -> list[_Piece]:
    """Return the keys of ``runs`` that queries from ``now`` on still see, as contiguous pieces."""
    entries = np.concatenate([np.arange(*run) for run in runs])
    entries = entries[chunk.end[entries] > now]
    if not len(entries):
        return []
    breaks = np.flatnonzero(np.diff(entries) != 1) + 1
    return [_Piece(int(piece[0]), int(piece[-1]) + 1, now) for piece in np.split(entries, breaks)]

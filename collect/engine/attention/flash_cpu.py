"""Each branch of the tree is computed as torch's flash kernel for CPUs computes its text alone.

How the kernel rounds depends on how many queries and keys there are, which shows in half precision:

- It takes 32 queries at a time, 64 in texts of 192 tokens or more, 256 of 768 or more, and
  computes fewer than four by other code than more of them.
- It takes 512 keys at a time. If there are 193 to 383 in the last of these blocks, it adds up their
  products in two halves, else 192 at a time; if there are fewer than 16, by four and eight.
- It computes the weights of 16 keys at once (8 without AVX-512), and those of the last ones, beyond
  a multiple of 16, by another exponential.

The sizes of the blocks are those of ``FlashAttentionKernel.cpp`` in torch 2.6 to 2.15; how it adds
up, and the four queries, were found by trial, on an AMD EPYC with AVX-512.
"""

from __future__ import annotations

import numpy as np
import torch

from ..plan import Block, Chunk, runs_to_leaves
from ..tree import IntArray
from .kernels import FEW

__all__ = ["branch_blocks", "marks_of_text"]

_VECTOR = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8
_KEYS, _SUMMED, _HARDLY_ANY = 512, 192, 16
_QUERIES = 32  # divides the other numbers of queries that the kernel takes at a time


def marks_of_text(n_tokens: int) -> IntArray:
    """Return a mark of each token of a text; the kernel computes those of the same mark alike.

    Parameters
    ----------
    n_tokens : int
        How long the text is.

    Returns
    -------
    array of shape (n_tokens,)
        The sum of 8 times the number of keys in the last block, made odd if they are added up in
        halves, for tokens for which it matters; of 2 times the number of the last queries, for
        these, if they are fewer than four; and of 1 for the last keys beyond a multiple of what the
        kernel computes at once.

    """
    marks = np.zeros(n_tokens, dtype=np.int64)
    n_last = n_tokens % _KEYS
    if _SUMMED < n_last < 2 * _SUMMED:
        marks[n_tokens - n_last + n_last // 2 :] = 8 * (n_last | 1)  # both have the same half
    elif 0 < n_last < _HARDLY_ANY:
        marks[n_tokens - n_last :] = 8 * n_last
    n_few = n_tokens % _n_queries(n_tokens)
    if n_few < FEW:
        marks[n_tokens - n_few :] += 2 * n_few
    marks[n_tokens - n_tokens % _VECTOR :] += 1
    return marks


def branch_blocks(chunk: Chunk, window: int | None = None) -> tuple[list[Block], list[Block]]:
    """Return blocks of each branch, with all keys from the root to its leaf, and no others.

    The tokens of a block and its keys are those of one text in the order of the text. Tokens that
    several texts share are in a block of the first of them. With marks, a block has the numbers of
    queries and keys of the whole text, where they matter: the last queries, if they are few, are a
    block of their own; a text that goes on behind the chunk gets further keys, seen by no query.

    Parameters
    ----------
    chunk : Chunk
        The tokens, with marks by `marks_of_text` or none.
    window : int, optional
        Sliding window: a query sees keys less than this many positions back.

    """
    blocks: list[Block] = []
    for start, stop in runs_to_leaves(chunk):
        last = chunk.n_past + stop - 1
        keys = np.flatnonzero(chunk.end[: last + 1] >= stop)
        marks = np.zeros(stop - start, dtype=np.int64)
        if chunk.mark is not None:
            marks = chunk.mark[chunk.n_past + start : last + 1]
        is_cut = chunk.mark is not None and chunk.end[last] > stop
        if len(keys) == stop - start and not is_cut and chunk.reached_by(window) is None:
            blocks.append(Block(start, stop, slice(int(keys[0]), last + 1), causal=True))
            continue
        further = _n_keys_if_cut(len(keys), int(marks[-1])) - len(keys) if is_cut else 0
        mask = chunk.visible(np.arange(start, stop), keys, window)
        mask = np.pad(mask, ((0, 0), (0, further)))
        keys = np.pad(keys, (0, further), mode="edge")
        n_usual = stop - start - int(np.count_nonzero(_n_few(marks)))
        for first, end, least in (
            (start, start + n_usual, n_usual + _n_missing(n_usual)),
            (start + n_usual, stop, int(_n_few(marks[-1]))),
        ):
            if first < end:
                seen = mask[first - start : end - start]
                blocks.append(Block(first, end, keys, mask=seen, least_queries=least))
    return blocks, []


def _n_queries(n_tokens: int) -> int:
    """Return how many queries the kernel takes at a time."""
    return 256 if n_tokens >= 768 else 64 if n_tokens >= 192 else _QUERIES


def _n_missing(n_queries: int) -> int:
    """Return how many queries are missing for the last of them not to be few."""
    size = _n_queries(n_queries)
    return max(0, FEW - (n_queries % size or size))


def _n_keys_if_cut(n_keys: int, mark: int) -> int:
    """Return with how many keys the kernel computes these first tokens of a longer text.

    Parameters
    ----------
    n_keys : int
        How many tokens there are.
    mark : int
        Of the last of them.

    """
    n_last = (n_keys - 1) % _KEYS + 1
    before, n_in_last_block = n_keys - n_last, mark >> 3
    if n_few := int(_n_few(mark)):  # behind a multiple of queries at a time, in one of the last few
        return (n_keys - 1) // _QUERIES * _QUERIES + n_few
    if n_in_last_block:
        return before + n_in_last_block
    if mark & 1:
        return n_keys
    return before + (_KEYS if n_last > _SUMMED else -(-n_last // _VECTOR) * _VECTOR)


def _n_few(mark: IntArray | int) -> IntArray | int:
    """Return how many last queries there are in the text, if they are few and this is one."""
    return mark >> 1 & 3

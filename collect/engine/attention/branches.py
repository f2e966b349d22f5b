"""Each branch of the tree is computed as torch's flash kernel for CPUs computes its text alone.

The kernel rounds what it adds up, and how depends on how many queries and keys there are. In half
precision this shows in scores, so that the branches of a chunk get the numbers of their texts:

- It takes 256 queries at a time in texts of at least 768 tokens, 64 of at least 192, else 32, and
  multiplies fewer than four by other code than more of them.
- It takes 512 keys at a time, and adds up their products in two halves where the last of them are
  between 192 and 384.
- It computes the weights of 16 keys at once (8 without AVX-512), and those of the last ones, beyond
  a multiple of 16, by another exponential.
"""

from __future__ import annotations

import numpy as np
import torch

from ..plan import Block, Chunk, runs_to_leaves
from ..tree import IntArray

__all__ = ["branch_blocks", "marks_of_text"]

_VECTOR = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8
_KEYS, _SUMMED = 512, 192
_FEW = 4


def marks_of_text(n_tokens: int) -> IntArray:
    """Return a mark of each token of a text; the kernel computes those of the same mark alike.

    Parameters
    ----------
    n_tokens : int
        How long the text is.

    Returns
    -------
    array of shape (n_tokens,)
        The sum of 8 times the number of keys in a first half, for tokens that see keys of the
        second; of 2 times the number of the last queries, for these, if they are fewer than four;
        and of 1 for the last keys beyond a multiple of what the kernel computes at once.

    """
    marks = np.zeros(n_tokens, dtype=np.int64)
    n_last = n_tokens % _KEYS
    if _SUMMED < n_last < 2 * _SUMMED:
        half = n_last // 2
        marks[n_tokens - n_last + half :] = 8 * half
    n_few = n_tokens % _n_queries(n_tokens)
    if n_few < _FEW:
        marks[n_tokens - n_few :] += 2 * n_few
    marks[n_tokens - n_tokens % _VECTOR :] += 1
    return marks


def branch_blocks(chunk: Chunk, window: int | None = None) -> tuple[list[Block], list[Block]]:
    """Return blocks of each branch, with all keys from the root to its leaf, and no others.

    The tokens of a block and its keys are those of one text in the order of the text. Tokens that
    several texts share are in a block of the first of them. Where a text goes on behind the chunk,
    there are as many keys as the kernel takes of the whole text, the further ones seen by no query;
    of the last queries of a text, if they are few, there are as many as in the whole text, and at
    least four of others.

    Parameters
    ----------
    chunk : Chunk
        The tokens, with marks by `marks_of_text`; blocks have no further keys and queries if None.
    window : int, optional
        Sliding window: a query sees keys less than this many positions back.

    """
    blocks: list[Block] = []
    for start, stop in runs_to_leaves(chunk):
        last = chunk.n_past + stop - 1
        keys = np.flatnonzero(chunk.end[: last + 1] >= stop)
        marks = None if chunk.mark is None else chunk.mark[chunk.n_past + start : last + 1]
        is_cut = marks is not None and chunk.end[last] > stop
        if len(keys) == stop - start and not is_cut and chunk.reached_by(window) is None:
            blocks.append(Block(start, stop, slice(int(keys[0]), last + 1), causal=True))
            continue
        n_keys, n_few, first_few = len(keys), 0, stop
        if marks is not None:
            n_keys = _n_keys_if_cut(n_keys, int(marks[-1])) if is_cut else n_keys
            n_few = int(marks[-1]) >> 1 & 3
            first_few = stop - int(np.count_nonzero(marks >> 1 & 3))
        further = n_keys - len(keys)
        visible = chunk.visible(np.arange(start, stop), keys, window)
        visible = np.pad(visible, ((0, 0), (0, further)))
        keys = np.pad(keys, (0, further), mode="edge")
        for first, end, n_queries in ((start, first_few, 0), (first_few, stop, n_few)):
            if first == end:
                continue
            if marks is not None and n_queries == 0:
                n_queries = end - first + _n_missing(end - first)
            mask = visible[first - start : end - start]
            mask = np.pad(mask, ((0, max(0, n_queries - len(mask))), (0, 0)), mode="edge")
            blocks.append(Block(first, end, keys, mask=mask))
    return blocks, []


def _n_queries(n_tokens: int) -> int:
    """Return how many queries the kernel takes at a time."""
    return 256 if n_tokens >= 768 else 64 if n_tokens >= 192 else 32


def _n_missing(n_tokens: int) -> int:
    """Return how many queries are missing for the last ones not to be few."""
    size = _n_queries(n_tokens)
    return max(0, _FEW - (n_tokens % size or size))


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
    before, half, n_few = n_keys - n_last, mark >> 3, mark >> 1 & 3
    if n_few:
        return (n_keys - 1) // 32 * 32 + n_few
    if half:
        return before + 2 * half
    if mark & 1:
        return n_keys
    return before + (_KEYS if n_last > _SUMMED else -(-n_last // _VECTOR) * _VECTOR)

"""Rows of texts that go on from states attend as each of the texts does alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.nn.functional import pad

from ..plan import Chunk
from ..tree import IntArray
from .backends import AttentionBackend
from .blocks import OTHER_KEYS, Layer, UnsupportedAttentionError

__all__ = ["RowsAttention", "row_chunk"]


def row_chunk(n_past: int, mark: IntArray, *, goes_on: bool) -> Chunk:
    """Return the tokens of a row, which all follow each other, as a chunk.

    Parameters
    ----------
    n_past : int
        Tokens before them in their text.
    mark : array of shape (n,)
        The mark of each of them.
    goes_on : bool
        Whether the text goes on behind them.

    """
    depth = np.arange(n_past + len(mark))
    end = np.full_like(depth, len(mark) + goes_on)
    return Chunk(n_past, depth, end, np.pad(mark, (n_past, 0)))


class RowsAttention:
    """Attention of a pass over rows of texts, padded on the right, behind a state.

    Parameters
    ----------
    chunks : sequence of Chunk
        The tokens of each row, without padding; as many stand before them in every row.
    backend : callable
        Computes a chunk.

    Attributes
    ----------
    n_calls : int
        How many layers it has served.

    """

    def __init__(self, chunks: Sequence[Chunk], backend: AttentionBackend) -> None:
        self.chunks = chunks
        self.n_calls = 0
        self.attentions = [backend(chunk) for chunk in chunks]

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, layer: Layer) -> Tensor:
        """Attend from every token of a row to those before it and itself.

        Parameters
        ----------
        query : tensor of shape (n_rows, n_heads, n_tokens, d)
            Queries of the tokens, padded.
        key, value : tensors of shape (n_rows, n_kv_heads, n, d)
            Of the tokens and of those before them; where a window hides the first of these, they
            may be missing.
        layer : Layer
            Its scale, soft cap, window and sinks.

        Returns
        -------
        tensor of shape (n_rows, n_tokens, n_heads, d)
            Zero for padding.

        Raises
        ------
        UnsupportedAttentionError
            There are other keys.

        """
        self.n_calls += 1
        n_rows, n_heads, n_tokens, _ = query.shape
        output = query.new_zeros(n_rows, n_tokens, n_heads, value.shape[-1])
        n_past, n_held = self.chunks[0].n_past, key.shape[2] - n_tokens
        seen = n_past if layer.window is None else min(n_past, layer.window - 1)
        if not seen <= n_held <= n_past:
            raise UnsupportedAttentionError(OTHER_KEYS)
        missing = n_past - n_held  # hidden by the window
        if missing:
            key, value = (pad(each, (0, 0, missing, 0)) for each in (key, value))
        for row, (chunk, attend) in enumerate(zip(self.chunks, self.attentions, strict=True)):
            n, n_keys = chunk.n_tokens, len(chunk.depth)
            # a batch of the row alone
            rows = slice(row, row + 1)
            parts = query[rows, :, :n], key[rows, :, :n_keys], value[rows, :, :n_keys]
            output[rows, :n] = attend(*parts, layer)
        return output

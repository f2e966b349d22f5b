"""Rows that go on from a state attend as their texts do."""

from __future__ import annotations

from collections.abc import Sequence

import device
import numpy as np
import pytest
import torch
from torch import Tensor

from capspace.collect.engine.attention.backends import branches
from capspace.collect.engine.attention.blocks import Layer, UnsupportedAttentionError
from capspace.collect.engine.attention.kernels import Scores
from capspace.collect.engine.attention.rows import RowsAttention, row_chunk

N_PAST, LENGTHS = 50, (7, 1, 20)


def random(*shape: int) -> Tensor:
    return device.tensor(torch.randn(shape))


def attended(attend: RowsAttention, key: Tensor, value: Tensor, layer: Layer) -> Tensor:
    torch.manual_seed(1)
    return attend(random(3, 4, max(LENGTHS), 8), key, value, layer)


def rows_of(lengths: Sequence[int]) -> RowsAttention:
    marks = [np.zeros(n, dtype=np.int64) for n in lengths]
    return RowsAttention([row_chunk(N_PAST, mark, goes_on=False) for mark in marks], branches)


@pytest.mark.parametrize("window", [None, 12])
def test_each_row_attends_to_all_before_it(window: int | None) -> None:
    torch.manual_seed(0)
    n_keys = N_PAST + max(LENGTHS)
    key, value = (random(3, 2, n_keys, 8) for _ in range(2))
    layer = Layer(Scores(0.3), window)
    outputs = attended(rows_of(LENGTHS), key, value, layer)
    torch.manual_seed(1)
    query = random(3, 4, max(LENGTHS), 8)
    distance = torch.arange(N_PAST, n_keys)[:, None] - torch.arange(n_keys)[None]
    seen = (distance >= 0) & (distance < (window or n_keys))
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, seen.to(query.device), scale=0.3, enable_gqa=True
    ).transpose(1, 2)
    for row, n in enumerate(LENGTHS):
        torch.testing.assert_close(outputs[row, :n], expected[row, :n])
        assert not outputs[row, n:].any()
    if window is not None:  # of which a cache keeps those that are in the window
        held = slice(N_PAST - window + 1, None)
        few = attended(rows_of(LENGTHS), key[:, :, held], value[:, :, held], layer)
        torch.testing.assert_close(few, outputs)


@pytest.mark.parametrize(("n_more", "window"), [(1, None), (-1, None), (10 - N_PAST, 12)])
def test_other_keys_are_refused(n_more: int, window: int | None) -> None:
    key = random(3, 2, N_PAST + max(LENGTHS) + n_more, 8)
    with pytest.raises(UnsupportedAttentionError, match="other keys"):
        attended(rows_of(LENGTHS), key, key, Layer(Scores(0.3), window))

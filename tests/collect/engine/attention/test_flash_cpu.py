"""Branches in half precision have the bits of their texts alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from engine_parts import of_measured_cpus

from capspace.collect.engine.attention.blocks import ChunkAttention, Layer
from capspace.collect.engine.attention.flash_cpu import branch_blocks, marks_of_text
from capspace.collect.engine.attention.kernels import FEW, Scores, partial_attention
from capspace.collect.engine.plan import Chunk
from capspace.collect.engine.tree import build_tree

pytestmark = pytest.mark.cpu_only("it is about the attention of a CPU")

N_HEADS, SIZE = 12, 64
CUTS: dict[tuple[int, ...], list[int]] = {
    (3, 21, 35, 66): [],
    (35, 35, 35): [34],
    (161, 163, 128): [40, 130],
    (193, 194, 259): [],
    (193,): [96, 191],
    (321, 318, 319, 316): [100, 310],
    (390, 400): [250],
    (523, 524, 527): [517],
    (771, 837, 838): [300, 600, 800],
}
"""Lengths of texts that share all but their last two tokens, and where their tree is cut."""


@pytest.mark.parametrize("n_tokens", [1, 16, 35, 192, 193, 319, 384, 523, 700, 837])
def test_marks_say_which_tokens_depend_on_the_length(n_tokens: int) -> None:
    marks = marks_of_text(n_tokens)
    n_few = {1: 1, 35: 3, 193: 1}.get(n_tokens, 0)
    assert (marks >> 1 & 3).tolist() == [0] * (n_tokens - n_few) + [n_few] * n_few
    half = {193: 96, 319: 159, 837: 162}.get(n_tokens, 0)
    n_keys = 2 * half + 1 if half else {1: 1, 523: 11}.get(n_tokens, 0)
    first = n_tokens // 512 * 512 + half if n_keys else n_tokens
    assert (marks >> 3).tolist() == [0] * first + [n_keys] * (n_tokens - first)


@pytest.mark.parametrize(
    ("n_tokens", "stop", "n_keys"),
    [
        *((99, 90, 96), (99, 98, 99), (319, 106, 112), (319, 200, 319), (390, 388, 388)),
        *((600, 300, 512), (600, 586, 592), (837, 602, 608), (837, 700, 837)),
    ],
)
def test_what_is_cut_has_as_many_keys_as_its_text_needs(
    n_tokens: int, stop: int, n_keys: int
) -> None:
    chunk = Chunk(0, np.arange(stop), np.full(stop, n_tokens), marks_of_text(n_tokens)[:stop])
    blocks, further = branch_blocks(chunk)
    assert not further
    assert blocks[-1].stop == stop
    for block in blocks:
        assert block.mask is not None
        seen = np.tri(stop, n_keys, dtype=bool)[block.start : block.stop]
        assert (block.mask[: block.stop - block.start] == seen).all()
        assert np.asarray(block.keys)[:stop].tolist() == [*range(stop)]


@pytest.mark.slow
@of_measured_cpus
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("window", [None, 50])
@pytest.mark.parametrize("lengths", CUTS)
def test_texts_have_the_bits_of_attention_to_each_alone(
    lengths: tuple[int, ...], window: int | None, dtype: torch.dtype
) -> None:
    texts = [
        [*range(1, length - 1), 2000 + i, 3000 + i][-length:] for i, length in enumerate(lengths)
    ]
    tree, located = build_tree(texts, lengths, marks_of_text)
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(1, N_HEADS, 4000, SIZE, generator=generator).to(dtype) for _ in range(3)
    )
    of_entries = [states[:, :, tree.tokens] for states in (query, key, value)]
    layer, path, parts = Layer(Scores(SIZE**-0.5), window=window), np.empty(0, dtype=np.int64), []
    for start, stop in pairwise([0, *CUTS[lengths], len(tree)]):
        keys = np.concatenate([path, np.arange(start, stop)])
        chunk = Chunk(len(path), tree.depth[keys], tree.end[keys] - start, tree.mark[keys])
        states = of_entries[0][:, :, start:stop], *(part[:, :, keys] for part in of_entries[1:])
        parts.append(ChunkAttention(chunk, branch_blocks)(*states, layer))
        path = tree.path_after(path, start, stop)
    outputs = torch.cat(parts, 1)
    for text, entries in zip(texts, located, strict=True):
        size = len(text)
        seen = torch.ones(size, size, dtype=torch.bool).tril_()
        whole = window is None or window > size
        alone = torch.nn.functional.scaled_dot_product_attention(
            *(states[:, :, text] for states in (query, key, value)),
            attn_mask=None if whole else seen.triu(1 - (window or 0)),
            is_causal=whole,
        )
        assert torch.equal(outputs[:, entries], alone.transpose(1, 2))


@of_measured_cpus
@pytest.mark.parametrize("n_queries", [1, 2, 3])
def test_few_queries_have_the_bits_of_many(n_queries: int) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(1, 64, n, SIZE, generator=generator).half() for n in (8, 500, 500)
    )
    many, _ = partial_attention(query, key, value, Scores(SIZE**-0.5))
    few = query[:, :, :n_queries]
    as_many, weight = partial_attention(few, key, value, Scores(SIZE**-0.5), least_queries=FEW)
    assert weight.shape == as_many.shape[:3]
    assert torch.equal(as_many, many[:, :, :n_queries])
    alone, _ = partial_attention(few, key, value, Scores(SIZE**-0.5))
    assert not torch.equal(as_many, alone)  # else there was nothing to see

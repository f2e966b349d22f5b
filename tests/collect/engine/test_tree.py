"""The prefix tree and the blocks that cover its attention."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capspace.collect.engine.attention.flash_cpu import branch_blocks
from capspace.collect.engine.attention.varlen import levels
from capspace.collect.engine.plan import Block, BlockPlanner, Chunk, cascade_blocks, tree_blocks
from capspace.collect.engine.tree import IntArray, TokenTree, build_tree

token = st.integers(0, 2)  # few values, so that random sequences share prefixes
sequences = st.lists(st.lists(token, min_size=1, max_size=30), min_size=1, max_size=25)


def ancestors(tree: TokenTree, entry: int) -> list[int]:
    return [k for k in range(entry + 1) if tree.end[k] > entry]


@given(sequences)
def test_every_distinct_prefix_is_one_entry(rows: list[list[int]]) -> None:
    tree, _ = build_tree(rows, [0] * len(rows))
    prefixes = {tuple(row[:n]) for row in rows for n in range(1, len(row) + 1)}
    spelled = [tuple(tree.tokens[ancestors(tree, i)].tolist()) for i in range(len(tree))]
    assert len(spelled) == len(prefixes)
    assert set(spelled) == prefixes
    assert all(depth == len(word) - 1 for depth, word in zip(tree.depth, spelled, strict=True))


@pytest.mark.slow
@given(sequences, st.data())
def test_tails_are_located(rows: list[list[int]], data: st.DataObject) -> None:
    tails = [data.draw(st.integers(0, len(row))) for row in rows]
    tree, located = build_tree(rows, tails)
    for row, tail, entries in zip(rows, tails, located, strict=True):
        assert tree.tokens[entries].tolist() == row[len(row) - tail :]
        if tail:
            assert ancestors(tree, int(entries[-1]))[-tail:] == entries.tolist()
            assert len(ancestors(tree, int(entries[-1]))) == len(row)


@pytest.mark.slow
@given(sequences, st.data())
def test_path_after_any_cut(rows: list[list[int]], data: st.DataObject) -> None:
    tree, _ = build_tree(rows, [0] * len(rows))
    start = data.draw(st.integers(0, len(tree) - 1))
    stop = data.draw(st.integers(start, len(tree) - 1))
    path = tree.path_after(np.array(ancestors(tree, start)[:-1], dtype=np.int64), start, stop)
    assert path.tolist() == ancestors(tree, stop)[:-1]


def chunk_of(tree: TokenTree, start: int, stop: int) -> Chunk:
    keys = np.array([*ancestors(tree, start)[:-1], *range(start, stop)])
    return Chunk(len(keys) - (stop - start), tree.depth[keys], tree.end[keys] - start)


def times_seen(chunk: Chunk, blocks: list[Block]) -> np.ndarray:
    """How often each (query, key) is attended to over all blocks."""
    seen = np.zeros((chunk.n_tokens, len(chunk.depth)), dtype=int)
    for block in blocks:
        queries = np.arange(block.start, block.stop)
        keys = np.arange(len(chunk.depth))[block.keys]
        mask = np.ones((len(queries), len(keys)), dtype=bool) if block.mask is None else block.mask
        if block.causal:
            assert block.mask is None
            mask = np.tri(len(queries), len(keys), dtype=bool)
        assert block.has_blind_queries or mask.any(axis=1).all()
        np.add.at(seen, np.ix_(queries, keys), mask.astype(int))
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("group_tokens", [1, 6, 256])
@given(rows=sequences, data=st.data())
def test_cascade_sees_each_ancestor_once(
    rows: list[list[int]], data: st.DataObject, group_tokens: int
) -> None:
    tree, _ = build_tree(rows, [0] * len(rows))
    start = data.draw(st.integers(0, len(tree) - 1))
    stop = data.draw(st.integers(start + 1, len(tree)))
    window = data.draw(st.one_of(st.none(), st.integers(1, 12)))
    chunk = chunk_of(tree, start, stop)
    squares, rectangles = cascade_blocks(chunk, window, group_tokens)
    expected = np.zeros((stop - start, len(chunk.depth)), dtype=int)
    keys = [*ancestors(tree, start)[:-1], *range(start, stop)]
    for query in range(start, stop):
        above = set(ancestors(tree, query))
        for column, key in enumerate(keys):
            near = window is None or tree.depth[query] - tree.depth[key] < window
            expected[query - start, column] = key in above and near
    np.testing.assert_array_equal(times_seen(chunk, [*squares, *rectangles]), expected)
    in_squares = np.concatenate([np.arange(block.start, block.stop) for block in squares])
    np.testing.assert_array_equal(np.sort(in_squares), np.arange(chunk.n_tokens))


@pytest.mark.slow
@given(rows=sequences, data=st.data())
def test_levels_see_each_ancestor_once(rows: list[list[int]], data: st.DataObject) -> None:
    tree, _ = build_tree(rows, [0] * len(rows))
    start = data.draw(st.integers(0, len(tree) - 1))
    stop = data.draw(st.integers(start + 1, len(tree)))
    chunk = chunk_of(tree, start, stop)
    first, *further = levels(chunk)
    assert first.queries.tolist() == list(range(chunk.n_tokens))
    assert first.keys.tolist() == list(range(chunk.n_past, chunk.n_past + chunk.n_tokens))
    seen = np.zeros((chunk.n_tokens, len(chunk.depth)), dtype=int)
    parts = np.zeros(chunk.n_tokens, dtype=int)
    for level in (first, *further):
        assert len(np.unique(level.queries)) == len(level.queries)
        ends = zip(
            itertools.pairwise(level.query_ends), itertools.pairwise(level.key_ends), strict=True
        )
        for queries, keys in ends:
            block = np.ix_(level.queries[slice(*queries)], level.keys[slice(*keys)])
            shape = seen[block].shape
            seen[block] += np.tri(*shape, dtype=int) if level.causal else 1
        parts[level.queries] += 1
    whole = chunk.visible(np.arange(chunk.n_tokens), np.arange(len(chunk.depth)), None)
    np.testing.assert_array_equal(seen, whole)
    assert len(further) + 1 == parts.max()


@pytest.mark.parametrize("planner", [tree_blocks, cascade_blocks, branch_blocks])
def test_a_long_window_changes_nothing(planner: BlockPlanner) -> None:
    tree, _ = build_tree([[1, 2, 3, 4], [1, 2, 5], [1, 6]], [0, 0, 0])
    chunk = chunk_of(tree, 0, len(tree))
    plain, windowed = planner(chunk, None), planner(chunk, 4)
    np.testing.assert_array_equal(
        times_seen(chunk, [*plain[0], *plain[1]]), times_seen(chunk, [*windowed[0], *windowed[1]])
    )


@pytest.mark.parametrize("planner", [tree_blocks, cascade_blocks, branch_blocks])
@pytest.mark.parametrize("window", [1, 2, 3])
def test_a_short_window_sees_its_keys_once_and_no_others(
    planner: BlockPlanner, window: int
) -> None:
    tree, _ = build_tree([[1, 2, 3, 4, 7, 8], [1, 2, 3, 4, 9], [1, 2, 5], [1, 6]], [0, 0, 0, 0])
    for start in range(len(tree)):
        chunk = chunk_of(tree, start, len(tree))
        shared, others = planner(chunk, window)
        visible = chunk.visible(np.arange(chunk.n_tokens), np.arange(len(chunk.depth)), window)
        np.testing.assert_array_equal(times_seen(chunk, [*shared, *others]), visible)


def test_a_branch_has_the_keys_of_its_text_in_their_order() -> None:
    tree, _ = build_tree([[1, 2, 3, 4], [1, 2, 5], [1, 6], [7]], [0, 0, 0, 0])
    chunk = chunk_of(tree, 0, len(tree))
    blocks, further = branch_blocks(chunk)
    assert not further
    assert [(b.start, b.stop, b.causal) for b in blocks] == [
        *((0, 4, True), (4, 5, False), (5, 6, False), (6, 7, True))
    ]
    keys = [np.arange(len(chunk.depth))[block.keys].tolist() for block in blocks]
    assert keys == [[0, 1, 2, 3], [0, 1, 4], [0, 5], [6]]


def test_tokens_of_different_marks_are_not_shared() -> None:
    def marks_of(n_tokens: int) -> IntArray:
        return np.array([n_tokens % 4 * (place >= n_tokens // 4 * 4) for place in range(n_tokens)])

    rows = [[1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 7, 8]]
    tree, located = build_tree(rows, [5, 6, 8], marks_of)
    assert [tree.tokens[entries].tolist() for entries in located] == rows
    assert [tree.mark[entries].tolist() for entries in located] == [
        *([0, 0, 0, 0, 1], [0, 0, 0, 0, 2, 2], [0] * 8)
    ]
    assert len(tree) == 4 + 1 + 2 + 4
    assert build_tree(rows, [0, 0, 0])[0].mark is None
    with pytest.raises(ValueError, match="token 1048576 has more than 20 bits"):
        build_tree([[1 << 20]], [0], marks_of)


def test_a_shared_prefix_costs_one_rectangle() -> None:
    prefix = list(range(600))
    rows = [[*prefix, 1000 + i, *range(2000, 2100)] for i in range(40)]
    tree, _ = build_tree(rows, [0] * len(rows))
    squares, rectangles = cascade_blocks(chunk_of(tree, 0, len(tree)))
    assert [(block.start, block.stop, block.keys) for block in rectangles] == [
        (701, len(tree), slice(0, 600))
    ]
    assert squares[0].causal
    assert max(block.stop - block.start for block in squares[1:]) <= 256 + 101

"""The tokens of items are counted as what measures them reads them."""

from __future__ import annotations

from typing import Any

import pytest

from capspace.collect.run.token_counts import TokenCount, count_tokens

SHOTS = "one two three "


def sample(task: str, doc_id: int, *prompts: str, options: tuple[str, ...] = ()) -> dict[str, Any]:
    requests = [(p, o) for p in prompts for o in options] or [(p, {}) for p in prompts]
    return {"task": task, "doc_id": doc_id, "arguments": requests, "resps": [[(-1.0, True)]]}


def test_what_the_prompts_of_a_task_begin_with_is_read_once() -> None:
    items = [sample("a", i, SHOTS + word, options=("x", "y z")) for i, word in enumerate("pqr")]
    assert count_tokens(items, str.split, shares=True) == TokenCount(3 + 3 * (1 + 1), shared=3)


def test_without_an_engine_options_that_differ_in_their_last_token_are_read_at_once() -> None:
    letters = sample("a", 0, SHOTS, options=("A", "B"))
    assert count_tokens([letters], str.split) == TokenCount(3)
    assert count_tokens([letters, {**letters, "doc_id": 1}], str.split) == TokenCount(2 * 3)
    sentences = sample("a", 0, SHOTS, options=("w x", "w y", "z x"))
    assert count_tokens([sentences], str.split) == TokenCount(2 * 3 + 3 * 1)


def test_examples_that_are_drawn_for_each_item_are_read_with_it() -> None:
    items = [sample("a", i, f"{word} {SHOTS}") for i, word in enumerate("pqr")]
    assert count_tokens(items, str.split, shares=True) == TokenCount(3 * 4)


def test_of_one_item_nothing_is_shared_with_others_but_its_own_prompts_are_read_together() -> None:
    alone = sample("a", 0, SHOTS + "p", SHOTS + "q")
    assert count_tokens([alone], str.split, shares=True) == TokenCount(4 + 1)
    both = [alone, sample("a", 1, SHOTS + "p s", SHOTS + "r")]
    assert count_tokens(both, str.split, shares=True) == TokenCount(4 + 1 + 1 + 1, shared=3)


def test_tasks_share_nothing_with_each_other() -> None:
    items = [sample(task, i, SHOTS + "pq"[i]) for task in "ab" for i in range(2)]
    assert count_tokens(items, str.split, shares=True) == TokenCount(2 * (3 + 2), shared=6)


def test_prompts_that_do_not_fit_are_read_as_far_as_they_do_and_share_nothing() -> None:
    items = [sample("a", i, SHOTS + word, options=("x", "y z")) for i, word in enumerate("pqr")]
    items += [sample("b", i, f"one {word}") for i, word in enumerate("pq")]
    count = count_tokens(items, str.split, shares=True, window=3)
    assert count == TokenCount(3 * (2 * 3 + 1) + 1 + 2, shared=1)
    assert count_tokens(items, str.split, shares=True, window=4).shared == 3 + 1


@pytest.mark.parametrize("shares", [False, True])
def test_each_response_counts(shares: bool) -> None:
    item = {**sample("a", 0, SHOTS), "resps": [["p q", "p q"]]}
    assert count_tokens([item], str.split, shares=shares) == TokenCount(3 + 4)

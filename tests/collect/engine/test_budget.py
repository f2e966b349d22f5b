"""Budgets follow from the memory that is free."""

from __future__ import annotations

import torch
import transformers

from capspace.collect.engine.budget import (
    free_memory,
    generation_rows,
    scoring_budget,
    state_budget,
)

GIB = 2**30
EIGHT_BILLION = transformers.LlamaConfig(
    vocab_size=128256,
    hidden_size=4096,
    intermediate_size=14336,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
)


def test_a_cpu_reports_no_limit() -> None:
    assert free_memory(torch.device("cpu")) is None
    budget = scoring_budget(EIGHT_BILLION, torch.float32, 4096, None)
    # logits of no more positions than a text of common length has, which hf computes all of
    assert budget.rows <= 256 <= budget.tokens <= 1024


def test_what_a_pass_takes_fits_in_what_is_free() -> None:
    for free in (GIB, 8 * GIB, 60 * GIB):
        budget = scoring_budget(EIGHT_BILLION, torch.bfloat16, 4096, free)
        mask = budget.tokens * (budget.tokens + 4096) * 3
        activations = budget.tokens * (12 * 4096 + 4 * 14336) * 2
        logits = budget.rows * 128256 * 4 * 3
        assert mask + activations + logits <= 0.6 * free
        assert 1 <= budget.rows <= budget.tokens
    assert budget.tokens > 8192
    assert scoring_budget(EIGHT_BILLION, torch.bfloat16, 4096, 1) == type(budget)(1, 1)


def test_keys_and_values_of_all_rows_fit() -> None:
    for longest in (100, 1000, 100_000):
        rows = generation_rows(EIGHT_BILLION, torch.bfloat16, longest, 40 * GIB)
        assert rows >= 1
        assert rows == 1 or rows * longest * 131072 <= 16 * GIB
    on_a_cpu = [generation_rows(EIGHT_BILLION, torch.bfloat16, n, None) for n in (100, 1000, 9000)]
    assert on_a_cpu == [32, 16, 8]
    shared = generation_rows(EIGHT_BILLION, torch.bfloat16, 1000, None, own=400)
    assert shared == 32


def test_states_get_a_fifth_of_what_is_free() -> None:
    assert state_budget(None) == 2**28
    assert state_budget(60 * GIB) == 12 * GIB
    assert state_budget(1) == 1

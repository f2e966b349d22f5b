"""Budgets follow from the memory that is free."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers
from transformers import CONFIG_MAPPING

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
LIST = json.loads(Path(__file__).with_name("architectures.json").read_text(encoding="utf-8"))
SERVED = [
    name
    for name, outcome in LIST.get(".".join(transformers.__version__.split(".")[:2]), {}).items()
    if outcome.startswith(("served", "scores alone"))
]


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


@pytest.mark.skipif("gemma4_text" not in CONFIG_MAPPING, reason="it is of a newer transformers")
def test_the_widest_layer_counts() -> None:
    thin = CONFIG_MAPPING["gemma3n_text"](hidden_size=2048, intermediate_size=[1024] * 35)
    uneven = CONFIG_MAPPING["gemma3n_text"](intermediate_size=[1024] * 34 + [65536])
    budgets = [scoring_budget(each, torch.bfloat16, 512, 8 * GIB) for each in (thin, uneven)]
    assert budgets[1].tokens * 4 * 65536 * 2 <= 8 * GIB // 5 < budgets[0].tokens * 4 * 65536 * 2
    config = CONFIG_MAPPING["gemma4_text"]()
    layers = [config.per_layer_config[i] for i in range(config.num_hidden_layers)]
    assert len({layer.head_dim for layer in layers}) > 1
    widths = [2 * layer.num_key_value_heads * layer.head_dim for layer in layers]
    rows = generation_rows(config, torch.bfloat16, 4000, 40 * GIB)
    assert 1 < rows <= 16 * GIB // (sum(widths) * 2 * 4000)


@pytest.mark.parametrize(
    ("config", "state"),  # a layer's state in numbers, of up to four bytes each
    [
        (transformers.MambaConfig(), 2 * 768 * (16 + 4)),
        (transformers.Mamba2Config(), 2 * 4096 * 128 + (2 * 4096 + 2 * 8 * 128) * 4),
        (transformers.RwkvConfig(), 5 * 4096),
    ],
    ids=["mamba", "mamba2", "rwkv"],
)
def test_states_of_all_rows_fit(config: transformers.PretrainedConfig, state: int) -> None:
    for free in (8 * GIB, 40 * GIB):
        rows = generation_rows(config, torch.bfloat16, 1000, free)
        assert rows == generation_rows(config, torch.bfloat16, 10, free)  # no longer for long texts
        assert rows > 1
        assert rows * config.num_hidden_layers * state * 4 <= free * 2 // 5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of transformers, about its own default settings
@pytest.mark.skipif(not SERVED, reason="the list of served types is of another transformers")
def test_every_served_type_has_a_budget() -> None:
    faults = {}
    for name in SERVED:
        config = CONFIG_MAPPING[name]()  # the sizes of a release
        try:
            budget = scoring_budget(config, torch.bfloat16, 4096, int(80e9))
            rows = generation_rows(config, torch.bfloat16, 2048, int(80e9))
        except Exception as error:
            faults[name] = repr(error)
        else:
            if rows < 1 or not 1 <= budget.rows <= budget.tokens:
                faults[name] = f"{budget}, {rows} rows"
    assert faults == {}


def test_states_get_a_fifth_of_what_is_free() -> None:
    assert state_budget(None) == 2**28
    assert state_budget(60 * GIB) == 12 * GIB
    assert state_budget(1) == 1

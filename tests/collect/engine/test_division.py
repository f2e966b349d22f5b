"""Requests divided among processes by shared prefix."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capspace.collect.engine.division import divide
from capspace.collect.engine.tree import build_tree

pytestmark = pytest.mark.usefixtures("forked")

token = st.integers(0, 2)


@pytest.mark.slow
@given(st.lists(st.lists(token, min_size=1, max_size=12), max_size=30), st.integers(1, 6))
def test_every_sequence_has_one_part_and_equal_ones_the_same(
    rows: list[list[int]], n_parts: int
) -> None:
    parts = divide(rows, n_parts)
    assert len(parts) == n_parts
    assert sorted(i for part in parts for i in part) == list(range(len(rows)))
    for i, row in enumerate(rows):
        home = next(part for part in parts if i in part)
        assert all(j in home for j, other in enumerate(rows) if other == row)


def distinct(rows: list[list[int]]) -> int:
    return len(build_tree(rows, [0] * len(rows))[0])


def test_subjects_are_not_split_and_parts_are_even() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(8):
        shots = rng.integers(0, 500, 300).tolist()
        rows += [shots + rng.integers(0, 500, 40).tolist() for _ in range(20)]
    order = rng.permutation(len(rows))
    shuffled = [rows[i] for i in order]
    parts = divide(shuffled, 4)
    sizes = [distinct([shuffled[i] for i in part]) for part in parts]
    assert sum(sizes) == distinct(rows)  # no process reads what another one reads
    assert max(sizes) <= 1.1 * min(sizes)
    round_robin = sum(distinct(shuffled[part::4]) for part in range(4))
    assert round_robin > 1.3 * sum(sizes)


PROCESS = """
import json
import torch
torch.set_num_threads(1)
import transformers
from accelerate import Accelerator
from lm_eval.api.instance import Instance
from tokenizers import Tokenizer, models, pre_tokenizers
from capspace.collect.engine.lm import CapspaceLM

alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
core = Tokenizer(models.BPE({c: i for i, c in enumerate(["<s>", "</s>", *alphabet])}, []))
core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="</s>"
)
torch.manual_seed(0)
model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
    vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
    num_attention_heads=4, bos_token_id=0, eos_token_id=1)).eval()
with torch.no_grad():
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=0.2)
lm = CapspaceLM(model, tokenizer=tokenizer, max_length=512)
shots = ["one shot " * 12, "another shot " * 9]
pairs = [(shots[i % 2] + f"question {i % 5}", f" answer {j}") for i in range(10) for j in range(3)]
settings = {"until": ["e"], "max_gen_toks": 10}


def ask(kind, arguments):
    requests = [Instance(kind, {}, given, 0) for given in arguments]
    return getattr(lm, kind)(requests, disable_tqdm=True)


def answers(pairs):
    before = lm.stats.fed_tokens
    scores = ask("loglikelihood", pairs)
    read = lm.stats.fed_tokens - before
    rolled = ask("loglikelihood_rolling", [(context,) for context, _ in pairs[:4]])
    texts = ask("generate_until", [(context, dict(settings)) for context, _ in pairs])
    return {"scores": scores, "rolled": rolled, "texts": texts, "read": read}


lm.accelerator = Accelerator(cpu=True)
lm._rank, lm._world_size = lm.accelerator.process_index, lm.accelerator.num_processes
assert lm.world_size == 2
mine = answers(pairs[lm.rank :: 2])
rank, lm._rank, lm._world_size = lm.rank, 0, 1
alone = answers(pairs) if rank == 0 else None
alone_mine = ask("loglikelihood_rolling", [(context,) for context, _ in pairs[rank::2][:4]])
print(json.dumps({"rank": rank, "mine": mine, "alone": alone, "rolled": alone_mine}))
"""


@pytest.mark.slow
@pytest.mark.cpu_only("the two processes would need a GPU each")
def test_two_processes_answer_as_one() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []
    for rank in range(2):
        environment = {
            **os.environ,
            "ACCELERATE_USE_CPU": "true",
            "LOCAL_RANK": str(rank),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
            "RANK": str(rank),
            "WORLD_SIZE": "2",
        }
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", PROCESS],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    answers: list[dict[str, Any]] = []
    for process in running:
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        answers.append(json.loads(output.splitlines()[-1]))
    alone = answers[0]["alone"]
    for rank, half in enumerate(answers):
        assert half["rank"] == rank
        mine = half["mine"]
        np.testing.assert_allclose(mine["scores"], alone["scores"][rank::2], atol=1e-4)
        np.testing.assert_allclose(mine["rolled"], half["rolled"], atol=1e-4)
        assert mine["texts"] == alone["texts"][rank::2]
    read = [half["mine"]["read"] for half in answers]
    assert min(read) > 0
    assert sum(read) <= 1.15 * alone["read"]

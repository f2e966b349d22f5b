"""What the tests of the engine share: sizes of models, real items, a GPU's kernel."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import device
import numpy as np
import pytest
import torch
import transformers
from checkout import SHARED
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from packaging.version import Version

from capspace.collect.engine.attention.blocks import Attention
from capspace.collect.engine.attention.kernels import Scores, partial_attention
from capspace.collect.engine.attention.varlen import LevelAttention, PlacedLevel
from capspace.collect.engine.forward import CACHE_NAMES
from capspace.collect.engine.lm import CapspaceLM
from capspace.collect.engine.plan import Chunk

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
"""Settings of a configuration, all but the size of the vocabulary."""

EAGER = {"attn_implementation": "eager"}
"""For Gemma 2: its soft cap is left out by other attention of transformers 4, which is refused."""

UNSERVED = {"opt", "qwen2_moe"} if Version(transformers.__version__) < Version("5") else set()
"""Architectures that transformers 4 computes in a way that the engine leaves to lm-eval's path."""


needs_autocast = pytest.mark.skipif(
    device.name() == "elsewhere", reason="the device that stands for others has no autocast"
)

_CPUINFO = Path("/proc/cpuinfo")
IS_MEASURED_CPU = (
    device.name() == "cpu"
    and torch.backends.cpu.get_cpu_capability() == "AVX512"
    and _CPUINFO.is_file()
    and "AuthenticAMD" in _CPUINFO.read_text()
)
"""Whether the models are on a CPU whose kernels are known to round as the engine expects."""

of_measured_cpus = pytest.mark.skipif(
    not IS_MEASURED_CPU, reason="how kernels round was measured on AMD's CPUs with AVX-512 alone"
)

OWN_NAME = next(
    name
    for name in CACHE_NAMES
    if name in inspect.signature(transformers.LlamaForCausalLM.forward).parameters
)
"""What the installed transformers calls the cache."""

OTHER_NAME = next(name for name in CACHE_NAMES if name != OWN_NAME)


def with_cache_called(name: str, model: Any) -> Any:
    """Return the model with its cache under a name, where it goes in and where it comes out.

    As in transformers itself, an argument of a name that is not known is taken and not used.
    """
    if name == OWN_NAME:
        return model
    own = model.forward

    def forward(
        input_ids: torch.Tensor, position_ids: Any = None, logits_to_keep: Any = 0, **others: Any
    ) -> SimpleNamespace:
        output = own(
            input_ids=input_ids,
            position_ids=position_ids,
            logits_to_keep=logits_to_keep,
            use_cache=others.get("use_cache"),
            **{OWN_NAME: others.get(name)},
        )
        return SimpleNamespace(logits=output.logits, **{name: output.get(OWN_NAME)})

    model.forward = forward
    return model


def real_items() -> Path:
    """Return the folder of real benchmark items, or leave out the test that needs them."""
    if not (SHARED / "hub").is_dir():
        pytest.skip(f"real benchmark items are not there: {SHARED / 'hub'}")
    pytest.importorskip("datasets", reason="data sets are read by a package that is not here")
    return SHARED / "hub"


def byte_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """Return a tokenizer with a token for each byte, after three special ones."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: i for i, piece in enumerate(["<pad>", "<s>", "</s>", *alphabet])}
    core = Tokenizer(models.BPE(vocabulary, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core,
        **{"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"},
    )


class BlockByBlock:
    """What the varlen kernel of a GPU computes, one block after the other, on a CPU."""

    def takes(self, query: torch.Tensor, value: torch.Tensor) -> bool:
        return query.shape[-1] == value.shape[-1]

    def __call__(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        level: PlacedLevel,
        scores: Scores,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        sizes = level.query_ends.diff().tolist(), level.key_ends.diff().tolist()
        assert level.longest == (max(sizes[0]), max(sizes[1]))
        assert len(query) == level.query_ends[-1]
        assert len(key) == len(value) == level.key_ends[-1]
        parts = [
            partial_attention(
                *(states.transpose(0, 1)[None] for states in block), scores, causal=level.causal
            )
            for block in zip(
                query.split(sizes[0]), key.split(sizes[1]), value.split(sizes[1]), strict=True
            )
        ]
        output, weight = zip(*parts, strict=True)
        return torch.cat(output, 2)[0].transpose(0, 1), torch.cat(weight, 2)[0].T


def by_levels(chunk: Chunk) -> Attention:
    return LevelAttention(chunk, BlockByBlock())


def assert_scores_as_hf_does(model: Any, tokenizer: Any) -> None:
    shared = {"tokenizer": tokenizer, "max_length": 256}
    engine = CapspaceLM(model, **shared)
    assert engine.unsupported_reason is None
    shots = "a question and its answer " * 6
    requests = [
        Instance("loglikelihood", {}, (shots + question, answer), 0)
        for question in ("who?", "who was it?", "how many?")
        for answer in (" one", " two", " nobody")
    ]
    ours = engine.loglikelihood(requests, disable_tqdm=True)
    theirs = HFLM(model, **shared).loglikelihood(requests, disable_tqdm=True)
    np.testing.assert_allclose(
        [s for s, _ in ours], [s for s, _ in theirs], atol=device.within(1e-4)
    )
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]
    assert engine.stats.fed_tokens == engine.stats.unique_tokens

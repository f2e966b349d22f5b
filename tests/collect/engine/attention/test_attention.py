"""Attention by levels of the tree, and which backend a model gets."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import device
import numpy as np
import pytest
import torch
import transformers
from engine_parts import SIZES, BlockByBlock, by_levels
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from capspace.collect.engine import lm as engine
from capspace.collect.engine import support
from capspace.collect.engine.attention import kernels, varlen
from capspace.collect.engine.attention.backends import (
    branches,
    cascade,
    flash_levels,
    masked,
    suitable_backends,
)
from capspace.collect.engine.attention.blocks import (
    Attention,
    Layer,
    UnsupportedAttentionError,
    attention_over_tree,
)
from capspace.collect.engine.attention.kernels import Scores
from capspace.collect.engine.attention.varlen import (
    FlashVarlen,
    LevelAttention,
    PlacedLevel,
    levels,
)
from capspace.collect.engine.generation.decode import Computation, generate
from capspace.collect.engine.generation.sampling import Choice
from capspace.collect.engine.plan import Chunk
from capspace.collect.engine.scoring import Budget, Target, score_targets
from capspace.collect.engine.served import engine_record
from capspace.collect.engine.tree import build_tree

TREE = [[1, 2, 3, 4, 5, 6], [1, 2, 3, 7, 8], [1, 2, 3, 7, 9, 10], [1, 11, 12]]


def build_model() -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES, vocab_size=300))
    return device.widened(model, 0.2)


def random(*shape: int) -> torch.Tensor:
    return device.tensor(torch.randn(shape))


def chunk_of(rows: list[list[int]]) -> Chunk:
    tree, _ = build_tree(rows, [0] * len(rows))
    return Chunk(0, tree.depth, tree.end)


class Counting(BlockByBlock):
    """Counts its calls."""

    def __init__(self, *, takes: bool = True) -> None:
        self.calls, self._takes = 0, takes

    def takes(self, query: torch.Tensor, value: torch.Tensor) -> bool:
        return self._takes

    def __call__(self, *args: Any, **settings: Any) -> tuple[torch.Tensor, torch.Tensor]:
        self.calls += 1
        return super().__call__(*args, **settings)


@pytest.mark.parametrize(
    ("kernel", "layer", "by_kernel"),
    [
        (Counting(), Layer(Scores(0.3)), True),
        (Counting(), Layer(Scores(0.3), sinks=device.tensor([0.5, -1.0, 2.0, 0.0])), True),
        (Counting(), Layer(Scores(0.3), window=6), True),  # as long as the longest sequence
        (Counting(), Layer(Scores(0.3), window=3), False),
        (Counting(), Layer(Scores(0.3, softcap=5.0)), False),
        (Counting(takes=False), Layer(Scores(0.3)), False),
    ],
)
def test_one_call_per_level_or_one_masked_rectangle(
    kernel: Counting, layer: Layer, by_kernel: bool
) -> None:
    chunk = chunk_of(TREE)
    torch.manual_seed(1)
    query, key, value = (random(1, heads, chunk.n_tokens, 8) for heads in (4, 2, 2))
    output = LevelAttention(chunk, kernel)(query, key, value, layer)
    torch.testing.assert_close(output, masked(chunk)(query, key, value, layer))
    assert kernel.calls == (len(levels(chunk)) if by_kernel else 0)


def test_prompts_are_read_by_levels_too() -> None:
    model = build_model()
    rng = np.random.default_rng(0)
    prefix = rng.integers(3, 300, 50).tolist()
    prompts = [prefix + rng.integers(3, 300, n).tolist() for n in (4, 1, 9, 40)]
    settings: dict[str, Any] = {
        "max_new_tokens": 12,
        "pick": Choice(),
        "is_finished": lambda new: False,
        "rows": 8,
        "prefill_tokens": 64,
    }
    expected, _ = generate(model, prompts, **settings, computation=Computation(masked))
    texts, _ = generate(model, prompts, **settings, computation=Computation(by_levels))
    assert texts == expected


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("causal", [True, False])
def test_flash_is_called_as_torch_defines_it(
    dtype: torch.dtype, causal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shapes and types alone, on tensors without content: they need no GPU."""
    # From torch 2.15 the kernel is chosen by what the GPU can do: as if it were one before Hopper.
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (8, 0))
    if not FlashVarlen.is_there():
        pytest.skip(f"torch {torch.__version__} has no public varlen attention")

    def empty(*shape: int, dtype: torch.dtype = dtype) -> torch.Tensor:
        return torch.empty(shape, device="cuda", dtype=dtype)

    kernel = FlashVarlen()
    with FakeTensorMode():
        query, key, ends = empty(10, 4, 64), empty(12, 2, 64), empty(3, dtype=torch.int32)
        assert kernel.takes(query, key)
        assert not kernel.takes(query, empty(12, 2, 64, dtype=torch.float32))
        assert not kernel.takes(query, empty(12, 2, 32))
        assert not kernel.takes(empty(10, 4, 4), empty(12, 2, 4))
        assert not kernel.takes(empty(10, 4, 512), empty(12, 2, 512))
        level = PlacedLevel(ends, ends, ends, ends, (5, 6), causal)
        output, weight = kernel(query, key, key, level, Scores(0.1))
    assert (output.shape, output.dtype) == ((10, 4, 64), dtype)
    assert (weight.shape, weight.dtype) == ((10, 4), torch.float32)


@pytest.mark.parametrize("causal", [True, False])
def test_a_kernel_that_groups_no_heads_gets_each(
    causal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernels._KERNEL_GROUPS_HEADS:
        pytest.skip("this torch's kernel groups no heads, as all other tests here show")
    torch.manual_seed(1)
    states = [random(1, heads, 5, 8) for heads in (4, 2, 2)]
    parts = []
    for groups in (True, False):
        monkeypatch.setattr(kernels, "_KERNEL_GROUPS_HEADS", groups)
        parts.append(kernels.partial_attention(*states, Scores(0.3), causal=causal))
    torch.testing.assert_close(parts[0], parts[1])


def test_what_the_scoring_loop_cannot_compute_is_refused() -> None:
    model = build_model()
    query, key = random(1, 4, 3, 8), random(1, 2, 3, 8)
    with attention_over_tree(model):
        attend = ALL_ATTENTION_FUNCTIONS["capspace_tree"]
        window_of = ALL_MASK_ATTENTION_FUNCTIONS["capspace_tree"]
        for settings, reason in (
            ({"position_bias": key}, "its attention adds a position bias"),
            ({"is_causal": False}, "its attention is not causal"),
            ({}, "its attention runs outside the scoring loop"),
        ):
            with pytest.raises(UnsupportedAttentionError, match=rf"^{reason}$"):
                attend(model, query, key, key, None, **settings)
        with pytest.raises(UnsupportedAttentionError, match=r"^it changes the causal mask$"):
            window_of(use_vmap=True)


def test_half_precision_on_cuda_reads_by_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a parameter without content: it needs no GPU."""
    layers = {}
    for dtype in (torch.float32, torch.bfloat16):
        with FakeTensorMode():
            weight = torch.nn.Parameter(torch.empty(2, device="cuda", dtype=dtype))
        layers[dtype] = torch.nn.ParameterList([weight])
    monkeypatch.setattr(FlashVarlen, "is_there", staticmethod(lambda: True))
    assert suitable_backends(layers[torch.bfloat16]) == [flash_levels, masked]
    assert suitable_backends(layers[torch.float32]) == [masked]
    assert isinstance(flash_levels(chunk_of(TREE)), LevelAttention)
    monkeypatch.undo()
    monkeypatch.setattr(varlen, "find_spec", lambda name: None)  # an older torch
    assert suitable_backends(layers[torch.bfloat16]) == [masked]


@pytest.mark.cpu_only("it is about the attention of a CPU")
def test_attention_backends_by_device() -> None:
    model = build_model()
    assert suitable_backends(model) == [cascade]
    mixed = partial(torch.autocast, "cpu", torch.bfloat16)
    assert suitable_backends(model, mixed) == [branches]
    assert suitable_backends(model.to(torch.float16)) == [branches]
    assert suitable_backends(model.to("meta")) == [masked]


def wrong(chunk: Chunk) -> Attention:
    """Attend to everything but the past."""
    return masked(Chunk(chunk.n_past, chunk.depth, chunk.end.clip(max=chunk.n_tokens // 2)))


@pytest.mark.usefixtures("libraries_as_checked")
def test_an_attention_backend_that_is_not_exact_gives_place_to_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = build_model()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=_letters(), **{"eos_token": "</s>", "pad_token": "</s>"}
    )
    monkeypatch.setattr(support, "suitable_backends", lambda model, dtype: [wrong, masked])
    with caplog.at_level(logging.WARNING, "capspace"):
        lm = engine.CapspaceLM(model, tokenizer=tokenizer)
    assert lm.unsupported_reason is None
    assert lm._support.attention_backend is masked
    assert "uses its masked attention, which is slower" in caplog.text
    assert str(lm.slower_reason).startswith("its log-probabilities of a small tree of tokens")
    assert str(lm.slower_reason) in caplog.text
    assert engine_record(lm, {}) == {
        "served": True,
        "unsupported_reason": None,
        "slower_reason": lm.slower_reason,
        "newer": None,
    }
    monkeypatch.setattr(support, "suitable_backends", lambda model, dtype: [wrong])
    alone = support.find_support(model)
    if alone.scores_by_states:  # by the model's own attention, where transformers copies caches
        assert (alone.unsupported_reason, alone.unsupported_texts) == (None, None)
    else:
        assert alone.unsupported_reason is not None


def _letters() -> Any:
    from tokenizers import Tokenizer, models

    words = {"</s>": 0, "a": 1, "b": 2}
    return Tokenizer(models.WordLevel(words, unk_token="</s>"))  # noqa: S106  # no password


def test_levels_of_a_chunk_in_the_middle_of_a_tree() -> None:
    model = build_model()
    targets = [Target(row[:-1], row[1:]) for row in TREE]
    expected, _ = score_targets(model, targets, Budget(64, 64), attention_backend=masked)
    for tokens in (1, 2, 3, 5):
        scores, stats = score_targets(
            model, targets, Budget(tokens, 64), attention_backend=by_levels
        )
        assert stats.chunks > 1
        np.testing.assert_allclose(
            [score for score, _ in scores], [score for score, _ in expected], atol=1e-5
        )

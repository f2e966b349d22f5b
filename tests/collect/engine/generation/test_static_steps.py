"""Steps that are recorded and replayed give what steps give that are computed one by one."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import device
import numpy as np
import pytest
import torch
import transformers
from engine_parts import EAGER, SIZES, byte_tokenizer, needs_autocast
from lm_eval.api.instance import Instance
from packaging.version import Version
from torch import Tensor

from capspace.collect.engine.generation.cuda_graphs import CudaGraphs
from capspace.collect.engine.generation.decode import Computation, generate
from capspace.collect.engine.generation.kv_cache import DecodeAttention
from capspace.collect.engine.generation.loop import DecodingStats
from capspace.collect.engine.generation.recording import (
    Recorder,
    Recording,
    UnrecordableStepError,
    Work,
    eager,
    traced,
)
from capspace.collect.engine.generation.sampling import Choice
from capspace.collect.engine.lm import CapspaceLM
from capspace.collect.engine.probes import recording_probe
from capspace.collect.engine.served import engine_lines
from capspace.collect.engine.support import find_support
from capspace.collect.errors import SettingsError

_TRANSFORMERS_4 = Version(transformers.__version__) < Version("5")
VOCABULARY = 400
WINDOW = {"head_dim": 16, "sliding_window": 20}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {}),
    "mistral": ("MistralConfig", {"sliding_window": 20}),
    "gemma2": ("Gemma2Config", {**WINDOW, **EAGER}),
    "gemma3": (
        "Gemma3TextConfig",
        {**WINDOW, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "gpt_oss": ("GptOssConfig", {**WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen3_moe": (
        "Qwen3MoeConfig",
        {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "head_dim": 16},
    ),
}
RECORDED = [name for name in MODELS if not (_TRANSFORMERS_4 and name in ("gpt_oss", "qwen3_moe"))]
"""The experts of transformers 4 are chosen on the host."""


def build(kind: str, settings: dict[str, Any], dtype: torch.dtype = torch.float32) -> Any:
    config = getattr(transformers, kind)(**{**SIZES, "vocab_size": VOCABULARY, **settings})
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    return device.widened(model, 0.2).to(dtype)


def recorders() -> list[Recorder]:
    """Return what records on this device: a trace, and graphs where there is a card."""
    return [traced, *([CudaGraphs(torch.device("cuda"))] if device.name() == "cuda" else [])]


class Given:
    """Chooses the tokens given for each text, and keeps their log-probabilities."""

    def __init__(self, tokens: list[list[int]]) -> None:
        self.tokens = tokens
        self.logprobs: list[list[Tensor]] = [[] for _ in tokens]

    def __call__(self, logits: Tensor, texts: list[int]) -> list[int]:
        chosen = [self.tokens[i][len(self.logprobs[i])] for i in texts]
        for row, i in zip(logits.float().log_softmax(-1), texts, strict=True):
            self.logprobs[i].append(row)
        return chosen


def texts() -> tuple[list[list[int]], list[list[int]]]:
    """Prompts with nested shared beginnings, and continuations of many lengths.

    They pass the boundaries at which more of a row is read; windows end inside of the beginnings.
    """
    rng = np.random.default_rng(0)

    def draw(length: int) -> list[int]:
        return rng.integers(3, VOCABULARY, length).tolist()

    prefix = draw(40)
    deeper = prefix + draw(35)
    deepest = deeper + draw(33)
    prompts = [prefix + draw(5) for _ in range(4)] + [deeper + draw(3) for _ in range(5)]
    prompts += [deepest + draw(9) for _ in range(3)] + [draw(7), draw(60), prefix + draw(50)]
    return prompts, [draw(length) for length in rng.integers(3, 40, len(prompts))]


def given_texts(
    model: Any, recording: Recording | None, rows: int = 6
) -> tuple[Tensor, DecodingStats]:
    """Log-probabilities of all tokens that are given, (n_tokens, vocabulary)."""
    prompts, new = texts()
    pick = Given(new)
    with_ends, stats = generate(
        model,
        prompts,
        max_new_tokens=100,
        pick=pick,
        is_finished=new.__contains__,
        rows=rows,
        prefill_tokens=150,
        computation=Computation(recording=recording),
    )
    assert with_ends == new
    return torch.stack([row for text in pick.logprobs for row in text]), stats


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_replayed_steps_give_what_steps_give(name: str) -> None:
    model = build(*MODELS[name])
    rows = 11 if name == "mistral" else 6
    own, stats = given_texts(model, None, rows)
    assert (stats.replayed_steps, stats.recordings) == (0, 0)
    for record in (eager, *recorders()):
        replayed, stats = given_texts(model, Recording(record), rows)
        torch.testing.assert_close(replayed, own, atol=device.within(2e-5), rtol=0)
        assert stats.replayed_steps > stats.steps / 2
        assert 1 < stats.recordings < stats.replayed_steps / 4


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_greedy_texts(name: str) -> None:
    model = build(*MODELS[name])

    def greedy(recording: Recording | None) -> list[list[int]]:
        return generate(
            model,
            texts()[0],
            max_new_tokens=30,
            pick=Choice(),
            is_finished=lambda new: sum(new) % 13 == 0,
            rows=5,
            prefill_tokens=150,
            computation=Computation(recording=recording),
        )[0]

    own = greedy(None)
    for record in recorders():
        assert greedy(Recording(record)) == own
    assert len({len(new) for new in own}) > 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "gemma2"])
def test_in_half_precision_the_difference_is_rounding(name: str) -> None:
    """Replayed steps are no farther from the usual ones than these are from those of fp32."""
    half = build(*MODELS[name], torch.bfloat16)
    own, _ = given_texts(half, None)
    runs = [given_texts(half, Recording(record)) for record in recorders()]
    exact, _ = given_texts(half.float(), None)
    usual = (own - exact).abs().mean()
    for replayed, stats in runs:
        assert stats.replayed_steps > 0
        assert (replayed - own).abs().mean() <= device.usual(1.0) * usual
        assert (replayed - exact).abs().mean() <= device.usual(1.1) * usual


@needs_autocast
@pytest.mark.slow
def test_casts_of_autocast_are_recorded() -> None:
    model = build(*MODELS["llama"])
    recording = Recording(traced, at_use=2)
    half = partial(torch.autocast, device.name(), torch.bfloat16)
    assert recording_probe(model, recording, autocast=half) is None


# ---- what is recorded ----------------------------------------------------------------------------


def alone(n_new: int, recording: Recording) -> DecodingStats:
    """Return what a single text of this length does, whose prompt has four tokens."""
    return generate(
        build(*MODELS["llama"]),
        [[5, 6, 7, 8]],
        max_new_tokens=n_new,
        pick=Choice(),
        is_finished=lambda new: False,
        rows=1,
        prefill_tokens=10,
        computation=Computation(recording=recording),
    )[1]


@pytest.mark.slow
def test_each_kind_of_step_is_recorded_at_its_nth_use() -> None:
    # the first new token comes from the prompt; steps then read 5 to 64, to 128, to 132 tokens
    stats = alone(129, Recording(eager))
    assert (stats.steps, stats.recordings, stats.replayed_steps) == (128, 3, 128 - 3 * 2)
    stats = alone(129, Recording(eager, at_use=5))
    assert (stats.recordings, stats.replayed_steps) == (2, 128 - 2 * 4 - 4)
    stats = alone(61, Recording(eager, at_use=60))
    assert (stats.recordings, stats.replayed_steps) == (1, 1)
    assert alone(61, Recording(eager, at_use=61)).recordings == 0
    assert alone(2, Recording(eager, at_use=1)).recordings == 0  # never at the first


class Counted:
    """Records, and knows which recordings are still held."""

    def __init__(self) -> None:
        self.held: weakref.WeakSet[Work] = weakref.WeakSet()
        self.n_held: list[int] = []

    def __call__(self, work: Work) -> Work:
        replay = traced(work)
        self.held.add(replay)
        return replay

    def choose(self, logits: Tensor, rows: list[int]) -> list[int]:
        self.n_held.append(len(self.held))
        return Choice()(logits, rows)


def held_recordings(prompts: list[list[int]], most: int) -> tuple[Counted, DecodingStats]:
    counted = Counted()
    _, stats = generate(
        build(*MODELS["llama"]),
        prompts,
        max_new_tokens=8,
        pick=counted.choose,
        is_finished=lambda new: False,
        rows=2,
        prefill_tokens=60,
        computation=Computation(recording=Recording(counted, most=most)),
    )
    return counted, stats


@pytest.mark.slow
def test_memory_of_a_call_waits_for_no_garbage_collection() -> None:
    counted = Counted()
    gc.disable()
    try:
        stats = alone(66, Recording(counted, at_use=6))  # the last kind of step is not recorded
        assert (stats.recordings, len(counted.held)) == (1, 0)
    finally:
        gc.enable()


@pytest.mark.slow
def test_recordings_of_a_segment_go_with_it() -> None:
    shared = [[*range(10 * i, 10 * i + 40), t] for i in range(5) for t in (1, 2)]
    counted, stats = held_recordings(shared, most=16)
    assert stats.recordings == 5
    assert max(counted.n_held) == 1


@pytest.mark.slow
def test_the_least_recently_used_recordings_are_given_up() -> None:
    lengths = [3, 3, 70, 70, 130, 130, 4, 4]  # read up to 64, 128 and 192 tokens, and 64 again
    prompts = [[i + 3] * length for i, length in enumerate(lengths)]
    for most, recordings in ((1, 4), (2, 4), (3, 3)):
        counted, stats = held_recordings(sorted(prompts, key=lambda p: p[0]), most)
        assert (stats.recordings, max(counted.n_held)) == (recordings, most)


# ---- mistakes are seen ---------------------------------------------------------------------------


def frozen_mask(read: Callable[[Tensor], list[int]]) -> Any:
    """Return a mask of lengths that are read on the host, as a step computed alone may do."""

    def mask(self: DecodeAttention, window: int | None, query: Tensor) -> tuple[Tensor, Tensor]:
        assert window is None
        visible = np.arange(self.length)[None] < np.array(read(self.own))[:, None]
        hidden = torch.from_numpy(~visible).to(query.device)[:, None, None]
        bias = torch.zeros_like(hidden, dtype=query.dtype).masked_fill_(hidden, -torch.inf)
        return ~hidden, bias

    return mask


@pytest.mark.slow
@pytest.mark.cpu_only("elsewhere no number is read without an operation that a trace sees")
def test_a_number_that_is_frozen_by_mistake_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lengths of the recorded step, read without a word, stay when it is replayed."""
    model = build(*MODELS["llama"])
    own, _ = given_texts(model, None)
    assert recording_probe(model, Recording(traced, at_use=2)) is None
    monkeypatch.setattr(DecodeAttention, "_mask", frozen_mask(lambda own: own.numpy().tolist()))
    torch.testing.assert_close(given_texts(model, Recording(eager))[0], own, atol=2e-5, rtol=0)
    assert (given_texts(model, Recording(traced))[0] - own).abs().max() > 1
    reason = recording_probe(model, Recording(traced, at_use=2))
    assert reason is not None
    assert "of texts of replayed steps are" in reason
    assert reason.endswith("nats off")


def test_a_number_that_is_read_in_the_middle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(*MODELS["llama"])
    monkeypatch.setattr(DecodeAttention, "_mask", frozen_mask(lambda own: [int(n) for n in own]))
    with pytest.raises(UnrecordableStepError, match="values that aten::_local_scalar_dense reads"):
        given_texts(model, Recording(traced))


def test_what_depends_on_values_is_refused() -> None:
    rows, given = device.tensor([0, 1, 2, 3]), device.tensor([True, False, True, False])

    def by_value(choose: Callable[[], Any]) -> None:
        def work() -> None:
            choose()

        with pytest.raises(UnrecordableStepError, match="a step of it depends on values that"):
            traced(work)

    by_value(lambda: rows[given])
    by_value(lambda: given.nonzero())
    by_value(lambda: torch.equal(rows, rows))
    by_value(lambda: 1 if (rows > 2).any() else 2)
    by_value(lambda: rows.repeat_interleave(rows))
    out = device.tensor([0, 0, 0, 0])

    def work() -> None:
        out.copy_(rows[rows.flip(0) % 4].masked_fill(given, -1))

    replay = traced(work)
    assert out.tolist() == [-1, 2, -1, 0]
    rows += 10
    replay()
    assert out.tolist() == [-1, 10, -1, 12]


# ---- models that are left as they are ------------------------------------------------------------

_LATENT = {
    **{"q_lora_rank": None, "kv_lora_rank": 8, "num_key_value_heads": 4, "head_dim": 8},
    **{"qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8, "first_k_dense_replace": 2},
}
_DYNAMIC = {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}, "max_position_embeddings": 256}
_SHARED_KEYS = {
    **{"head_dim": 16, "global_head_dim": 16, "sliding_window": 20, "num_hidden_layers": 4},
    **{"num_kv_shared_layers": 2, "hidden_size_per_layer_input": 8},
    "vocab_size_per_layer_input": VOCABULARY,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
}
FROM_STATES = "its texts go on from states"


@pytest.mark.slow
@pytest.mark.skipif(_TRANSFORMERS_4, reason="transformers 4 computes these in other ways")
@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        ("LlamaConfig", _DYNAMIC, "a step of it depends on values that aten::"),
        ("DeepseekV3Config", _LATENT, FROM_STATES),
        ("Gemma4TextConfig", _SHARED_KEYS, FROM_STATES),
    ],
)
def test_a_model_whose_steps_cannot_be_recorded_is_served_without(
    kind: str, settings: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = build(kind, settings)
    support = find_support(model, recording=Recording(traced))
    assert support.unsupported_texts is None
    assert support.recording is None
    assert str(support.unrecorded_reason).startswith(reason)
    assert find_support(model).unrecorded_reason is None  # nobody asked for it


def test_a_reason_is_a_line_for_the_user() -> None:
    (line,) = engine_lines(SimpleNamespace(unrecorded_reason="its texts go on from states"))
    assert "cannot be replayed as a CUDA graph (its texts go on from states)" in line


# ---- lm-eval's model class -----------------------------------------------------------------------


@pytest.mark.cpu_only("it is about a device that is none of CUDA")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cuda_graphs": True}, "cuda_graphs=true: the device is cpu, and CUDA graphs are for"),
        ({"cuda_graphs": "true"}, "cuda_graphs=true: the device is cpu"),
        ({"cuda_graphs": "often"}, "cuda_graphs=often: give true or false"),
        ({"token_budget": 0}, "token_budget=0: give a whole number from 1 on, or leave it out"),
        ({"token_budget": "much"}, "token_budget=much: give a whole number from 1 on"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_are_refused_in_a_line(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        CapspaceLM(build(*MODELS["llama"]), tokenizer=byte_tokenizer(), **given)


def requests() -> list[Instance]:
    shots = "a question and its answer " * 4
    settings = {"until": ["zq"], "max_gen_toks": 40}
    return [
        Instance("generate_until", {}, (shots + question, settings), i)
        for i, question in enumerate(("who?", "who was it?", "how many were there?", "why?"))
    ]


@pytest.mark.slow
@pytest.mark.skipif(device.name() != "cuda", reason="only a card records CUDA graphs")
@pytest.mark.parametrize("name", RECORDED)
def test_texts_of_lm_eval_by_graphs(name: str, record_property: Any) -> None:
    model, shared = build(*MODELS[name]), {"tokenizer": byte_tokenizer(), "max_length": 256}
    own = CapspaceLM(model, **shared).generate_until(requests(), disable_tqdm=True)
    lm = CapspaceLM(model, **shared, cuda_graphs=True)
    record_property("unrecorded", str(lm.unrecorded_reason))
    assert lm.unrecorded_reason is None
    assert lm.generate_until(requests(), disable_tqdm=True) == own
    record_property("replayed", f"{lm.decoding_stats.replayed_steps}/{lm.decoding_stats.steps}")
    assert lm.decoding_stats.replayed_steps > lm.decoding_stats.steps / 3


@pytest.mark.slow
def test_texts_of_lm_eval() -> None:
    model, asked = build(*MODELS["llama"]), requests()
    lm = CapspaceLM(model, tokenizer=byte_tokenizer(), max_length=256, cuda_graphs="false")
    own = lm.generate_until(asked, disable_tqdm=True)
    assert lm.decoding_stats.replayed_steps == 0
    assert lm.unrecorded_reason is None
    lm._support = find_support(model, recording=Recording(traced))
    assert lm.generate_until(asked, disable_tqdm=True) == own
    assert lm.decoding_stats.replayed_steps > lm.decoding_stats.steps / 3

"""Half precision by lm-eval's own arguments: forward passes under autocast, and the log-softmax."""

from __future__ import annotations

from functools import partial
from typing import Any

import device
import numpy as np
import pytest
import torch
import transformers
from engine_parts import SIZES, byte_tokenizer, needs_autocast, of_measured_cpus
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from capspace.collect.engine.attention.backends import branches, cascade
from capspace.collect.engine.generation.decode import generate
from capspace.collect.engine.lm import CapspaceLM
from capspace.collect.engine.probes import generation_probe, probe
from capspace.collect.engine.scoring import Target, score_targets

of_transformers_5 = pytest.mark.skipif(
    transformers.__version__ < "5", reason="transformers 4 rounds elsewhere"
)

SHARED = {"tokenizer": byte_tokenizer(), "max_length": 256}
OTHERS = ("Qwen3", "Gemma2")
CONTEXTS = ["The question is long enough to share: ", "What is it? "]
PAIRS = [(a + b, c) for a in CONTEXTS for b in ("one", "two?") for c in (" yes", " no, never")]
SCORED = [Instance("loglikelihood", {}, pair, 0) for pair in PAIRS]
TEXTS = [
    Instance("generate_until", {}, (text + "x" * i, {"max_gen_toks": 12}), i)
    for i, text in enumerate([CONTEXTS[0] * 2] * 3 + CONTEXTS)
]


def wide(kind: str, **settings: Any) -> Any:
    config = getattr(transformers, f"{kind}Config")(**{**SIZES, "vocab_size": 300, **settings})
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    return device.widened(model)


def answers_behind(beginning: str) -> list[tuple[str, str]]:
    contexts = (*(f"{beginning}{i}: " for i in "abc"), "Other: ")
    return [(a, b) for a in contexts for b in (" yes", " no, never", " it depends")]


def scores(lm: Any) -> Any:
    return np.array([score for score, _ in lm.loglikelihood(SCORED, disable_tqdm=True)])


@needs_autocast
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "kind",
    ["Llama", *(pytest.param(kind, marks=pytest.mark.slow, id=kind) for kind in OTHERS)],
)
def test_mixed_precision_is_served(kind: str, dtype: str) -> None:
    model = wide(kind)
    mixed = {**SHARED, "mixed_precision_dtype": dtype}
    engine, hf = CapspaceLM(model, **mixed), HFLM(model, batch_size=1, **mixed)
    assert engine.unsupported_reason is None
    assert engine.unsupported_generation is None
    exact = scores(HFLM(model, batch_size=1, **SHARED))
    rounding = torch.finfo(getattr(torch, dtype)).eps * np.abs(exact).mean()
    usual = max(device.usual(1.2) * np.abs(scores(hf) - exact).mean(), rounding)
    assert 0 < np.abs(scores(engine) - exact).mean() <= usual
    ours = engine.generate_until(TEXTS, disable_tqdm=True)
    theirs = hf.generate_until(TEXTS, disable_tqdm=True)
    # transformers 4 rounds elsewhere than the engine, and near ties may go the other way: none,
    # one or two of these texts, by the processor
    ties = 2 if transformers.__version__ < "5" else device.near_ties(len(TEXTS))
    assert sum(a != b for a, b in zip(ours, theirs, strict=True)) <= ties
    assert engine.unserved == {}


class _FailsUnderAutocast(transformers.LlamaForCausalLM):
    def forward(self, *args: Any, **settings: Any) -> Any:
        if torch.is_autocast_enabled(device.name()):
            raise RuntimeError("not under autocast")
        return super().forward(*args, **settings)


class _FailsAtOneToken(transformers.LlamaForCausalLM):
    """Reads prompts under autocast, and fails at the step after."""

    def forward(self, input_ids: Any, **settings: Any) -> Any:  # type: ignore[override]  # the rest is passed on
        if torch.is_autocast_enabled(device.name()) and input_ids.shape[1] == 2:
            raise RuntimeError("not two rows under autocast")
        return super().forward(input_ids=input_ids, **settings)


@needs_autocast
def test_the_probes_run_as_the_calls_will() -> None:
    def autocast() -> torch.autocast:
        return torch.autocast(device.name(), torch.bfloat16)

    config = transformers.LlamaConfig(**{**SIZES, "vocab_size": 300})
    model = device.placed(_FailsUnderAutocast(config))
    assert probe(model) is None
    assert "not under autocast" in str(probe(model, autocast=autocast))
    model = device.placed(_FailsAtOneToken(config))
    assert probe(model, autocast=autocast) is None
    assert "not two rows" in str(generation_probe(model, autocast=autocast))
    engine = CapspaceLM(model, **SHARED, mixed_precision_dtype="bfloat16")
    assert "not two rows" in str(engine.unsupported_generation)


@pytest.mark.cpu_only("on a GPU there are other kernels for other numbers of rows")
@of_transformers_5
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["Llama", *OTHERS])
@pytest.mark.parametrize("beginning", ["It is shared by all. ", "It is longer than a block. " * 5])
def test_on_a_cpu_half_precision_moves_scores_no_further_than_batches_of_hf(
    kind: str, dtype: str, beginning: str
) -> None:
    model = wide(kind).to(getattr(torch, dtype))
    shared = {**SHARED, "softmax_dtype": "float32"}
    pairs = answers_behind(beginning)
    requests = [Instance("loglikelihood", {}, pair, 0) for pair in pairs]

    def answers(lm: Any) -> Any:
        return np.array([score for score, _ in lm.loglikelihood(requests, disable_tqdm=True)])

    hf, engine = HFLM(model, batch_size=1, **shared), CapspaceLM(model, **shared)
    alone = answers(hf)
    spread = np.abs(answers(HFLM(model, batch_size=8, **shared)) - alone).mean()
    encoded = [hf._encode_pair(*pair) for pair in pairs]
    targets = [Target((before + after)[:-1], after) for before, after in encoded]
    in_parts, _ = score_targets(model, targets, engine.budget, attention_backend=cascade)
    rounding = np.abs(np.array([score for score, _ in in_parts]) - alone).mean()
    assert np.abs(answers(engine) - alone).mean() <= max(2 * spread, rounding / 5, 1e-4)


@of_measured_cpus
@of_transformers_5
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["Llama", *OTHERS])
@pytest.mark.parametrize("beginning", ["It is shared by all. ", "It is longer than a block. " * 7])
@pytest.mark.parametrize("token_budget", [None, 90])
def test_on_a_cpu_half_precision_has_the_scores_of_hf(
    kind: str, dtype: str, beginning: str, token_budget: int | None
) -> None:
    model = wide(kind).to(getattr(torch, dtype))
    # softmax in single, so that all rounding of the logits shows
    shared = {**SHARED, "softmax_dtype": "float32"}
    requests = [Instance("loglikelihood", {}, pair, 0) for pair in answers_behind(beginning)]
    ours, theirs = (
        [score for score, _ in lm.loglikelihood(requests, disable_tqdm=True)]
        for lm in (
            CapspaceLM(model, token_budget=token_budget, **shared),
            HFLM(model, batch_size=1, **shared),
        )
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=3e-5)


@needs_autocast
@pytest.mark.cpu_only("it is about the attention of a CPU")
def test_under_autocast_attention_is_that_of_half_precision() -> None:
    model = wide("Llama")
    assert CapspaceLM(model, **SHARED)._support.attention_backend is cascade
    mixed = CapspaceLM(model, **SHARED, mixed_precision_dtype="bfloat16")
    assert mixed._support.attention_backend is branches
    autocast = partial(torch.autocast, "cpu", torch.bfloat16)
    targets = [Target([*range(1, 200), *range(1, 200), n], [n]) for n in range(20)]
    given = {"autocast": autocast, "softmax_dtype": torch.float32}
    by_default, whole, in_parts = (
        score_targets(model, targets, mixed.budget, attention_backend=backend, **given)[0]
        for backend in (None, branches, cascade)
    )
    assert by_default == whole != in_parts


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_log_softmax_has_the_precision_of_the_logits(dtype: str) -> None:
    model = wide("Llama").to(getattr(torch, dtype))
    ours, theirs = CapspaceLM(model, **SHARED), HFLM(model, batch_size=1, **SHARED)
    assert (np.mod(scores(ours), 2.0 * torch.finfo(getattr(torch, dtype)).eps) == 0).all()
    if device.name() == "cpu":  # elsewhere logits are rounded in another order
        assert np.mean(scores(ours) == scores(theirs)) > 0.7


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_the_log_softmax_has_the_precision_that_was_given(dtype: str) -> None:
    model = wide("Llama")
    given = {**SHARED, "softmax_dtype": dtype}
    ours, theirs = scores(CapspaceLM(model, **given)), scores(HFLM(model, batch_size=1, **given))
    precision = getattr(torch, dtype)
    step = 2.0 * torch.finfo(precision).eps
    np.testing.assert_allclose(ours, theirs, rtol=step)  # as logits are rounded, and no further
    if precision != torch.float32:
        assert (np.mod(ours, step) == 0).all()  # sums, too, are of this type
        assert np.mean(ours == theirs) > 0.7


@needs_autocast
def test_the_log_softmax_is_outside_of_mixed_precision() -> None:
    given = {**SHARED, "mixed_precision_dtype": "bfloat16", "softmax_dtype": "float16"}
    model = wide("Llama")
    ours, theirs = scores(CapspaceLM(model, **given)), scores(HFLM(model, batch_size=1, **given))
    assert np.mean(ours == theirs) > 0.7


@pytest.mark.cpu_only("on a GPU there are other kernels for other numbers of rows")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sinks_are_rounded_as_in_hf(dtype: str) -> None:
    config = transformers.GptOssConfig(
        **{**SIZES, "vocab_size": 300},
        **{"head_dim": 16, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 24},
    )
    torch.manual_seed(0)
    model = device.widened(transformers.AutoModelForCausalLM.from_config(config))
    model = model.to(getattr(torch, dtype))
    # softmax in single, so that rounding of the logits shows
    given = {**SHARED, "softmax_dtype": "float32"}
    hf = scores(HFLM(model, batch_size=1, **given))
    for budget in (None, 17):
        ours = scores(CapspaceLM(model, token_budget=budget, **given))
        assert np.mean(np.isclose(ours, hf, rtol=1e-6, atol=0)) >= 0.75


@of_measured_cpus
@of_transformers_5
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_prompts_are_read_as_each_alone(dtype: str) -> None:
    model = wide("Llama", head_dim=16).to(getattr(torch, dtype))
    stem = [1 + n % 97 for n in range(112)]  # before the last keys, which depend on the length
    prompts = [[*stem, 100 + n // 2, *range(120, 120 + 3 * (n // 2))] for n in range(12)]
    given: dict[int, torch.Tensor] = {}

    def pick(logits: torch.Tensor, indices: list[int]) -> list[int]:
        given.update(zip(indices, logits.clone(), strict=True))
        return [7] * len(indices)

    generate(
        model,
        prompts,
        max_new_tokens=1,
        pick=pick,
        is_finished=lambda tokens: False,
        rows=16,
        prefill_tokens=2048,
    )
    with torch.no_grad():
        own = [model(torch.tensor([prompt])).logits[0, -1] for prompt in prompts]
    assert [torch.equal(given[row], own[row]) for row in range(12)] == [True] * 12

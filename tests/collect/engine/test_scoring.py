"""Scores of the engine against the model's own forward pass and lm-eval's ``hf``."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import device
import numpy as np
import pytest
import torch
import transformers
from engine_parts import (
    EAGER,
    OTHER_NAME,
    OWN_NAME,
    SIZES,
    UNSERVED,
    by_levels,
    real_items,
    with_cache_called,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from capspace.collect.engine.attention.backends import AttentionBackend, branches, cascade, masked
from capspace.collect.engine.forward import CACHE_NAMES
from capspace.collect.engine.lm import CapspaceLM
from capspace.collect.engine.scoring import Budget, Target, score_targets
from capspace.collect.engine.support import unsupported_reason
from capspace.collect.errors import ResponseError

VOCABULARY = 600
EXPERTS = {"num_experts_per_tok": 2}
WINDOW = 24
SHORT = 128
"""Tokens of a prompt, where a test passes them one at a time."""
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {}),
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4}),
    "gpt_neox": ("GPTNeoXConfig", {}),
    "qwen2": ("Qwen2Config", {}),
    "qwen2_window": (
        "Qwen2Config",
        {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3Config", {"head_dim": 16}),
    "mistral_window": ("MistralConfig", {"sliding_window": WINDOW}),
    "gemma2": ("Gemma2Config", {"head_dim": 16, "sliding_window": WINDOW, **EAGER}),
    "gemma3": (
        "Gemma3TextConfig",
        {"head_dim": 16, "sliding_window": WINDOW, "num_hidden_layers": 6},
    ),
    "gpt_oss": (
        "GptOssConfig",
        {"head_dim": 16, "sliding_window": WINDOW, "num_local_experts": 4, **EXPERTS},
    ),
    "opt": ("OPTConfig", {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    "phi3": ("Phi3Config", {}),
    "mixtral": ("MixtralConfig", {"num_local_experts": 4, **EXPERTS}),
    "qwen2_moe": (
        "Qwen2MoeConfig",
        {
            "num_experts": 4,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 32,
            **EXPERTS,
        },
    ),
}
SERVED = [name for name in CONFIGS if name not in UNSERVED]
FEW_FAST = [
    name if name in ("llama", "gemma2") else pytest.param(name, marks=pytest.mark.slow)
    for name in SERVED
]
ABSOLUTE = device.within(1e-4)
"""Promised agreement in nats, fp32."""
FP32_SUM = 2e-7
"""lm-eval adds up the tokens of a continuation in fp32: one unit in the last place of the sum."""


def build_model(name: str) -> transformers.PreTrainedModel:
    kind, settings = CONFIGS[name]
    config = getattr(transformers, kind)(**{**SIZES, "vocab_size": VOCABULARY, **settings})
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            # wide weights: attention that is wrong anywhere moves every log-probability
            parameter.normal_(std=0.15) if parameter.ndim > 1 else parameter.add_(
                torch.randn_like(parameter) * 0.1
            )
    return device.placed(model)


BACKENDS = [masked, cascade, branches, by_levels]


def own_score(model: torch.nn.Module, target: Target) -> tuple[float, bool]:
    with torch.inference_mode():
        logits = model(device.tensor([target.inputs])).logits[0, -len(target.continuation) :]
    wanted = device.tensor(target.continuation)
    chosen = logits.double().log_softmax(-1).gather(1, wanted[:, None])
    return float(chosen.sum()), bool((logits.argmax(-1) == wanted).all())


def random_targets(seed: int) -> list[Target]:
    """Branches under one prefix, repeats, prefixes of each other, single tokens, greedy ones."""
    rng = np.random.default_rng(seed)
    prefix = rng.integers(3, VOCABULARY, 70).tolist()
    targets = []
    for _ in range(5):
        question = prefix[: rng.integers(40, 71)] + rng.integers(3, VOCABULARY, 12).tolist()
        for _ in range(3):
            answer = rng.integers(3, VOCABULARY, rng.integers(1, 6)).tolist()
            targets.append(Target([*question, *answer[:-1]], answer))
    targets.append(Target(targets[0].inputs, [*targets[0].inputs[-3:], 5]))
    return [*targets, targets[1], Target([5], [7]), Target([5, 7], [7, 9])]


def with_greedy(model: torch.nn.Module, targets: list[Target]) -> list[Target]:
    """Add, for some targets, the continuation that the model itself finds most probable."""
    extended = list(targets)
    for target in targets[::4]:
        with torch.inference_mode():
            best = int(model(device.tensor([target.inputs])).logits[0, -1].argmax())
        extended.append(Target(target.inputs, [best]))
    return extended


@pytest.mark.parametrize("name", FEW_FAST)
def test_every_architecture_and_every_attention_backend(name: str) -> None:
    model = build_model(name)
    targets = with_greedy(model, random_targets(0))
    expected = [own_score(model, target) for target in targets]
    assert any(greedy for _, greedy in expected)
    assert not all(greedy for _, greedy in expected)
    budgets = dict(zip(CACHE_NAMES, (Budget(4096, 4096), Budget(37, 5)), strict=True))
    for cache_name, budget in budgets.items():
        model = with_cache_called(cache_name, build_model(name))
        for backend in BACKENDS:
            scores, stats = score_targets(model, targets, budget, attention_backend=backend)
            np.testing.assert_allclose(
                [score for score, _ in scores], [score for score, _ in expected], atol=ABSOLUTE
            )
            assert [greedy for _, greedy in scores] == [greedy for _, greedy in expected]
            assert stats.fed_tokens == stats.unique_tokens < stats.requested_tokens


@pytest.mark.slow
def test_what_is_served() -> None:
    reasons = {name: unsupported_reason(build_model(name)) for name in CONFIGS}
    assert {name for name, reason in reasons.items() if reason is not None} == UNSERVED


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt_oss"])
def test_one_token_at_a_time(name: str) -> None:
    model = build_model(name)
    targets = random_targets(1)
    scores, stats = score_targets(model, targets, Budget(1, 1))
    assert stats.chunks == stats.unique_tokens
    expected = [own_score(model, target)[0] for target in targets]
    np.testing.assert_allclose([score for score, _ in scores], expected, atol=ABSOLUTE)


@pytest.fixture(
    scope="module",
    params=[
        "llama",
        pytest.param("mistral_window", marks=pytest.mark.slow),
        pytest.param("gpt_oss", marks=pytest.mark.slow),
    ],
)
def drawn_model(request: pytest.FixtureRequest) -> transformers.PreTrainedModel:
    return build_model(request.param)


@pytest.mark.slow
@given(
    rows=st.lists(st.lists(st.integers(3, 5), min_size=2, max_size=40), min_size=1, max_size=8),
    tokens=st.integers(1, 64),
    rows_at_once=st.integers(1, 64),
    backend=st.sampled_from(BACKENDS),
    data=st.data(),
)
@settings(max_examples=25)
def test_random_trees(
    drawn_model: transformers.PreTrainedModel,
    rows: list[list[int]],
    tokens: int,
    rows_at_once: int,
    backend: AttentionBackend,
    data: st.DataObject,
) -> None:
    targets = [Target(row[:-1], row[-data.draw(st.integers(1, len(row) - 1)) :]) for row in rows]
    scores, _ = score_targets(
        drawn_model, targets, Budget(tokens, rows_at_once), attention_backend=backend
    )
    expected = [own_score(drawn_model, target) for target in targets]
    np.testing.assert_allclose(
        [score for score, _ in scores], [score for score, _ in expected], atol=ABSOLUTE
    )


def test_nothing_to_score() -> None:
    scores, stats = score_targets(build_model("llama"), [], Budget(8, 8))
    assert scores == []
    assert stats.chunks == 0


@pytest.mark.cpu_only("an index out of range ends every use of a GPU in the process")
def test_the_model_is_left_as_it_was() -> None:
    model = build_model("gemma2")
    before = model.config._attn_implementation
    with pytest.raises(IndexError, match="out of range"):
        score_targets(model, [Target([VOCABULARY + 5], [1])], Budget(8, 8))
    assert model.config._attn_implementation == before
    assert "capspace_tree" not in transformers.modeling_utils.ALL_ATTENTION_FUNCTIONS
    assert "capspace_tree" not in transformers.masking_utils.ALL_MASK_ATTENTION_FUNCTIONS


class _SmallMemory(transformers.LlamaForCausalLM):
    """Runs out of memory, after some layers, wherever it gets more than ten tokens."""

    most = 10

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        if kwargs["input_ids"].shape[1] > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return output


def test_out_of_memory_halves_the_budget() -> None:
    model = build_model("llama")
    small = device.placed(_SmallMemory(model.config))
    small.load_state_dict(model.state_dict())
    targets = random_targets(2)
    scores, stats = score_targets(small, targets, Budget(64, 64))
    expected, _ = score_targets(model, targets, Budget(64, 64))
    np.testing.assert_allclose(
        [score for score, _ in scores], [score for score, _ in expected], atol=ABSOLUTE
    )
    assert stats.chunks >= stats.unique_tokens // 10
    small.most = 0  # not even one fits
    with pytest.raises(torch.OutOfMemoryError):
        score_targets(small, targets, Budget(4, 4))


# ---- the same items through lm-eval's hf and through the engine ------------------------------

TASKS = {
    "mmlu_high_school_geography": 5,
    "hellaswag": 2,
    "arc_challenge": 5,
    "winogrande": 5,
    "truthfulqa_mc2": None,
    "lambada_openai": None,
}
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="module")
def tasks() -> dict[str, Any]:
    """The tasks with their real items, few-shot examples drawn with a fixed seed."""
    folder = real_items()
    import lm_eval.tasks

    builtin = Path(lm_eval.tasks.__file__).parent
    folders = [
        str(builtin / name)
        for name in ("mmlu/default", "hellaswag", "arc", "winogrande", "truthfulqa", "lambada")
    ]
    manager = lm_eval.tasks.TaskManager(include_path=folders, include_defaults=False)
    before = Path.cwd()
    os.chdir(folder)  # datasets finds a data set of this name in the working directory
    try:
        loaded = manager.load(list(TASKS))["tasks"]
    finally:
        os.chdir(before)
    for name, n_shot in TASKS.items():
        loaded[name].set_fewshot_seed(0)
        if n_shot is not None:
            loaded[name].set_config("num_fewshot", n_shot)
    return loaded


@pytest.fixture(scope="module")
def tokenizer(tasks: dict[str, Any]) -> transformers.PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    core.train_from_iterator((request.args[0] for request in build(tasks)), trainer)
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core,
        **{"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"},
        chat_template=TEMPLATE,
    )


def build(tasks: dict[str, Any], chat: HFLM | None = None, limit: int = 2) -> list[Instance]:
    requests: list[Instance] = []
    for task in tasks.values():
        task.build_all_requests(
            limit=limit,
            rank=0,
            world_size=1,
            apply_chat_template=chat is not None,
            fewshot_as_multiturn=chat is not None,
            chat_template=getattr(chat, "apply_chat_template", None),
        )
        requests.extend(task.instances)
    return requests


def awkward() -> list[Instance]:
    """Empty contexts, spaces at the end, left-over single tokens, repeats, a written-out BOS."""
    pairs = [
        ("", "The"),
        ("", " capital of France"),
        ("", "<s> again"),
        ("Question: who? ", "me"),
        ("Question: who?", " me"),
        ("Question: who?", " me"),
        ("Question: who? me", " again"),
        ("<s>Question", ": who?"),
        ("x", " " + "long answer " * 30),
    ]
    return [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]


def rolling(tasks: dict[str, Any]) -> list[Instance]:
    docs = list(tasks["lambada_openai"].test_docs())[:3]
    texts = [docs[0]["text"], docs[1]["text"] * 6, docs[2]["text"], docs[0]["text"], "A"]
    return [Instance("loglikelihood_rolling", {}, (text,), i) for i, text in enumerate(texts)]


def by_lm_eval(name: str, tokenizer: Any, **settings: Any) -> HFLM:
    shared = {"tokenizer": tokenizer, "max_length": 256, **settings}
    return HFLM(build_model(name), batch_size=16, logits_cache=False, **shared)


def by_engine(
    name: str, tokenizer: Any, *, cache_name: str = OWN_NAME, **settings: Any
) -> CapspaceLM:
    shared = {"tokenizer": tokenizer, "max_length": 256, **settings}
    engine = CapspaceLM(with_cache_called(cache_name, build_model(name)), **shared)
    assert engine.unsupported_reason is None
    return engine


@pytest.fixture(scope="module")
def requests(tasks: dict[str, Any]) -> list[Instance]:
    """Two items of each task, and the awkward ones behind them: made once, and only read."""
    return [*build(tasks), *awkward()]


@pytest.fixture(scope="module")
def more_requests(tasks: dict[str, Any]) -> list[Instance]:
    """Four items of each task: made once, and only read."""
    return build(tasks, limit=4)


Answers = list[tuple[float, bool]]


@pytest.fixture(scope="module")
def by_lm_eval_once(
    requests: list[Instance], tokenizer: transformers.PreTrainedTokenizerFast
) -> Callable[[str], Answers]:
    """What lm-eval answers to the requests with a model in fp32, measured once."""

    @cache
    def answers(name: str) -> Answers:
        return by_lm_eval(name, tokenizer).loglikelihood(requests, disable_tqdm=True)

    return answers


def assert_same(ours: Answers, theirs: Answers) -> None:
    np.testing.assert_allclose(
        [score for score, _ in ours], [score for score, _ in theirs], atol=ABSOLUTE, rtol=FP32_SUM
    )
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]


@pytest.mark.filterwarnings("ignore:.*pretrained.*:UserWarning")
def test_a_continuation_without_a_token_is_one_line_that_names_it(tokenizer: Any) -> None:
    engine = CapspaceLM(build_model("llama"), tokenizer=tokenizer, max_length=256)
    tokens = {t for t in tokenizer.get_vocab() if t.isalpha() and t.isascii()}
    merged = next(t for t in sorted(tokens) if len(t) > 1 and t[:-1] in tokens)
    for pair, reason in (
        ((merged[:-1], merged[-1]), f"the continuation {merged[-1]!r} has no token of its own"),
        (("Question: who?", ""), "that ends in 'Question: who?' is empty"),
    ):
        with pytest.raises(ResponseError) as caught:
            engine.loglikelihood([Instance("loglikelihood", {}, pair, 0)])
        assert reason in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*pretrained.*:UserWarning")
@pytest.mark.parametrize("name", SERVED)
def test_real_items(
    name: str,
    requests: list[Instance],
    tokenizer: Any,
    by_lm_eval_once: Callable[[str], Answers],
) -> None:
    engine = by_engine(name, tokenizer, cache_name=OTHER_NAME)
    assert_same(engine.loglikelihood(requests, disable_tqdm=True), by_lm_eval_once(name))
    assert engine.stats.fed_tokens == engine.stats.unique_tokens


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"add_bos_token": True},
        {"add_bos_token": False},
        {"max_length": 2048},
        {"prefix_token_id": 2},
        {"token_budget": 300},
        {"token_budget": "auto"},
    ],
    ids=str,
)
def test_settings(
    settings: dict[str, Any],
    requests: list[Instance],
    tokenizer: Any,
    by_lm_eval_once: Callable[[str], Answers],
) -> None:
    if "token_budget" in settings:  # the engine's alone
        expected = by_lm_eval_once("llama")
    else:
        hf = by_lm_eval("llama", tokenizer, **settings)
        expected = hf.loglikelihood(requests, disable_tqdm=True)
    engine = by_engine("llama", tokenizer, **settings)
    assert_same(engine.loglikelihood(requests, disable_tqdm=True), expected)


@pytest.mark.slow
def test_chat_template(tasks: dict[str, Any], tokenizer: Any) -> None:
    hf, engine = by_lm_eval("llama", tokenizer), by_engine("llama", tokenizer)
    requests = build(tasks, chat=hf)
    assert all("<user>" in request.args[0] for request in requests)
    assert_same(
        engine.loglikelihood(requests, disable_tqdm=True),
        hf.loglikelihood(requests, disable_tqdm=True),
    )


def test_rolling(tasks: dict[str, Any], tokenizer: Any) -> None:
    hf, engine = by_lm_eval("llama", tokenizer), by_engine("llama", tokenizer)
    requests = rolling(tasks)
    ours = engine.loglikelihood_rolling(requests, disable_tqdm=True)
    theirs = hf.loglikelihood_rolling(requests, disable_tqdm=True)
    np.testing.assert_allclose(ours, theirs, atol=ABSOLUTE, rtol=FP32_SUM)


@pytest.fixture(scope="module")
def within_any_budget(requests: list[Instance], tokenizer: Any) -> tuple[list[Instance], Answers]:
    """Requests of two tasks, and the engine's answers with the budget that it finds itself."""
    of = ("mmlu_high_school_geography", "arc_challenge")
    some = [request for request in requests if request.task_name in of and not request.doc_id]
    assert len(some) == 8
    engine = by_engine("llama", tokenizer, max_length=SHORT)
    return some, engine.loglikelihood(some, disable_tqdm=True)


@pytest.mark.slow
@pytest.mark.parametrize("budget", [1, 2, 7, 64, 1000, 4096])
def test_budgets(
    budget: int, within_any_budget: tuple[list[Instance], Answers], tokenizer: Any
) -> None:
    some, expected = within_any_budget
    narrow = by_engine("llama", tokenizer, max_length=SHORT, token_budget=budget)
    assert_same(narrow.loglikelihood(some, disable_tqdm=True), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVED)
def test_bfloat16(name: str, more_requests: list[Instance], tokenizer: Any) -> None:
    """The most probable tokens and the answers chosen are hf's; the error is what hf's own is.

    On a CPU hf's log-likelihoods of one length do not depend on its batch size at all, so that
    its spread is no measure there. That the engine is exact in fp32 is tested above.
    """
    shared = {"tokenizer": tokenizer, "max_length": 160, "softmax_dtype": "float32"}
    requests = more_requests
    engine = by_engine(name, tokenizer, max_length=160)
    runs = [engine.loglikelihood(requests, disable_tqdm=True)]
    model = engine.model.to(torch.bfloat16)
    for lm in (
        HFLM(model, batch_size=8, logits_cache=False, **shared),
        CapspaceLM(model, **shared),
    ):
        runs.append(lm.loglikelihood(requests, disable_tqdm=True))
    exact, theirs, ours = (np.array([score for score, _ in run]) for run in runs)
    usual, error = np.abs(theirs - exact), np.abs(ours - exact)
    assert 0 < error.mean() <= device.usual(1.5) * usual.mean()  # 1.3 on a CPU, by the examples
    items: dict[tuple[Any, ...], list[int]] = {}
    for i, request in enumerate(requests):
        items.setdefault((request.task_name, request.doc_id), []).append(i)
    for choices in map(np.array, items.values()):
        chosen, best = choices[ours[choices].argmax()], choices[theirs[choices].argmax()]
        # a choice as good as tied in fp32 may go either way, with hf too
        assert abs(exact[chosen] - exact[best]) <= 2 * usual.max()
    flags = sum(a[1] != b[1] for a, b in zip(runs[2], runs[1], strict=True))
    assert flags <= device.near_ties(len(requests))

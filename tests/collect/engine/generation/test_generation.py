"""Generation with shared prompts: texts equal to lm-eval's, samples that follow their settings."""

from __future__ import annotations

import copy
import os
import re
from pathlib import Path
from typing import Any

import device
import numpy as np
import pytest
import torch
import transformers
from engine_parts import EAGER, OWN_NAME, SIZES, real_items, with_cache_called
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from packaging.version import Version
from transformers import GenerationConfig

from capspace.collect.engine.attention.blocks import Layer, UnsupportedAttentionError
from capspace.collect.engine.attention.kernels import Scores
from capspace.collect.engine.generation.decode import generate
from capspace.collect.engine.generation.kv_cache import DecodeAttention, RowStore
from capspace.collect.engine.generation.sampling import Choice, StopCheck
from capspace.collect.engine.generation.shared_prompts import share_prompts
from capspace.collect.engine.lm import CapspaceLM
from capspace.collect.engine.probes import generation_probe
from capspace.collect.recorder.recorder import Recorder
from capspace.collect.storage.journal import Journal

VOCABULARY = 400
WINDOW = 20
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {}),
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4}),
    "mistral_window": ("MistralConfig", {"sliding_window": WINDOW}),
    "gemma2": ("Gemma2Config", {"head_dim": 16, "sliding_window": WINDOW, **EAGER}),
    "gpt_oss": (
        "GptOssConfig",
        {
            "head_dim": 16,
            "sliding_window": WINDOW,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
        },
    ),
}


def build_model(name: str) -> transformers.PreTrainedModel:
    kind, settings = CONFIGS[name]
    config = getattr(transformers, kind)(**{**SIZES, "vocab_size": VOCABULARY, **settings})
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    return device.widened(model, 0.2)


def own_continuation(model: Any, prompt: list[int], length: int) -> list[int]:
    """Greedy tokens with the whole text read again for each of them."""
    new: list[int] = []
    while len(new) < length:
        with torch.inference_mode():
            new.append(int(model(device.tensor([prompt + new])).logits[0, -1].argmax()))
    return new


def own_choices(model: Any, prompt: list[int], new: list[int]) -> list[int]:
    """The most probable token after the prompt and after each of its continuation's but the last.

    They are the continuation where it is the greedy one, and only there.
    """
    with torch.inference_mode():
        logits = model(device.tensor([prompt + new[:-1]])).logits[0, len(prompt) - 1 :]
    return logits.argmax(-1).tolist()


def prompts_of(seed: int) -> list[list[int]]:
    """One prefix for all, one more for some, short ones, repeats, a prompt that begins another."""
    rng = np.random.default_rng(seed)

    def draw(length: int) -> list[int]:
        return rng.integers(3, VOCABULARY, length).tolist()

    prefix = draw(60)
    deeper = prefix + draw(40)
    prompts = [prefix + draw(rng.integers(1, 30)) for _ in range(4)]
    prompts += [deeper + draw(rng.integers(1, 9)) for _ in range(3)]
    return [*prompts, deeper, deeper, prompts[0], draw(5), draw(1), prompts[5], deeper[:80]]


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    ("rows", "prefill", "cache"), [(3, 64, "cache"), (32, 4096, "past_key_values")]
)
def test_greedy_tokens(name: str, rows: int, prefill: int, cache: str) -> None:
    model = build_model(name)
    prompts = prompts_of(0)
    finished: list[int] = []
    texts, stats = generate(
        with_cache_called(cache, build_model(name)),
        prompts,
        max_new_tokens=25,
        pick=Choice(),
        is_finished=lambda new: new[-1] == 7,
        rows=rows,
        prefill_tokens=prefill,
        on_finished=finished.append,
    )
    for prompt, new in zip(prompts, texts, strict=True):
        assert new == own_choices(model, prompt, new)
        assert len(new) == (new.index(7) + 1 if 7 in new else 25)
    assert sorted(finished) == list(range(len(prompts)))
    assert stats.new_tokens == sum(map(len, texts))
    assert stats.fed_prompt_tokens < stats.prompt_tokens / 2


@pytest.mark.slow
def test_rows_leave_and_enter() -> None:
    model = build_model("llama")
    rng = np.random.default_rng(1)
    prompts = [rng.integers(3, VOCABULARY, 6).tolist() for _ in range(24)]
    wanted = rng.integers(1, 30, 24).tolist()
    longest = [own_continuation(model, prompt, max(wanted)) for prompt in prompts]
    # a different length for each first token: the continuation says itself when it is over
    ends = {tuple(new[:1]): length for new, length in zip(longest, wanted, strict=True)}
    expected = [new[: ends[tuple(new[:1])]] for new in longest]
    texts, stats = generate(
        model,
        prompts,
        max_new_tokens=30,
        pick=Choice(),
        is_finished=lambda new: len(new) == ends[tuple(new[:1])],
        rows=4,
        prefill_tokens=100,
    )
    assert texts == expected
    assert len({len(tokens) for tokens in texts}) > 3
    in_batches = sum(max(map(len, expected[i : i + 4])) for i in range(0, 24, 4))
    assert stats.steps < in_batches


token = st.integers(0, 2)


@given(
    st.lists(st.lists(token, min_size=1, max_size=25), min_size=1, max_size=20),
    st.integers(1, 6),
    st.integers(1, 4),
)
def test_segments_spell_the_prompts(
    prompts: list[list[int]], min_shared: int, multiple: int
) -> None:
    shared = share_prompts(prompts, min_shared, multiple=multiple)
    assert sorted(prompt.index for prompt in shared) == list(range(len(prompts)))
    members: dict[Any, list[int]] = {}
    for place, prompt in enumerate(shared):
        spelled = [t for segment in prompt.chain for t in segment.tokens] + prompt.tail.tolist()
        assert spelled == prompts[prompt.index]
        assert len(prompt.tail) >= 1
        start = 0
        for segment in prompt.chain:
            assert segment.start == start
            assert len(segment.tokens) >= min_shared
            start += len(segment.tokens)
            assert start % multiple == 0
            members.setdefault(segment, []).append(place)
        assert prompt.tail_start == start
    for places in members.values():
        assert len(places) > 1
        assert places == list(range(places[0], places[-1] + 1))  # neighbours


def test_nothing_is_shared_by_no_prompts() -> None:
    assert share_prompts([]) == []


def test_attention_outside_the_generation_loop_is_refused() -> None:
    model = build_model("llama")
    store = RowStore(rows=2, length=8)
    with pytest.raises(UnsupportedAttentionError, match="runs outside the generation loop"):
        model(device.tensor([[1, 2]]), **{OWN_NAME: store.cache})
    lengths = device.tensor([1])
    attention = DecodeAttention(store, lengths, lengths, 1, [])
    states = device.tensor(torch.randn(1, 2, 1, 8))
    with pytest.raises(UnsupportedAttentionError, match="its layers keep no keys and values"):
        attention(states, states, states, Layer(Scores(0.3)))


# ---- sampling ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("choice", "allowed"),
    [
        (Choice(1.0, seeds=range(8000)), [0.5, 0.3, 0.15, 0.05]),
        (Choice(0.5, seeds=range(8000)), [0.25, 0.09, 0.0225, 0.0025]),
        (Choice(1.0, top_k=2, seeds=range(8000)), [0.5, 0.3, 0, 0]),
        (Choice(1.0, top_p=0.9, seeds=range(8000)), [0.5, 0.3, 0.15, 0]),
    ],
)
def test_samples_follow_their_distribution(choice: Choice, allowed: list[float]) -> None:
    n = 8000
    logits = device.tensor([0.5, 0.3, 0.15, 0.05]).log().expand(n, 4)
    drawn = np.bincount(choice(logits, list(range(n))), minlength=4) / n
    expected = np.array(allowed) / sum(allowed)
    stderr = np.sqrt(expected * (1 - expected) / n)
    assert (np.abs(drawn - expected) <= 4 * stderr).all()


@pytest.mark.slow
def test_a_sample_depends_on_its_prompt_and_seed_alone() -> None:
    model = build_model("llama")
    prompts = [prompts_of(0)[0]] * 8 + prompts_of(1)[:4]

    def run(rows: int, first_seed: int, part: slice = slice(None)) -> list[list[int]]:
        return generate(
            model,
            prompts[part],
            max_new_tokens=10,
            pick=Choice(0.7, seeds=range(first_seed, first_seed + len(prompts))[part]),
            is_finished=lambda new: False,
            rows=rows,
            prefill_tokens=500,
        )[0]

    assert run(3, 0) == run(12, 0)
    assert run(3, 0) != run(3, 100)
    assert run(3, 0)[4:9] == run(5, 0, slice(4, 9))
    assert len({tuple(tokens) for tokens in run(3, 0)[:8]}) > 1  # samples of one prompt differ


# ---- against lm-eval's hf ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def requests() -> dict[str, list[Instance]]:
    """GSM8K prompts: shots drawn per question, and the fixed chain-of-thought shots."""
    folder = real_items()
    import lm_eval.tasks

    builtin = Path(lm_eval.tasks.__file__).parent
    folders = [str(builtin / name) for name in ("gsm8k",)]
    manager = lm_eval.tasks.TaskManager(include_path=folders, include_defaults=False)
    names = ["gsm8k", "gsm8k_cot"]
    before = Path.cwd()
    os.chdir(folder)  # datasets finds a data set of this name in the working directory
    try:
        tasks = manager.load(names)["tasks"]
    finally:
        os.chdir(before)
    by_kind = {}
    for name in names:
        tasks[name].set_fewshot_seed(0)
        if name == "gsm8k":
            tasks[name].set_config("num_fewshot", 1)
        tasks[name].build_all_requests(limit=4, rank=0, world_size=1)
        by_kind[name] = tasks[name].instances
    return by_kind


@pytest.fixture(scope="module")
def tokenizer(requests: dict[str, list[Instance]]) -> transformers.PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    core.train_from_iterator((r.args[0] for group in requests.values() for r in group), trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core,
        **{"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"},
    )


def with_settings(requests: list[Instance], **settings: Any) -> list[Instance]:
    return [
        Instance("generate_until", {}, (request.args[0], dict(settings)), i)
        for i, request in enumerate(requests)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("llama", "gsm8k"),
        ("llama", "gsm8k_cot"),
        ("mistral_window", "gsm8k_cot"),
        ("gemma2", "gsm8k"),
    ],
)
def test_greedy_texts_of_real_prompts(
    name: str, task: str, requests: dict[str, list[Instance]], tokenizer: Any
) -> None:
    model = build_model(name)
    shared = {"tokenizer": tokenizer, "max_length": 2048 if task == "gsm8k_cot" else 400}
    engine = CapspaceLM(model, **shared)
    asked = [
        *with_settings(requests[task], until=["q", "the"], max_gen_toks=24, do_sample=False),
        *with_settings(requests[task][:2], until=["\n\n"], max_gen_toks=8, temperature=0.0),
        *with_settings(requests[task][:2], max_gen_toks=12),
    ]
    ours = engine.generate_until(asked, disable_tqdm=True)
    for size in (1, 4):
        hf = HFLM(model, batch_size=size, **shared)
        assert ours == hf.generate_until(asked, disable_tqdm=True)
    assert len({len(text) for text in ours}) > 2
    assert engine.decoding_stats.new_tokens > 0


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1e-9, 1e9])
def test_recorded_samples_depend_on_no_cut(
    seconds: float, requests: dict[str, list[Instance]], tokenizer: Any, tmp_path: Path
) -> None:
    """A run whose chunks are one batch, or never end, and that another has begun: the same."""
    engine = CapspaceLM(build_model("llama"), tokenizer=tokenizer, max_length=200)
    settings = {"until": ["\n\n"], "max_gen_toks": 8, "do_sample": True, "temperature": 0.9}
    asked = [
        Instance("generate_until", {}, (request.args[0], settings), 0, ("task", i, 9))
        for i, request in enumerate(requests["gsm8k"][:4])
        for _ in range(9)
    ]

    def record(part: list[Instance], folder: str, chunk_seconds: float) -> list[str]:
        with Journal(tmp_path / folder) as journal:
            recorder = Recorder(
                engine,
                journal=journal,
                identity="a" * 64,
                label="model: task",
                chunk_seconds=chunk_seconds,
            )
            return recorder.generate_until(part)

    expected = record(asked, "whole", 20.0)
    assert len(set(expected)) > 20
    assert record(asked[9:27], "begun", seconds) == expected[9:27]
    assert record(asked, "begun", seconds) == expected


@pytest.mark.slow
def test_left_truncation_and_thinking(requests: dict[str, list[Instance]], tokenizer: Any) -> None:
    model = build_model("llama")
    asked = with_settings(requests["gsm8k"][:4], until=["zq"], max_gen_toks=30)
    plain = HFLM(model, tokenizer=tokenizer, max_length=64).generate_until(asked, disable_tqdm=True)
    middle = tokenizer.encode(plain[0])[10]
    for marker in (None, middle, tokenizer.decode([middle])):
        shared = {"tokenizer": tokenizer, "max_length": 64, "think_end_token": marker}
        ours = CapspaceLM(model, **shared).generate_until(asked, disable_tqdm=True)
        assert ours == HFLM(model, **shared).generate_until(asked, disable_tqdm=True)
        assert (ours == plain) == (marker is None)


@pytest.mark.slow
def test_unserved_settings_take_the_path_of_hf(
    requests: dict[str, list[Instance]], tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    model = build_model("llama")
    asked = with_settings(requests["gsm8k"][:2], until=["zq"], max_gen_toks=8, num_beams=2)
    shared = {"tokenizer": tokenizer, "max_length": 400}
    engine = CapspaceLM(model, **shared)
    ours = engine.generate_until(asked, disable_tqdm=True)
    assert ours == HFLM(model, **shared).generate_until(asked, disable_tqdm=True)
    assert engine.decoding_stats.new_tokens == 0
    assert engine.unsupported_generation is None  # it is the task's setting
    assert engine.unserved == {"num_beams=2": 2}
    engine.generate_until(asked, disable_tqdm=True)
    assert caplog.text.count("does not serve (num_beams=2)") == 1


def test_a_model_whose_own_settings_are_unserved_says_so_at_once(
    requests: dict[str, list[Instance]], tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    model = build_model("llama")
    model.generation_config = GenerationConfig(num_beams=2)
    engine = CapspaceLM(model, tokenizer=tokenizer, max_length=400)
    assert engine.unsupported_generation == "num_beams=2"
    assert "does not generate this model's texts (num_beams=2)" in caplog.text
    aside = with_settings(requests["gsm8k"][:2], max_gen_toks=4, num_beams=1)
    engine.generate_until(aside, disable_tqdm=True)
    assert engine.decoding_stats.new_tokens > 0
    assert engine.unserved == {}


class _WritesAfresh(transformers.LlamaForCausalLM):
    """Right over many tokens at once, and wrong over a few, as generation gives them."""

    def forward(self, input_ids: Any, **settings: Any) -> Any:  # type: ignore[override]  # the rest is passed on
        output = super().forward(input_ids=input_ids, **settings)
        if input_ids.shape[1] == 2:
            output.logits = output.logits.roll(1, -1)
        return output


def test_texts_that_come_out_wrong_are_found_before_any_request(tokenizer: Any) -> None:
    model = build_model("llama")
    wrong = device.placed(_WritesAfresh(model.config))
    wrong.load_state_dict(model.state_dict())
    engine = CapspaceLM(wrong, tokenizer=tokenizer, max_length=400)
    assert engine.unsupported_reason is None
    assert re.search("of a short text are .* nats off", str(engine.unsupported_generation))


@pytest.mark.slow
def test_prompts_of_a_batch_are_encoded_each_by_itself(tokenizer: Any, tmp_path: Path) -> None:
    """lm-eval's hf encodes all prompts of a batch as its first, which a note says."""
    from tokenizers.processors import TemplateProcessing

    with_bos = copy.deepcopy(tokenizer)
    with_bos.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    model = build_model("llama")
    shared = {"tokenizer": with_bos, "max_length": 400}
    prompts = ["<s>Who was it?", "How many were there?", "<s>When?", "Where was it, and why?"]
    asked = [
        Instance("generate_until", {}, (prompt, {"max_gen_toks": 12}), i)
        for i, prompt in enumerate(prompts)
    ]
    engine = CapspaceLM(model, **shared)
    ours = engine.generate_until(asked, disable_tqdm=True)
    alone, together = (HFLM(model, batch_size=size, **shared) for size in (1, 4))
    assert ours == alone.generate_until(asked, disable_tqdm=True)
    assert ours != together.generate_until(asked, disable_tqdm=True)

    plain = HFLM(model, batch_size=4, **shared | {"tokenizer": tokenizer})  # adds no BOS to any
    bare = HFLM(model, batch_size=4, add_bos_token=False, **shared)
    with Journal(tmp_path / "journal") as journal:
        for i, lm in enumerate((together, alone, engine, plain, bare)):
            recorder = Recorder(lm, journal=journal, identity=str(i) * 64, label="model: task")
            recorder.generate_until(asked)
            begin = ["2 of 4 prompts begin with <s>"] if lm is together else []
            assert [notice.partition(":")[0] for notice in recorder.notices] == begin
            recorder.generate_until([asked[0], asked[2]])
            assert len(recorder.notices) == len(begin)


def test_no_room_for_a_prompt(requests: dict[str, list[Instance]], tokenizer: Any) -> None:
    engine = CapspaceLM(build_model("llama"), tokenizer=tokenizer, max_length=64)
    with pytest.raises(ValueError, match="max_gen_toks=64 leaves no room"):
        engine.generate_until(with_settings(requests["gsm8k"], max_gen_toks=64), disable_tqdm=True)


def test_seeds(requests: dict[str, list[Instance]], tokenizer: Any) -> None:
    engine = CapspaceLM(build_model("llama"), tokenizer=tokenizer, max_length=400)
    asked = with_settings(
        requests["gsm8k"][:1] * 4, until=["zq"], max_gen_toks=8, do_sample=True, temperature=0.9
    )

    def run(seed: int) -> list[str]:
        torch.manual_seed(seed)  # lm-eval's torch_random_seed
        return engine.generate_until(asked, disable_tqdm=True)

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert len(set(run(1))) > 1


def test_stop_texts_spelled_otherwise(tokenizer: Any) -> None:
    check = StopCheck(tokenizer, ["the end"], frozenset({9}))
    letters = [tokenizer.encode(c)[0] for c in "so the end"]
    assert check([*letters[:5], 9])
    assert not check(letters[:-1])
    assert len(tokenizer.encode("the end")) + 2 >= len("the end")
    assert check(letters)
    assert not check([*letters, letters[0]])  # it ended one token ago: found then, or never


_TRANSFORMERS_4 = Version(transformers.__version__) < Version("5")
_LATENT = {
    **{"q_lora_rank": None, "kv_lora_rank": 8, "num_key_value_heads": 4, "head_dim": 8},
    **{"qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8, "first_k_dense_replace": 2},
}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        pytest.param("DeepseekV3", _LATENT, id="deepseek_v3"),
        pytest.param(
            *("DiffLlama", {}),
            id="diffllama",
            marks=pytest.mark.skipif(
                _TRANSFORMERS_4,
                reason="transformers 4 computes DiffLlama outside its attention interface",
            ),
        ),
    ],
)
def test_attention_that_changes_its_values_is_left_to_the_model(
    requests: dict[str, list[Instance]], tokenizer: Any, kind: str, settings: dict[str, Any]
) -> None:
    """Its texts go on from states, or take the path of hf where states cannot be copied."""
    torch.manual_seed(0)
    config_class = getattr(transformers, f"{kind}Config")
    config = config_class(**{**SIZES, "vocab_size": VOCABULARY, **settings})
    model = device.placed(getattr(transformers, f"{kind}ForCausalLM")(config))
    # transformers 4 keeps keys and values of every head, as attention reads them
    changed = "its attention changes the keys and values it keeps"
    assert generation_probe(model) == (None if _TRANSFORMERS_4 else changed)
    shared = {"tokenizer": tokenizer, "max_length": 400}
    engine = CapspaceLM(model, **shared)
    assert engine.unsupported_reason is None
    is_served = _TRANSFORMERS_4 or hasattr(transformers.cache_utils, "LinearAttentionLayer")
    assert engine.unsupported_generation == (None if is_served else changed)
    asked = with_settings(requests["gsm8k"][:2], until=["zq"], max_gen_toks=6)
    ours = engine.generate_until(asked, disable_tqdm=True)
    assert engine.unserved == ({} if is_served else {changed: 2})
    assert ours == HFLM(model, **shared).generate_until(asked, disable_tqdm=True)

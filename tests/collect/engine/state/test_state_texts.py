"""Texts that go on from states equal hf's, whatever runs beside them."""

from __future__ import annotations

from typing import Any

import device
import numpy as np
import pytest
import torch
from engine_parts import byte_tokenizer
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from state_models import ATTENDING, CHOOSING, HYBRIDS, build, build_named, each, needs_states

from capspace.collect.engine.generation.sampling import Choice
from capspace.collect.engine.lm import CapspaceLM
from capspace.collect.engine.state.passes import StateForward
from capspace.collect.engine.state.texts import generate_by_states

pytestmark = needs_states

SHARED = {"tokenizer": byte_tokenizer(), "max_length": 256}
VOCABULARY = 300


def prompts_of(seed: int) -> list[list[int]]:
    """One prefix for all, one more for some, short ones, repeats, a prompt that begins another."""
    rng = np.random.default_rng(seed)

    def draw(length: int) -> list[int]:
        return rng.integers(3, VOCABULARY, length).tolist()

    prefix = draw(70)
    deeper = prefix + draw(40)
    prompts = [prefix + draw(int(rng.integers(1, 30))) for _ in range(3)]
    prompts += [deeper + draw(int(rng.integers(1, 9))) for _ in range(2)]
    return [*prompts, deeper, deeper, prompts[0], draw(5), draw(1), deeper[:80]]


def own_texts(model: Any, prompts: list[list[int]], length: int) -> list[list[int]]:
    """Greedy tokens of transformers, a prompt at a time."""
    texts = []
    for prompt in prompts:
        rows = device.tensor([prompt])
        new = model.generate(
            rows,
            attention_mask=torch.ones_like(rows),
            max_new_tokens=length,
            min_new_tokens=length,
            do_sample=False,
        )
        texts.append(new[0, len(prompt) :].tolist())
    return texts


def generated(model: Any, prompts: list[list[int]], rows: int, **settings: Any) -> Any:
    usual: dict[str, Any] = {"max_new_tokens": 10, "pick": Choice(), "prefill_tokens": 384}
    usual["is_finished"] = lambda new: False
    return generate_by_states(model, prompts, rows=rows, **usual | settings)


REQUESTS = [
    Instance("generate_until", {}, (context, {"max_gen_toks": 8, "until": ["q", "zz"]}), i)
    for i, context in enumerate(
        [*("a long beginning of every question " * 3 + end for end in ("?", "!", " and why?")), "b"]
    )
]


@pytest.mark.slow
@pytest.mark.parametrize("name", each(HYBRIDS | ATTENDING | CHOOSING))
def test_texts_are_those_of_hf(name: str) -> None:
    model = build_named(name)
    engine, hf = CapspaceLM(model, **SHARED), HFLM(model, batch_size=1, **SHARED)
    assert (engine.unsupported_reason, engine.unsupported_generation) == (None, None)
    ours = engine.generate_until(REQUESTS, disable_tqdm=True)
    assert ours == hf.generate_until(REQUESTS, disable_tqdm=True)
    stats = engine.decoding_stats
    assert stats.new_tokens > 0
    assert stats.fed_prompt_tokens < stats.prompt_tokens / 1.5
    pairs = [(request.args[0], " yes") for request in REQUESTS]
    scored = [Instance("loglikelihood", {}, pair, 0) for pair in pairs]
    scores, own = (lm.loglikelihood(scored, disable_tqdm=True) for lm in (engine, hf))
    np.testing.assert_allclose(
        [s for s, _ in scores], [s for s, _ in own], atol=device.within(2e-4)
    )
    assert not engine.unserved


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "limit", "reason"),
    [
        ("llama_4", {"attention_chunk_size": 120}, "its attention works in chunks of positions"),
        ("deepseek_v3_2", {"index_topk": 119}, "its attention chooses tokens by an index"),
    ],
    ids=["chunks", "index"],
)
def test_what_is_longer_than_the_probe_can_tell_takes_the_path_of_hf(
    name: str, limit: dict[str, int], reason: str
) -> None:
    """Up to where attention begins to choose, requests are served."""
    kind, settings = CHOOSING[name]
    model = build(kind, settings | limit)
    engine, hf = CapspaceLM(model, **SHARED), HFLM(model, batch_size=1, **SHARED)
    assert (engine.unsupported_reason, engine.unsupported_generation) == (None, None)
    pairs = [("a" * n, "bc") for n in (30, 117, 118, 119, 160)]
    scored = [Instance("loglikelihood", {}, pair, 0) for pair in pairs]
    ours, own = (lm.loglikelihood(scored, disable_tqdm=True) for lm in (engine, hf))
    np.testing.assert_allclose([s for s, _ in ours], [s for s, _ in own], atol=device.within(2e-4))
    assert engine.unserved == {reason: 2}
    asked = [Instance("generate_until", {}, ("b" * n, {"max_gen_toks": 6}), 0) for n in (90, 130)]
    for request, is_served in zip(asked, (True, False), strict=True):
        engine.unserved.clear()
        texts = engine.generate_until([request], disable_tqdm=True)
        assert texts == hf.generate_until([request], disable_tqdm=True)
        assert (engine.unserved == {}) == is_served
    model = build(kind, settings | {next(iter(limit)): 60})
    assert CapspaceLM(model, **SHARED).unsupported_reason is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", each(["qwen3_5", "lfm3", "gemma_3n"]))
def test_rows_leave_and_enter(name: str) -> None:
    """Texts of every length, in few rows and in many: each is what it is alone."""
    model = build_named(name)
    prompts = prompts_of(0)
    model.generation_config.eos_token_id = None
    own = own_texts(model, prompts, 12)
    lengths = [3 + tokens[0] % 9 for tokens in own]
    expected = [tokens[:n] for tokens, n in zip(own, lengths, strict=True)]
    for rows in (3, 32):
        finished: list[int] = []
        texts, stats = generated(
            model,
            prompts,
            rows,
            max_new_tokens=12,
            is_finished=lambda new: len(new) == 3 + new[0] % 9,
            on_finished=finished.append,
        )
        assert texts == expected
        assert sorted(finished) == list(range(len(prompts)))
        assert stats.new_tokens == sum(lengths)
        assert stats.fed_prompt_tokens < stats.prompt_tokens / 2


@pytest.mark.slow
def test_states_of_texts_stay_within_their_bytes() -> None:
    """Fewer texts run at once, and states behind prompts are read again."""
    model = build_named("qwen3_5")
    prompts, size = prompts_of(0), StateForward.of(model).size
    rows: list[int] = []
    usual, least = generated(model, prompts, 32)
    model.register_forward_pre_hook(
        lambda _, args, settings: rows.append(len(settings["input_ids"])), with_kwargs=True
    )
    for most in (3 * size.fixed, 1):
        rows.clear()
        texts, stats = generated(model, prompts, 32, state_bytes=most)
        assert texts == usual
        assert max(rows) == max(1, most // size.fixed)
    assert stats.fed_prompt_tokens >= least.fed_prompt_tokens


@pytest.mark.slow
def test_rows_of_a_listed_state_do_not_mix() -> None:
    """Given one token of several rows, RWKV itself mixes each row with the tokens of all."""
    model = build_named("rwkv")
    model.generation_config.eos_token_id = None
    prompts = prompts_of(0)
    own = own_texts(model, prompts, 10)
    assert generated(model, prompts, 32)[0] == own
    pair = device.tensor([prompts[0][:20], prompts[1][20:40]])
    in_a_batch = own_texts(model, pair.tolist(), 10)
    settings = {"max_new_tokens": 10, "min_new_tokens": 10, "do_sample": False}
    both = model.generate(pair, attention_mask=torch.ones_like(pair), **settings)
    # when this holds no more, transformers has mended it
    assert both[:, 20:].tolist() != in_a_batch


@pytest.mark.slow
def test_long_texts_of_prompts_in_pieces() -> None:
    """Keys that outgrow their room, and prompts longer than a pass."""
    model = build_named("qwen3_next")
    model.generation_config.eos_token_id = None
    prompts = [prompt + prompts_of(1)[0] * 2 for prompt in prompts_of(2)[:3]]
    texts, _ = generated(model, prompts, 3, max_new_tokens=90, prefill_tokens=64)
    assert texts == own_texts(model, prompts, 90)


@pytest.mark.slow
def test_a_sample_depends_on_its_prompt_and_seed_alone() -> None:
    model = build_named("lfm2")
    prompts = [prompts_of(0)[0]] * 6 + prompts_of(1)[:3]

    def run(rows: int, first_seed: int, part: slice = slice(None)) -> list[list[int]]:
        seeds = range(first_seed, first_seed + len(prompts))[part]
        texts: list[list[int]]
        texts, _ = generated(model, prompts[part], rows, pick=Choice(0.7, seeds=seeds))
        return texts

    assert run(3, 0) == run(12, 0)
    assert run(3, 0) != run(3, 100)
    assert run(3, 0)[4:8] == run(5, 0, slice(4, 8))
    assert len({tuple(tokens) for tokens in run(3, 0)[:6]}) > 1  # samples of one prompt differ


@pytest.mark.slow
def test_single_tokens_that_do_not_go_on_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are served, as they read no token alone, and texts take the path of hf."""
    model = build_named("qwen3_5")
    layer = type(model.model.layers[0].linear_attn)
    own = layer.forward

    def of_the_first_row(self: Any, hidden_states: Any, *args: Any, **settings: Any) -> Any:
        if hidden_states.shape[:2] > (1, 1) and hidden_states.shape[1] == 1:
            hidden_states = hidden_states[:1].expand_as(hidden_states)
        return own(self, hidden_states, *args, **settings)

    monkeypatch.setattr(layer, "forward", of_the_first_row)
    engine, hf = CapspaceLM(model, **SHARED), HFLM(model, batch_size=1, **SHARED)
    assert engine.unsupported_reason is None
    assert "texts that are generated from a state are" in str(engine.unsupported_generation)
    ours = engine.generate_until(REQUESTS, disable_tqdm=True)
    assert ours == hf.generate_until(REQUESTS, disable_tqdm=True)
    assert engine.unserved == {engine.unsupported_generation: len(REQUESTS)}

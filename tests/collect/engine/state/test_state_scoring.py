"""Models with recurrent or convolutional layers: scores from states equal hf's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from engine_parts import byte_tokenizer
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from state_models import HYBRIDS, build_named, each, needs_states

from capspace.collect.engine.lm import CapspaceLM
from capspace.collect.engine.scoring import Budget, Target
from capspace.collect.engine.state.forking import StateForward, fork
from capspace.collect.engine.state.scan import layers_in_pieces
from capspace.collect.engine.state.scoring import score_by_states

pytestmark = needs_states


def pairs() -> list[tuple[str, str]]:
    """Questions under shots, with answers of one token and of many, and texts of their own."""
    rng = np.random.default_rng(0)

    def draw(length: int) -> str:
        return "".join(rng.choice(list("abcdefgh "), length))

    texts = []
    for _ in range(2):
        shots = draw(90)
        for _ in range(2):
            question = shots + draw(int(rng.integers(5, 40)))
            texts += [(question, answer) for answer in ("x", " yes", "no, it is not")]
    return [*texts, ("", "alone"), ("z", "q"), (draw(230), draw(40)), ("b", "c" * 60)]


PAIRS = pairs()
SCORED = [Instance("loglikelihood", {}, pair, 0) for pair in PAIRS]
SHARED = {"tokenizer": byte_tokenizer(), "max_length": 256}


def assert_same(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(
        [score for score, _ in ours], [score for score, _ in theirs], atol=2e-4, rtol=1e-6
    )
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]


def scores_of(lm: Any) -> Any:
    return np.array([score for score, _ in lm.loglikelihood(SCORED, disable_tqdm=True)])


@pytest.mark.slow
@pytest.mark.parametrize("name", each(HYBRIDS))
def test_scores_are_those_of_hf(name: str) -> None:
    model = build_named(name)
    engine, hf = CapspaceLM(model, **SHARED), HFLM(model, batch_size=1, **SHARED)
    assert engine.unsupported_reason is None
    assert engine.unsupported_generation is None
    theirs = hf.loglikelihood(SCORED, disable_tqdm=True)
    assert_same(engine.loglikelihood(SCORED, disable_tqdm=True), theirs)
    assert engine.stats.unique_tokens <= engine.stats.fed_tokens < engine.stats.requested_tokens / 2
    texts = [Instance("loglikelihood_rolling", {}, (a + b,), 0) for a, b in PAIRS[-3:]]
    ours, own = (lm.loglikelihood_rolling(texts, disable_tqdm=True) for lm in (engine, hf))
    np.testing.assert_allclose(ours, own, atol=2e-4, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", each(HYBRIDS))
def test_bfloat16(name: str) -> None:
    """The error against fp32 is what hf's own is, though states are cut in other places."""
    model = build_named(name)
    exact = scores_of(HFLM(model, batch_size=1, **SHARED))
    model = model.to(torch.bfloat16)
    shared = {**SHARED, "softmax_dtype": "float32"}
    engine, hf = CapspaceLM(model, **shared), HFLM(model, batch_size=1, **shared)
    assert engine.unsupported_reason is None
    error, usual = (np.abs(scores_of(lm) - exact).mean() for lm in (engine, hf))
    assert 0 < error <= 1.5 * usual


@pytest.mark.parametrize("budget", [Budget(1, 1), Budget(20, 3), Budget(4096, 4096)])
def test_the_budget_moves_no_score(budget: Budget) -> None:
    model = build_named("qwen3_next")
    rng = np.random.default_rng(1)
    prefix, tails = rng.integers(3, 300, 130), rng.integers(3, 300, (4, 80))
    texts = [[*prefix.tolist(), *tail.tolist()] for tail in tails]
    targets = [Target(text[:-1], text[-n:]) for text in texts for n in (1, 79)]
    usual, _ = score_by_states(model, targets, Budget(384, 128))
    done: list[int] = []
    scores, stats = score_by_states(model, targets, budget, on_progress=done.append)
    assert_same(scores, usual)
    assert done == sorted(done)
    assert done[-1] == len(targets)
    assert stats.fed_tokens == stats.unique_tokens
    assert score_by_states(model, [], budget)[0] == []


def test_deep_trees_hold_few_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the last state that is held, what texts share is read for each of them."""
    model = build_named("lfm2")
    rng = np.random.default_rng(2)
    path = rng.integers(3, 300, 120).tolist()
    texts = [[*path[:n], int(rng.integers(3, 300)), 5] for n in range(10, 121, 10)]
    targets = [Target(text[:-1], text[-2:]) for text in texts]
    usual, least = score_by_states(model, targets, Budget(384, 128))
    monkeypatch.setattr("capspace.collect.engine.state.scoring._MOST_STATES", 2)
    scores, stats = score_by_states(model, targets, Budget(384, 128))
    assert_same(scores, usual)
    assert stats.fed_tokens > least.fed_tokens


@pytest.mark.parametrize("name", ["granite_4", "falcon_h1", "nemotron_h", "bamba", "mamba_2"])
def test_scans_take_short_pieces_while_the_engine_reads(name: str) -> None:
    model = build_named(name)
    layers = layers_in_pieces(model)
    during: list[int] = []
    for layer in layers:
        layer.register_forward_pre_hook(lambda module, _: during.append(module.chunk_size))
    forward = StateForward.of(model)
    with torch.no_grad():
        forward(np.arange(3, 8)[None], np.arange(5)[None], np.array([4]), forward.empty())
    assert layers
    assert set(during) == {32}
    assert {layer.chunk_size for layer in layers} == {64}


@pytest.mark.parametrize("name", ["qwen3_5", "lfm2"])
def test_a_copy_leaves_its_state_as_it_was(name: str) -> None:
    model = build_named(name)
    forward = StateForward.of(model)
    rng = np.random.default_rng(3)
    first, then = rng.integers(3, 300, (1, 9)), rng.integers(3, 300, (2, 5))
    state = forward.empty()
    with torch.no_grad():
        forward(first, np.arange(9)[None], np.array([8]), state)
        places = np.broadcast_to(9 + np.arange(5), (2, 5)).copy()
        once = forward(then, places, np.arange(5), fork(state, 2))
        again = forward(then, places, np.arange(5), fork(state, 2))
        whole = model(torch.from_numpy(np.c_[first, then[1:]])).logits[:, 9:]
    assert (once == again).all()
    torch.testing.assert_close(once[1:], whole, atol=1e-4, rtol=1e-4)


def test_a_state_that_does_not_go_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a scan that begins at zero in every chunk, as Mamba-1's does."""
    model = build_named("qwen3_5")
    layer = type(model.model.layers[0].linear_attn)
    own = layer.forward

    def afresh(self: Any, *args: Any, cache: Any = None, **settings: Any) -> Any:
        if cache is not None:
            for state in cache.layers[self.layer_idx].recurrent_states.values():
                if state is not None:
                    state.zero_()
        return own(self, *args, cache=cache, **settings)

    monkeypatch.setattr(layer, "forward", afresh)
    engine = CapspaceLM(model, **SHARED)
    assert "texts that go on from a state are" in str(engine.unsupported_reason)

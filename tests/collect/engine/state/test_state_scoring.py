"""Models with recurrent or convolutional layers: scores from states equal hf's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import device
import numpy as np
import pytest
import torch
from engine_parts import IS_MEASURED_CPU, byte_tokenizer, of_measured_cpus
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from state_models import HYBRIDS, build_named, each, needs_states

from capspace.collect.engine.lm import CapspaceLM
from capspace.collect.engine.scoring import Budget, Target
from capspace.collect.engine.state.forking import fork
from capspace.collect.engine.state.passes import StateForward
from capspace.collect.engine.state.scan import layers_in_pieces
from capspace.collect.engine.state.scoring import score_by_states

pytestmark = needs_states


def pairs(n_shared: int = 90) -> list[tuple[str, str]]:
    """Questions under shots, with answers of one token and of many, and texts of their own."""
    rng = np.random.default_rng(0)

    def draw(length: int) -> str:
        return "".join(rng.choice(list("abcdefgh "), length))

    texts = []
    for _ in range(2):
        shots = draw(n_shared)
        for _ in range(2):
            question = shots + draw(int(rng.integers(5, 40)))
            texts += [(question, answer) for answer in ("x", " yes", "no, it is not")]
    return [*texts, ("", "alone"), ("z", "q"), (draw(230), draw(40)), ("b", "c" * 60)]


PAIRS = pairs()
SCORED = [Instance("loglikelihood", {}, pair, 0) for pair in PAIRS]
SHARED = {"tokenizer": byte_tokenizer(), "max_length": 256}


Record = Callable[[str, object], None]


def assert_same(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(
        [score for score, _ in ours],
        [score for score, _ in theirs],
        atol=device.within(2e-4),
        rtol=1e-6,
    )
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]


def scores_of(lm: Any, requests: Any) -> Any:
    return np.array([score for score, _ in lm.loglikelihood(requests, disable_tqdm=True)])


@pytest.mark.slow
@pytest.mark.parametrize("name", each([*HYBRIDS, "qwen4_exp"]))
def test_scores_are_those_of_hf(name: str, record_property: Record) -> None:
    model = build_named(name)
    engine, hf = CapspaceLM(model, **SHARED), HFLM(model, batch_size=1, **SHARED)
    assert engine.unsupported_reason is None
    assert engine.unsupported_generation is None
    ours, theirs = (lm.loglikelihood(SCORED, disable_tqdm=True) for lm in (engine, hf))
    gaps = [abs(a - b) for (a, _), (b, _) in zip(ours, theirs, strict=True)]
    record_property("nats", float(max(gaps)))
    assert_same(ours, theirs)
    assert engine.stats.unique_tokens <= engine.stats.fed_tokens < engine.stats.requested_tokens / 2
    texts = [Instance("loglikelihood_rolling", {}, (a + b,), 0) for a, b in PAIRS[-3:]]
    ours, own = (lm.loglikelihood_rolling(texts, disable_tqdm=True) for lm in (engine, hf))
    np.testing.assert_allclose(ours, own, atol=device.within(2e-4), rtol=1e-6)


def in_bfloat16(model: Any, **settings: Any) -> tuple[CapspaceLM, HFLM]:
    """Return the engine and hf with softmax in single, so that all rounding of the logits shows."""
    shared = {**SHARED, "max_length": 512, "softmax_dtype": "float32"}
    model = model.to(torch.bfloat16)
    return CapspaceLM(model, **shared, **settings), HFLM(model, batch_size=1, **shared)


@pytest.mark.slow
@pytest.mark.parametrize("name", each(HYBRIDS))
def test_bfloat16(name: str, record_property: Record) -> None:
    """The error against fp32 is what hf's own is; where kernels are known, scores are hf's.

    Some texts are long, for a state that is rounded to go wrong behind them.
    """
    model = build_named(name)
    requests = [Instance("loglikelihood", {}, pair, 0) for pair in [*pairs(150), *pairs(400)[:12]]]
    exact = scores_of(HFLM(model, batch_size=1, **{**SHARED, "max_length": 512}), requests)
    engine, hf = in_bfloat16(model)
    assert engine.unsupported_reason is None
    ours, theirs = (scores_of(lm, requests) for lm in (engine, hf))
    assert engine.stats.fed_tokens < 0.8 * engine.stats.requested_tokens
    error, usual = (np.abs(scores - exact).mean() for scores in (ours, theirs))
    record_property("nats from fp32", float(error))
    record_property("nats of hf from fp32", float(usual))
    assert 0 < error <= device.usual(1.5) * usual
    if IS_MEASURED_CPU:
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=3e-5)


@of_measured_cpus
@pytest.mark.slow
@pytest.mark.parametrize("name", ["qwen3_5", "minimax_01", "zaya"])
def test_bfloat16_at_any_cut(name: str) -> None:
    requests = [Instance("loglikelihood", {}, pair, 0) for pair in pairs(410)[:12]]
    lms = in_bfloat16(build_named(name), token_budget=100)
    np.testing.assert_allclose(*(scores_of(lm, requests) for lm in lms), rtol=1e-6, atol=3e-5)


@pytest.mark.parametrize(
    ("name", "is_taken"), [("qwen3_5", True), ("bloom", False), ("mamba", False), ("rwkv", False)]
)
def test_attention_is_replaced_where_a_model_lets_it_be(name: str, is_taken: bool) -> None:
    assert StateForward.of(build_named(name)).takes_tree_attention is is_taken


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


def short_texts() -> list[Target]:
    """Twenty texts that share nothing, and eight that share a long beginning."""
    rng = np.random.default_rng(4)
    shared = rng.integers(3, 300, 100).tolist()
    texts = [rng.integers(3, 300, 4).tolist() for _ in range(20)]
    texts += [shared + rng.integers(3, 300, 4).tolist() for _ in range(8)]
    return [Target(text[:-1], text[-1:]) for text in texts]


def rows_read(model: Any) -> list[int]:
    """Return a list that grows by the rows of each pass."""
    rows: list[int] = []
    model.register_forward_pre_hook(
        lambda _, args, settings: rows.append(len(settings["input_ids"])), with_kwargs=True
    )
    return rows


@pytest.mark.parametrize("name", ["qwen3_5", "lfm2", "deepseek_v3", "rwkv", "minimax_01"])
def test_the_size_of_a_state_is_that_of_its_tensors(name: str) -> None:
    model = build_named(name)
    forward = StateForward.of(model)
    state = forward.empty()
    with torch.no_grad():
        forward(np.arange(3, 12)[None], np.arange(9)[None], np.array([8]), state)
    held = getattr(state, "tensors", None) or getattr(state, "linear_cache", [])
    parts = [*held, *(part for layer in state.layers for part in vars(layer).values())]
    dicts = [value for part in parts if isinstance(part, dict) for value in part.values()]
    tensors = [part for part in [*parts, *dicts] if isinstance(part, torch.Tensor)]
    assert forward.size.after(9) == sum(part.nbytes for part in tensors) > 0


@pytest.mark.parametrize("name", ["qwen3_5", "deepseek_v3"])
def test_the_states_of_a_pass_stay_within_their_bytes(name: str) -> None:
    """Where not one fits, a row is read at a time; states that are held count, too."""
    model = build_named(name)
    size, rows = StateForward.of(model).size, rows_read(model)
    usual, least = score_by_states(model, short_texts(), Budget(384, 128))
    assert max(rows) == 20
    for most in (size.after(3) * 5, 1):
        rows.clear()
        budget = Budget(384, 128, state_bytes=most)
        scores, stats = score_by_states(model, short_texts(), budget)
        assert_same(scores, usual)
        assert max(rows) == max(1, most // size.after(3))
        assert stats.fed_tokens == least.fed_tokens
    rows.clear()
    held = size.after(100)
    budget = Budget(384, 128, state_bytes=held + size.after(104) * 3)
    assert_same(score_by_states(model, short_texts()[20:], budget)[0], usual[20:])
    assert max(rows) == 3


@pytest.mark.slow
def test_no_state_is_held_beyond_half_of_the_bytes() -> None:
    """But for the first, without which all would be read again for each text."""
    model = build_named("qwen3_5")
    rng = np.random.default_rng(5)
    shots, questions = rng.integers(3, 300, 60), rng.integers(3, 300, (3, 40))
    texts = [[*shots.tolist(), *q.tolist(), answer, 5] for q in questions for answer in (7, 8)]
    targets = [Target(text[:-1], text[-1:]) for text in texts]
    usual, least = score_by_states(model, targets, Budget(384, 128))
    assert least.fed_tokens == least.unique_tokens
    scores, stats = score_by_states(model, targets, Budget(384, 128, state_bytes=1))
    assert_same(scores, usual)
    assert stats.fed_tokens == stats.unique_tokens + 3 * 40


@pytest.mark.slow
@pytest.mark.parametrize("most", [130, 64])
def test_out_of_memory_halves_the_rows(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """A pass fails after its states are changed: many rows, or a long text of one."""
    model = build_named("qwen3_5")
    rng = np.random.default_rng(6)
    long = rng.integers(3, 300, (2, 150)).tolist()
    targets = [*short_texts(), *(Target([*long[0], n], [5]) for n in (3, 4)), Target(long[1], [5])]
    usual, _ = score_by_states(model, targets, Budget(384, 128))
    own, failed = type(model).forward, []

    def of_little_memory(self: Any, *args: Any, **settings: Any) -> Any:
        output = own(self, *args, **settings)
        rows, length = settings["input_ids"].shape
        if rows * length > most or rows > 6:
            failed.append((rows, length))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return output

    monkeypatch.setattr(type(model), "forward", of_little_memory)
    assert_same(score_by_states(model, targets, Budget(384, 128))[0], usual)
    assert {rows > 1 for rows, _ in failed} == {True, False}
    most = 3  # what is tried at first fits, and no piece of a text
    with pytest.raises(torch.OutOfMemoryError):
        score_by_states(model, targets, Budget(384, 128))


def test_deep_trees_hold_few_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the last state that is held, what texts share is read for each of them."""
    model = build_named("lfm2")
    rng = np.random.default_rng(2)
    path = rng.integers(3, 300, 200).tolist()
    texts = [[*path[:n], int(rng.integers(3, 300)), 5] for n in range(40, 201, 40)]
    targets = [Target(text[:-1], text[-2:]) for text in texts]
    usual, least = score_by_states(model, targets, Budget(384, 128))
    assert least.fed_tokens == least.unique_tokens
    monkeypatch.setattr("capspace.collect.engine.state.scoring._MOST_STATES", 2)
    scores, stats = score_by_states(model, targets, Budget(384, 128))
    assert_same(scores, usual)
    assert stats.fed_tokens > least.fed_tokens


def test_what_saves_less_than_a_pass_costs_is_read_again() -> None:
    """Few shared tokens behind others; a pass of one row costs as much as some tens of them."""
    model = build_named("lfm2")
    rng = np.random.default_rng(7)

    def draw(length: int) -> list[int]:
        return rng.integers(3, 300, length).tolist()

    shots = draw(60)
    for n_shared, is_held in ((10, False), (40, True)):
        question = shots + draw(n_shared)
        texts = [question + draw(5), question + draw(5), shots + draw(9)]
        targets = [Target(text[:-1], text[-1:]) for text in texts]
        scores, stats = score_by_states(model, targets, Budget(384, 128))
        assert stats.fed_tokens == stats.unique_tokens + (0 if is_held else n_shared)
        apart = [score_by_states(model, [target], Budget(384, 128))[0][0] for target in targets]
        assert_same(scores, apart)


@pytest.mark.cpu_only("a GPU takes the pieces that a layer states")
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
        whole = model(device.tensor(np.c_[first, then[1:]])).logits[:, 9:]
    assert (once == again).all()
    torch.testing.assert_close(once[1:], whole, atol=device.within(1e-4), rtol=1e-4)


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

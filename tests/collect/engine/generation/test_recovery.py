"""Texts that memory does not hold at once come out as they would have, from fewer rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from engine_parts import byte_tokenizer
from lm_eval.api.instance import Instance
from state_models import build, build_named, needs_states

from capspace.collect.engine.generation.loop import DecodingStats, TextsOutOfMemoryError
from capspace.collect.engine.generation.recovery import generate_in_memory
from capspace.collect.engine.lm import CapspaceLM

SHARED = {"tokenizer": byte_tokenizer(), "max_length": 256}
PROMPTS = [f"{'what they all share ' * 3}{i}{'!' * (i % 4)}" for i in range(8)] + ["a", "bc"]
GREEDY = {"max_gen_toks": 9, "until": ["q", "k"]}
SAMPLED = {**GREEDY, "do_sample": True, "temperature": 0.8}


class SmallMemory:
    """Lets a model run out of memory, after its layers, in passes that do not fit.

    What fits is a function of the shape of the tokens. The first ``n_passes`` all do, as before
    another process takes its part.
    """

    def __init__(self, model: Any, fits: Callable[[int, int], bool], n_passes: int = 0) -> None:
        self.fits, self.n_passes = fits, n_passes
        self.n_read = self.n_failed = 0
        self.hook = model.register_forward_hook(self._note, with_kwargs=True)

    def _note(self, _: Any, args: Any, settings: Any, output: Any) -> None:
        self.n_read += 1
        if self.n_read > self.n_passes and not self.fits(*settings["input_ids"].shape):
            self.n_failed += 1
            raise torch.OutOfMemoryError("CUDA out of memory")


def texts_of(lm: CapspaceLM, settings: dict[str, Any]) -> list[str]:
    requests = [Instance("generate_until", {}, (text, dict(settings)), 0) for text in PROMPTS]
    return lm.generate_from_seeds(requests, range(len(requests)), disable_tqdm=True)


def few_by_tree(_: int, length: int) -> bool:
    """Return whether a pass, all in one row, is no step of many texts and reads no long prompts."""
    return length <= 5 or 12 < length <= 80


def few_by_states(rows: int, length: int) -> bool:
    """Return whether a pass is no step of many texts."""
    return length > 1 or rows <= 2


@pytest.mark.slow
@pytest.mark.parametrize("settings", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("llama", few_by_tree),
        pytest.param("qwen3_5", few_by_states, marks=needs_states),
    ],
)
def test_texts_are_the_same_from_fewer_rows(
    name: str, fits: Callable[[int, int], bool], settings: dict[str, Any]
) -> None:
    """From the first pass on, and after some texts are finished."""
    model = build("LlamaConfig", {}) if name == "llama" else build_named(name)
    lm = CapspaceLM(model, **SHARED)
    all_pass = SmallMemory(model, lambda rows, length: True)
    usual = texts_of(lm, settings)
    once = lm.decoding_stats
    assert len(set(map(len, usual))) > 1  # some are finished earlier
    all_pass.hook.remove()
    for n_passes in (0, all_pass.n_read - 2):
        lm.decoding_stats = DecodingStats()
        memory = SmallMemory(model, fits, n_passes)
        assert texts_of(lm, settings) == usual
        memory.hook.remove()
        assert memory.n_failed > 0
        assert lm.decoding_stats.new_tokens == once.new_tokens
        assert lm.decoding_stats.prompt_tokens == once.prompt_tokens
    SmallMemory(model, lambda rows, length: False)
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        texts_of(lm, settings)


def test_only_what_is_not_finished_is_begun_again() -> None:
    attempts: list[tuple[list[int], int, int]] = []

    def attempt(part: list[int], rows: int, tokens: int) -> Any:
        attempts.append((part, rows, tokens))
        texts = {place: [10 * prompt] for place, prompt in enumerate(part)}
        if rows > 2:
            finished = {place: texts[place] for place in (1, 3)}
            raise TextsOutOfMemoryError("full", finished, DecodingStats(new_tokens=2, steps=5))
        return [*texts.values()], DecodingStats(new_tokens=len(texts), steps=1)

    texts, stats = generate_in_memory(attempt, 7, 32, 384)
    assert texts == [[10 * i] for i in range(7)]
    assert attempts == [
        ([0, 1, 2, 3, 4, 5, 6], 32, 384),
        ([0, 2, 4, 5, 6], 3, 192),
        ([0, 4, 6], 1, 96),
    ]
    assert stats == DecodingStats(new_tokens=7, steps=11)


def test_a_single_text_that_does_not_fit_ends_the_call() -> None:
    sizes: list[tuple[int, int]] = []

    def attempt(part: list[int], rows: int, tokens: int) -> Any:
        sizes.append((rows, tokens))
        raise TextsOutOfMemoryError("full", {}, DecodingStats())

    with pytest.raises(TextsOutOfMemoryError, match="full"):
        generate_in_memory(attempt, 3, 8, 200)
    assert sizes == [(8, 200), (1, 100), (1, 50)]
    assert generate_in_memory(attempt, 0, 8, 200) == ([], DecodingStats())

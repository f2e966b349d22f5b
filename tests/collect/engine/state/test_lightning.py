"""Lightning attention goes on from a state as if it had read all tokens at once."""

from __future__ import annotations

from typing import Any

import device
import numpy as np
import pytest
import torch
from engine_parts import byte_tokenizer, of_measured_cpus
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from state_models import MINIMAX, build, build_named, needs_states
from torch import Tensor

from capspace.collect.engine.lm import CapspaceLM
from capspace.collect.engine.state.lightning import lightning_layers
from capspace.collect.engine.state.passes import StateForward

pytestmark = needs_states


def logits(model: Any, places: list[int]) -> Tensor:
    """Return the logits of 90 tokens that are read in passes which end at these places."""
    forward = StateForward.of(model)
    state, parts = forward.empty(), []
    tokens = np.random.default_rng(0).integers(3, 300, 90)
    for piece in np.split(np.arange(90), places):
        columns = np.arange(len(piece))
        parts.append(forward(tokens[None, piece], piece[None], columns, state))
    return torch.cat(parts, dim=1).float()


@pytest.mark.parametrize("places", [[16, 48], [7, 30, 63], [50]])
def test_passes_that_go_on_give_the_logits_of_one(places: list[int]) -> None:
    model = build_named("minimax_01")
    with torch.no_grad():
        torch.testing.assert_close(
            logits(model, places), logits(model, []), atol=device.within(1e-4), rtol=1e-4
        )


def test_no_token_is_read_by_itself() -> None:
    """Transformers multiplies its small matrices for every token that goes on from a state."""
    model = build("MiniMaxConfig", MINIMAX)
    (layer, *_) = lightning_layers(model)
    own: list[int] = []
    usual = type(layer).forward

    def forward(self: Any, **settings: Any) -> Any:
        own.append(settings["hidden_states"].shape[1])
        return usual(self, **settings)

    layer.forward = forward.__get__(layer)
    with torch.no_grad():
        logits(model, [32, 89])
    assert own == [3, 32, 1]  # of a first try, where the text begins, and of the last token
    assert layer.forward.__func__ is forward  # put back


@pytest.mark.slow
def test_in_half_precision_states_stand_between_blocks() -> None:
    """A state inside a block, or rounded behind each token, moves the logits of half precision."""
    model = build("MiniMaxConfig", {**MINIMAX, "block_size": 32}).to(torch.bfloat16)
    assert StateForward.of(model).block == 32
    assert StateForward.of(model).shortest_pass == 64
    assert StateForward.of(model.float()).block == 1
    model = model.to(torch.bfloat16)
    with torch.no_grad():
        at_once = logits(model, [])
        between, inside = (
            (logits(model, [place])[:, place:] - at_once[:, place:]).abs().mean()
            for place in (64, 45)
        )
    assert between < inside / 2


def texts(lm: Any, prompts: list[str]) -> list[str]:
    settings: dict[str, Any] = {"until": ["\n\n\n"], "max_gen_toks": 40, "do_sample": False}
    requests = [Instance("generate_until", {}, (prompt, settings), 0) for prompt in prompts]
    return list(lm.generate_until(requests, disable_tqdm=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.bfloat16, marks=of_measured_cpus)]
)
def test_texts_are_those_of_hf(dtype: torch.dtype) -> None:
    model = build_named("minimax_01").to(dtype)
    rng = np.random.default_rng(0)

    def draw(length: int) -> str:
        return "".join(rng.choice(list("abcdefg hi"), length))

    beginning = draw(200)
    prompts = [beginning + draw(int(n)) for n in rng.integers(10, 70, 6)] + [draw(33)]
    shared = {"tokenizer": byte_tokenizer(), "max_length": 512}
    engine = CapspaceLM(model, **shared)
    ours, theirs = (texts(lm, prompts) for lm in (engine, HFLM(model, batch_size=1, **shared)))
    assert ours == theirs
    assert len(set(ours)) > 1

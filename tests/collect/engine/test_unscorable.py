"""A request that cannot be scored ends with a reason, and the others with their scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import device
import pytest
import transformers
from engine_parts import SIZES, byte_tokenizer
from lm_eval.api.instance import Instance
from lm_eval.api.model import CachingLM
from lm_eval.models.huggingface import HFLM

from capspace.collect.engine.lm import CapspaceLM
from capspace.collect.errors import ResponseError, UnscorableRequestsError
from capspace.collect.recorder.recorder import Recorder
from capspace.collect.storage.journal import Journal

SHARED = {"tokenizer": byte_tokenizer(), "max_length": 32}
PAIRS = [("a question", " yes"), ("a question", ""), (" ", " yes"), ("more", "x" * 40), ("b", "c")]
UNSCORABLE = {1: "is empty", 2: "no token for this tokenizer", 3: "longer than the model's 32"}


@pytest.fixture(scope="module")
def model() -> Any:
    config = transformers.LlamaConfig(**{**SIZES, "vocab_size": 300})
    return device.placed(transformers.LlamaForCausalLM(config))


def requests(pairs: list[tuple[str, str]]) -> list[Instance]:
    return [Instance("loglikelihood", {}, pair, 0, ("task", i, 1)) for i, pair in enumerate(pairs)]


def test_the_others_get_their_scores(model: Any) -> None:
    hf = HFLM(model, **SHARED)
    for i in UNSCORABLE:  # what hf gives alone
        with pytest.raises(AssertionError):
            hf.loglikelihood(requests(PAIRS)[i : i + 1], disable_tqdm=True)
    with pytest.raises(UnscorableRequestsError, match=r"^3 of 5 requests cannot") as it:
        CapspaceLM(model, **SHARED).loglikelihood(requests(PAIRS), disable_tqdm=True)
    assert it.value.reasons.keys() == UNSCORABLE.keys()
    for i, reason in UNSCORABLE.items():
        assert reason in it.value.reasons[i]
    alone = hf.loglikelihood([requests(PAIRS)[i] for i in (0, 4)], disable_tqdm=True)
    for i, (score, greedy) in zip((0, 4), alone, strict=True):
        assert it.value.responses[i] == (pytest.approx(score, abs=device.within(1e-5)), greedy)
    assert [it.value.responses[i] for i in UNSCORABLE] == [None] * 3


def test_a_cache_of_lm_eval_keeps_the_others(model: Any, tmp_path: Path) -> None:
    engine = CapspaceLM(model, **SHARED)
    cached = CachingLM(engine, str(tmp_path / "cache.db"))
    with pytest.raises(UnscorableRequestsError, match=r"^3 of 5 requests cannot"):
        cached.loglikelihood(requests(PAIRS))
    n_read = engine.stats.fed_tokens
    assert len(cached.loglikelihood([requests(PAIRS)[i] for i in (0, 4)])) == 2
    assert engine.stats.fed_tokens == n_read > 0


def test_the_others_are_stored(model: Any, tmp_path: Path) -> None:
    engine = CapspaceLM(model, **SHARED)
    with Journal(tmp_path / "journal") as journal:
        recorder = Recorder(engine, journal=journal, identity="a" * 64, label="m: t")
        with pytest.raises(ResponseError) as caught:
            recorder.loglikelihood(requests(PAIRS))
        assert "m: t: 3 of 5 requests cannot be scored, the first task item" in str(caught.value)
        assert str(caught.value).endswith("; all other responses are stored")
        assert "\n" not in str(caught.value)
        again = Recorder(engine, journal=journal, identity="a" * 64, label="m: t")
        known = again.loglikelihood([requests(PAIRS)[i] for i in (0, 4)])
        assert again.counts.n_asked == 0
        assert len(known) == 2

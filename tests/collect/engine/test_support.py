"""Which models the engine serves, and what becomes of the others."""

from __future__ import annotations

import logging
import re
import warnings
from pathlib import Path
from typing import Any

import device
import numpy as np
import pytest
import torch
import transformers
from engine_parts import (
    EAGER,
    OWN_NAME,
    SIZES,
    assert_scores_as_hf_does,
    byte_tokenizer,
    with_cache_called,
)
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from capspace.collect.engine import support
from capspace.collect.engine.forward import (
    CACHE_NAMES,
    Forward,
    UnsupportedForwardError,
    forward_of,
)
from capspace.collect.engine.length import length_limit
from capspace.collect.engine.lm import CapspaceLM
from capspace.collect.engine.scoring import ScoringStats
from capspace.collect.engine.support import unsupported_reason
from capspace.collect.recorder.recorder import Recorder
from capspace.collect.storage.journal import Journal

SMALL = {**SIZES, "vocab_size": 300}
LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0] * 4,
    "original_max_position_embeddings": 64,
}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "recurrent_gemma": (
        "RecurrentGemmaConfig",
        {"num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 24},
        # the latter before transformers 5
        "RecurrentGemma.* (carries a recurrent state in its modules|does not use transformers')",
    ),
    "longrope": (
        "Phi3Config",
        {"rope_parameters": LONG, "original_max_position_embeddings": 32},
        r"length of the input \(longrope\)",
    ),
    "bidirectional": ("LlamaConfig", {"is_causal": False}, "not causal"),
    "chunked": ("LlamaConfig", {"attention_chunk_size": 64}, "in chunks of positions"),
}


def build(kind: str, settings: dict[str, Any]) -> transformers.PreTrainedModel:
    own = EAGER if kind == "Gemma2Config" else {}
    config = getattr(transformers, kind)(**{**SMALL, **own, **settings})
    torch.manual_seed(0)
    return device.placed(transformers.AutoModelForCausalLM.from_config(config))


@pytest.fixture(scope="module")
def tokenizer() -> transformers.PreTrainedTokenizerFast:
    return byte_tokenizer()


@pytest.mark.usefixtures("libraries_as_checked")
@pytest.mark.parametrize("name", REFUSED)
def test_refused_models_take_the_path_of_hf(
    name: str, tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    kind, settings, reason = REFUSED[name]
    model = build(kind, settings)
    shared = {"tokenizer": tokenizer, "max_length": 128, "batch_size": 2}
    with caplog.at_level(logging.WARNING, "capspace"):
        engine = CapspaceLM(model, **shared)
    assert engine.unsupported_reason is not None
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("capspace")]
    assert lines == [
        f"capspace: the engine does not serve this model ({engine.unsupported_reason}): "
        "lm-eval's own path is used, about 5 times slower on multiple choice and about 2 times on "
        "generated texts"
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("capspace.collect.engine.support.probe", lambda *_: None)
        # by what the configuration states, before any probe
        assert unsupported_reason(model) is not None
    assert re.search(reason, engine.unsupported_reason)
    requests = [
        Instance("loglikelihood", {}, pair, 0)
        for pair in [("a question", " one"), ("a question", " two"), ("", "three")]
    ]
    hf = HFLM(model, **shared)
    assert engine.loglikelihood(requests, disable_tqdm=True) == hf.loglikelihood(
        requests, disable_tqdm=True
    )
    texts = [Instance("loglikelihood_rolling", {}, ("a text to roll over " * 10,), 0)]
    assert engine.loglikelihood_rolling(texts, disable_tqdm=True) == hf.loglikelihood_rolling(
        texts, disable_tqdm=True
    )
    assert engine.unserved == {engine.unsupported_reason: len(requests) + len(texts)}


def test_encoder_decoder() -> None:
    config = transformers.T5Config(
        vocab_size=64, d_model=16, d_ff=32, num_layers=1, num_heads=2, d_kv=8
    )
    model = device.placed(transformers.T5ForConditionalGeneration(config))
    assert unsupported_reason(model, backend="seq2seq") == "it is an encoder-decoder"


class _BackwardPositions(transformers.LlamaForCausalLM):
    """Stands for code of the model's own: it numbers its input itself, whatever it is given."""

    def forward(self, input_ids: Any, position_ids: Any = None, **settings: Any) -> Any:  # type: ignore[override]  # only what the engine and the probe pass
        backward = torch.arange(input_ids.shape[1], device=input_ids.device).flip(0)[None]
        return super().forward(input_ids=input_ids, position_ids=backward, **settings)


class _RefusesPositions(transformers.LlamaForCausalLM):
    def forward(self, input_ids: Any, position_ids: Any = None, **settings: Any) -> Any:  # type: ignore[override]  # only what the engine and the probe pass
        if position_ids is not None:
            raise ValueError("positions are mine\nto number")
        return super().forward(input_ids=input_ids, **settings)


class _NoPositions(transformers.LlamaForCausalLM):
    def forward(self, input_ids: Any, logits_to_keep: Any = 0) -> Any:  # type: ignore[override]  # an old signature is the point
        return super().forward(input_ids=input_ids, logits_to_keep=logits_to_keep)


class _NoCache(transformers.LlamaForCausalLM):
    """Takes any argument, and uses few of them."""

    def forward(self, input_ids: Any, position_ids: Any = None, **unread: Any) -> Any:  # type: ignore[override]  # unread arguments are the point
        return super().forward(input_ids=input_ids, position_ids=position_ids)


class _ReadsNoCache(transformers.LlamaForCausalLM):
    """Fills the cache that it is given, and reads each chunk as if there were none."""

    def forward(self, input_ids: Any, position_ids: Any = None, **settings: Any) -> Any:  # type: ignore[override]  # only what the engine and the probe pass
        super().forward(input_ids=input_ids, position_ids=position_ids, **settings)
        return super().forward(
            input_ids=input_ids,
            position_ids=position_ids,
            logits_to_keep=settings.get("logits_to_keep", 0),
            **{OWN_NAME: transformers.DynamicCache()},
        )


class _OtherNames(transformers.LlamaForCausalLM):
    def forward(self, input_ids: Any, **settings: Any) -> Any:  # type: ignore[override]  # the engine's names alone
        name = next(name for name in CACHE_NAMES if name in settings)
        raise ValueError(f"{name} is not mine")


class _AllLogits(transformers.LlamaForCausalLM):
    """Knows no logits_to_keep."""

    def forward(  # type: ignore[override]  # an old signature is the point
        self,
        input_ids: Any,
        position_ids: Any = None,
        past_key_values: Any = None,
        use_cache: Any = None,
    ) -> Any:
        return super().forward(
            input_ids=input_ids,
            position_ids=position_ids,
            use_cache=use_cache,
            **{OWN_NAME: past_key_values},
        )


class _AllLogitsWhateverIsAsked(_AllLogits):
    def forward(self, input_ids: Any, logits_to_keep: Any = 0, **settings: Any) -> Any:  # type: ignore[override]  # an unread argument is the point
        settings.pop("cache", None)
        return super().forward(input_ids, **settings)


def build_own(kind: Any, dtype: torch.dtype = torch.float32) -> Any:
    """Return a model of this class whose log-probabilities all move where it is wrong anywhere."""
    torch.manual_seed(0)
    return device.widened(kind(transformers.LlamaConfig(**SMALL)).to(dtype))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (_BackwardPositions, r"^its log-probabilities of a small tree of tokens are .* nats off$"),
        (_RefusesPositions, r"does not take the engine's inputs \(positions are mine\)$"),
        (_NoPositions, r"\(.*unexpected keyword argument 'position_ids'\)$"),
        (_NoCache, r"\(the cache that it is given stays empty\)$"),
        (_ReadsNoCache, r"^its attention reads other keys than those of the cache$"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_code_of_its_own(kind: Any, reason: str, dtype: torch.dtype) -> None:
    stated = unsupported_reason(build_own(kind, dtype))
    assert stated is not None
    assert re.search(reason, stated)


def test_each_name_of_the_cache_that_fails_has_its_reason() -> None:
    with pytest.raises(
        UnsupportedForwardError,
        match=r"\(as cache: cache is not mine; as past_key_values: past_key_values is not mine\)$",
    ):
        forward_of(build_own(_OtherNames))


def test_what_a_model_states_is_enough_to_leave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "goes_on_from_states", lambda model: False)
    assert unsupported_reason(torch.nn.Linear(2, 2)) == "it is not a transformers model"
    for name, reason in (
        ("is_encoder_decoder", "it is an encoder-decoder"),
        ("alibi", "its attention uses ALiBi"),
    ):
        model = build("LlamaConfig", {})
        setattr(model.config, name, True)
        assert unsupported_reason(model) == reason
    offloaded = build("LlamaConfig", {}).to("meta")
    assert unsupported_reason(offloaded) == "some of its weights are offloaded"


def test_code_of_its_own_may_move_a_rope_at_any_length() -> None:
    limits = [
        length_limit(kind(transformers.LlamaConfig(**SMALL, rope_parameters=DYNAMIC)))
        for kind in (transformers.LlamaForCausalLM, _AllLogits)
    ]
    assert [limit.tokens > 0 for limit in limits if limit is not None] == [True, False]


def test_samples_of_a_model_that_is_not_served_are_lm_evals_own(tokenizer: Any) -> None:
    model = build("LlamaConfig", {"is_causal": False})
    shared = {"tokenizer": tokenizer, "max_length": 128}
    engine = CapspaceLM(model, **shared)
    asked = [
        Instance("generate_until", {}, (text, {"until": ["z"], "max_gen_toks": 3}), 0)
        for text in ("a question", "another")
    ]
    ours = engine.generate_from_seeds(asked, [1, 2], disable_tqdm=True)
    assert ours == HFLM(model, **shared).generate_until(asked, disable_tqdm=True)
    assert engine.unserved == {engine.unsupported_reason: 2}


def test_a_tokenizer_without_a_token_to_begin_with_is_one_line(tokenizer: Any) -> None:
    bare = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, **{"pad_token": "<pad>"}
    )
    model = build("LlamaConfig", {})
    engine = CapspaceLM(model, tokenizer=bare, max_length=128)
    with pytest.raises(ValueError, match="no BOS or EOS token to begin a text without context"):
        engine.loglikelihood([Instance("loglikelihood", {}, ("", "a"), 0)], disable_tqdm=True)
    asked = Instance("generate_until", {}, ("", {"until": ["z"], "max_gen_toks": 3}), 0)
    with pytest.raises(ValueError, match="a prompt without a token: give it a text or set add_bos"):
        engine.generate_until([asked], disable_tqdm=True)


@pytest.mark.parametrize("kind", [_AllLogits, _AllLogitsWhateverIsAsked])
def test_code_of_its_own_that_gives_all_logits_is_served(kind: Any, tokenizer: Any) -> None:
    model = build_own(kind)
    assert forward_of(model) == Forward("past_key_values", picks_rows=False)
    assert_scores_as_hf_does(model, tokenizer)
    budget = CapspaceLM(model, tokenizer=tokenizer).budget
    assert budget.tokens <= budget.rows  # all logits of a pass have room


@pytest.mark.parametrize("name", CACHE_NAMES)
def test_the_cache_has_the_name_that_works(name: str) -> None:
    model = with_cache_called(name, build_own(transformers.LlamaForCausalLM))
    assert unsupported_reason(model) is None
    assert forward_of(model) == Forward(name)


def test_no_name_that_goes_out_of_use_is_passed() -> None:
    model = build_own(transformers.LlamaForCausalLM)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert unsupported_reason(model) is None
        assert forward_of(model) == Forward(OWN_NAME)
    assert [str(warning.message) for warning in seen] == []


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("kind", ["LlamaConfig", "Gemma2Config"])
def test_served_in_every_precision(kind: str, dtype: torch.dtype) -> None:
    assert unsupported_reason(build(kind, {}).to(dtype)) is None


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Phi3Config", {"rope_parameters": LONG, "original_max_position_embeddings": 64}),
        ("LlamaConfig", {"rope_parameters": DYNAMIC, "max_position_embeddings": 64}),
    ],
    ids=["longrope", "dynamic"],
)
@pytest.mark.filterwarnings("ignore")  # of transformers, about the long factor's length
def test_inputs_below_the_length_of_a_moving_rope_are_served(
    kind: str, settings: dict[str, Any], tokenizer: Any
) -> None:
    """In turn with longer ones, which take the path of hf and leave a grown embedding behind."""
    model = wide(kind, settings)
    shared = {"tokenizer": tokenizer, "max_length": 200}
    engine, hf = CapspaceLM(model, **shared), HFLM(model, batch_size=1, **shared)
    assert (engine.unsupported_reason, engine.unsupported_generation) == (None, None)
    lengths = [5, 62, 63, 70, 120, 30]
    requests = [Instance("loglikelihood", {}, ("a" * n + "?", "bc"), 0) for n in lengths]
    for some, n_long in ((requests, 4), (requests[:1], 0), (requests[4:], 1)):
        engine.unserved.clear()
        ours = engine.loglikelihood(some, disable_tqdm=True)
        theirs = hf.loglikelihood(some, disable_tqdm=True)
        np.testing.assert_allclose(
            [s for s, _ in ours], [s for s, _ in theirs], atol=device.within(2e-4)
        )
        assert engine.unserved.total() == n_long
    text = [Instance("loglikelihood_rolling", {}, ("a text to roll over " * 15,), 0)]
    ours, theirs = (lm.loglikelihood_rolling(text, disable_tqdm=True) for lm in (engine, hf))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    for n, is_served in ((20, True), (60, False)):
        asked = [Instance("generate_until", {}, ("b" * n, {"max_gen_toks": 12}), 0)]
        engine.unserved.clear()
        assert engine.generate_until(asked, disable_tqdm=True) == hf.generate_until(
            asked, disable_tqdm=True
        )
        assert (engine.unserved.total() == 0) == is_served
    short = CapspaceLM(model, tokenizer=tokenizer, max_length=64)
    short.loglikelihood(requests, disable_tqdm=True)
    assert not short.unserved


def test_a_hybrid_of_attention_layers_alone_is_served(tokenizer: Any) -> None:
    if not hasattr(transformers, "Qwen3NextConfig"):
        pytest.skip("this transformers has no Qwen3-Next")
    settings = {"head_dim": 8, "num_experts": 4, "layer_types": ["full_attention"] * 2}
    model = build("Qwen3NextConfig", settings | {"num_experts_per_tok": 2})
    assert_scores_as_hf_does(model, tokenizer)
    assert CapspaceLM(model, tokenizer=tokenizer).unsupported_generation is None


def test_attention_two_ways_over_images_alone_is_served() -> None:
    if not hasattr(transformers, "Gemma4TextConfig"):
        pytest.skip("this transformers has no Gemma 4")
    small = {"head_dim": 8, "global_head_dim": 8, "sliding_window": 16, "num_hidden_layers": 6}
    for two_sided, reason in (("vision", None), ("all", "its attention is not causal")):
        settings = {**small, "use_bidirectional_attention": two_sided}
        settings |= {"hidden_size_per_layer_input": 0, "num_kv_shared_layers": 0}
        assert unsupported_reason(build("Gemma4TextConfig", settings)) == reason


def test_yarn_is_served() -> None:
    yarn = {
        "rope_type": "yarn",
        "rope_theta": 10000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    assert unsupported_reason(build("LlamaConfig", {"rope_parameters": yarn})) is None


@pytest.mark.filterwarnings(
    "ignore:.*is_gradient_checkpointing:FutureWarning"
)  # peft asks transformers
def test_adapters() -> None:
    peft = pytest.importorskip("peft")
    lora = peft.LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, r=4)
    for name in CACHE_NAMES:
        base = with_cache_called(name, build("LlamaConfig", {}))
        adapted = peft.get_peft_model(base, lora).eval()
        assert unsupported_reason(adapted) is None
        assert forward_of(adapted) == Forward(name)
    prompts = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    with_prompts = peft.get_peft_model(build("LlamaConfig", {}), prompts).eval()
    assert unsupported_reason(with_prompts) == "its adapter prepends virtual tokens"


def wide(kind: str, settings: dict[str, Any] | None = None) -> Any:
    """Return a model whose log-probabilities all move where its attention is wrong anywhere."""
    return device.widened(build(kind, settings or {}))


@pytest.mark.parametrize("kind", ["LlamaConfig", "Gemma2Config"])
def test_layers_behind_the_hooks_of_a_device_map(kind: str, tokenizer: Any) -> None:
    from accelerate import dispatch_model

    model = wide(kind)
    here = str(model.device)
    places = {name: here for name, _ in model.model.named_children() if name != "layers"}
    places = {f"model.{name}": place for name, place in places.items()} | {"lm_head": here}
    places |= {f"model.layers.{i}": here for i in range(len(model.model.layers))}
    model = dispatch_model(model, device_map=places, main_device=here, force_hooks=True)
    assert hasattr(model.model.layers[1], "_hf_hook")
    assert_scores_as_hf_does(model, tokenizer)


@pytest.mark.slow
def test_the_recorder_asks_for_neighbours_together(tokenizer: Any, tmp_path: Path) -> None:
    engine = CapspaceLM(build("LlamaConfig", {}), tokenizer=tokenizer, max_length=1024)
    rng = np.random.default_rng(0)
    requests = []
    for subject in range(4):
        shots = f"subject {subject} " + "".join(rng.choice(list("abcdefgh "), 300))
        for _ in range(60):
            question = "".join(rng.choice(list("abcdefgh "), rng.integers(10, 60)))
            requests += [
                Instance("loglikelihood", {}, (shots + question, f" {c}"), 0) for c in "AB"
            ]
    order = rng.permutation(len(requests))
    asked = [requests[i] for i in order]
    expected = engine.loglikelihood(asked, disable_tqdm=True)
    distinct, engine.stats = engine.stats.unique_tokens, ScoringStats()
    with Journal(tmp_path / "journal") as journal:
        recorder = Recorder(engine, journal=journal, identity="a" * 64, label="model, task")
        answers = recorder.loglikelihood(asked)
    np.testing.assert_allclose(
        [score for score, _ in answers], [score for score, _ in expected], atol=device.within(1e-4)
    )
    assert engine.stats.chunks > 1
    assert engine.stats.fed_tokens <= 1.25 * distinct

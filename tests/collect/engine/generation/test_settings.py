"""Every field of a generation configuration: served as hf serves it, or left to hf's path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import device
import pytest
import transformers
from engine_parts import SIZES, byte_tokenizer
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import GenerationConfig

from capspace.collect.engine.generation.settings import (
    SETTINGS,
    Effect,
    TextSettings,
    UnservedSettingError,
    read_settings,
)
from capspace.collect.engine.lm import CapspaceLM

PROMPTS = ["Who was it, and who was it before?", "a b a b a b a"]


@pytest.fixture(scope="module")
def model() -> Any:
    import torch

    torch.manual_seed(1)
    config = transformers.LlamaConfig(**{**SIZES, "vocab_size": 259})
    return device.widened(transformers.LlamaForCausalLM(config), 0.2)


Texts = Callable[..., tuple[list[str], list[str], CapspaceLM]]


@pytest.fixture(scope="module")
def texts(model: Any) -> Texts:
    """Texts of the engine and of lm-eval's hf, by settings of the model and of the task."""
    shared = {"tokenizer": byte_tokenizer(), "max_length": 128}

    def both(own: dict[str, Any], **requested: Any) -> tuple[list[str], list[str], CapspaceLM]:
        model.generation_config = GenerationConfig(**{"eos_token_id": 2, "pad_token_id": 0, **own})
        requests = [
            Instance("generate_until", {}, (prompt, {"max_gen_toks": 16, **requested}), i)
            for i, prompt in enumerate(PROMPTS)
        ]
        engine = CapspaceLM(model, **shared)
        ours = engine.generate_until(requests, disable_tqdm=True)
        theirs = HFLM(model, batch_size=1, **shared).generate_until(requests, disable_tqdm=True)
        return ours, theirs, engine

    return both


def n_tokens(text: str) -> int:
    return len(text.encode())


@pytest.mark.filterwarnings("ignore")  # of transformers, that the model's length wins
@pytest.mark.parametrize("own", [3, 40])
def test_a_model_s_own_length_overrides_the_task_s(texts: Texts, own: int) -> None:
    ours, theirs, engine = texts({"max_new_tokens": own})
    assert ours == theirs
    plain, _, _ = texts({})
    assert ours != plain
    assert engine.unserved == {}


def test_a_length_that_counts_the_padding_of_a_batch_is_left_to_hf_s_path(texts: Texts) -> None:
    ours, theirs, engine = texts({}, max_length=60, max_gen_toks=2)
    assert ours == theirs
    assert engine.unserved == {"max_length counts the padding of a batch": 2}


def test_a_thought_ends_behind_the_last_token_of_its_marker(texts: Texts, model: Any) -> None:
    plain = texts({}, max_gen_toks=6)[0]
    asked = [
        Instance("generate_until", {}, (prompt, {"max_gen_toks": 6}), i)
        for i, prompt in enumerate(PROMPTS)
    ]
    tokenizer = byte_tokenizer()
    shared = {"tokenizer": tokenizer, "max_length": 128}
    shared["think_end_token"] = tokenizer.convert_tokens_to_ids(plain[0].split()[2])
    ours = CapspaceLM(model, **shared).generate_until(asked, disable_tqdm=True)
    assert ours == HFLM(model, batch_size=1, **shared).generate_until(asked, disable_tqdm=True)
    assert ours[0] != plain[0]


SERVED_VALUES: list[dict[str, Any]] = [
    {"repetition_penalty": 1.7},
    {"repetition_penalty": 0.6},
    {"no_repeat_ngram_size": 2},
    {"suppress_tokens": [*range(60, 120)]},
    {"begin_suppress_tokens": [*range(3, 200)]},
    {"min_new_tokens": 9, "eos_token_id": [*range(3, 120)]},
    {"eos_token_id": [*range(3, 120)]},
    {"repetition_penalty": 1.3, "no_repeat_ngram_size": 3, "suppress_tokens": [70], "top_k": 20},
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of transformers, about settings of samples
@pytest.mark.parametrize("own", SERVED_VALUES, ids=lambda own: "-".join(own))
def test_settings_that_are_served_give_hf_s_texts(texts: Texts, own: dict[str, Any]) -> None:
    ours, theirs, engine = texts(own)
    assert ours == theirs
    assert engine.unserved == {}
    assert engine.unsupported_generation is None
    if "eos_token_id" not in own:  # the same setting of a task
        assert texts({}, **own)[0] == ours
    assert ours != texts({})[0]
    assert {SETTINGS[key].effect for key in own} == {Effect.SERVED}


NO_EFFECT: dict[str, Any] = {
    **{"cache_implementation": "static", "disable_compile": True, "early_stopping": True},
    **{"epsilon_cutoff": 0.1, "eta_cutoff": 0.1, "length_penalty": 2.0, "low_memory": True},
    **{"max_length": 5, "min_p": 0.2, "output_scores": True, "prefill_chunk_size": 4},
    **{"temperature": 0.3, "top_k": 7, "top_p": 0.5, "typical_p": 0.5, "use_cache": False},
}


@pytest.mark.filterwarnings("ignore")  # of transformers, about settings without effect
def test_settings_without_effect_on_greedy_texts_are_served(texts: Texts) -> None:
    ours, theirs, engine = texts(NO_EFFECT)
    assert ours == theirs == texts({})[0]
    assert engine.unserved == {}


def test_the_table_has_every_field_of_transformers() -> None:
    """A field that a new transformers adds is missing here: say what it does, in the table."""
    config = GenerationConfig()
    assert {*config.to_dict(), *vars(config)} - SETTINGS.keys() == set()


CHANGES: dict[str, Any] = {
    **dict.fromkeys(["is_assistant", "token_healing", "use_mtp"], True),
    **dict.fromkeys(["remove_invalid_values", "renormalize_logits"], True),
    **dict.fromkeys(["num_beams", "num_beam_groups", "num_return_sequences"], 2),
    "cache_implementation": "quantized",
}


@pytest.mark.parametrize(
    "name", sorted(key for key, setting in SETTINGS.items() if setting.effect is Effect.TEXTS)
)
def test_settings_that_change_texts_are_left_to_hf_s_path(name: str) -> None:
    value = CHANGES.get(name, 3)
    with pytest.raises(UnservedSettingError, match=rf"^{name}={value}$"):
        read_settings(GenerationConfig(), {name: value})
    for neutral in (None, *SETTINGS[name].neutral):
        read_settings(GenerationConfig(), {name: neutral})


def test_settings_of_samples_are_left_to_hf_s_path_in_samples_alone() -> None:
    names = [key for key, setting in SETTINGS.items() if setting.effect is Effect.SAMPLES]
    assert {"min_p", "typical_p"} < {*names}
    for name in names:
        read_settings(GenerationConfig(), {"do_sample": False, name: 0.5})
        with pytest.raises(UnservedSettingError, match=f"^{name}=0.5$"):
            read_settings(GenerationConfig(), {"do_sample": True, name: 0.5})


def test_settings_of_model_and_task() -> None:
    own = GenerationConfig(top_p=0.8, eos_token_id=[5, 6], do_sample=True, temperature=0.7)
    ends = frozenset({5, 6})
    assert read_settings(own, {"do_sample": False}) == TextSettings(end_tokens=ends)
    assert read_settings(own, {"temperature": 0.2}) == TextSettings(0.2, 50, 0.8, ends)
    sampled = {"do_sample": True}
    assert read_settings(GenerationConfig(), {**sampled, "top_k": 0}) == TextSettings(1.0, 0)
    assert read_settings(GenerationConfig(), {**sampled, "top_k": None}) == TextSettings(1.0, 0)
    with pytest.raises(UnservedSettingError, match="temperature=0"):
        read_settings(GenerationConfig(), {**sampled, "temperature": 0.0})
    with pytest.raises(UnservedSettingError, match="a_new_field=1"):
        read_settings(GenerationConfig(), {"a_new_field": 1})

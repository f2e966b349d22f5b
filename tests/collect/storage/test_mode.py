import doctest
import json

import pytest

from capspace.collect.settings import RunSettings
from capspace.collect.storage import mode as mode_module
from capspace.collect.storage.mode import Mode


def test_examples_run() -> None:
    assert doctest.testmod(mode_module).failed == 0


def test_what_is_not_given_is_in_no_identity() -> None:
    for settings in (RunSettings(), RunSettings(chat_template=True), RunSettings(limit=3)):
        assert Mode.of(settings) == Mode()
        assert Mode.of(settings).identity_settings == ()
        assert str(Mode.of(settings)) == ""


@pytest.mark.parametrize(
    ("given", "applies", "cuts", "arguments"),
    [
        ({}, False, False, {}),
        ({"chat_template": True}, True, False, {}),
        ({"thinking": "on"}, True, True, {"enable_thinking": True}),
        ({"thinking": "off"}, True, False, {"enable_thinking": False}),
        ({"think_end": "</think>"}, True, True, {}),
        ({"reasoning_effort": "high"}, True, False, {"reasoning_effort": "high"}),
        (
            {"chat_template_args": '{"thinking": true}', "think_end": "5"},
            True,
            True,
            {"thinking": True},
        ),
    ],
)
def test_three_defaults_are_three_things(
    given: dict[str, object], applies: bool, cuts: bool, arguments: dict[str, object]
) -> None:
    settings = RunSettings.of(**given)
    mode = Mode.of(settings)
    assert (settings.applies_template, mode.cuts_thoughts) == (applies, cuts)
    assert mode.template_arguments == arguments
    if arguments or cuts:
        assert mode.identity_settings


def test_sampling_is_lm_evals_generation_settings() -> None:
    mode = Mode.of(RunSettings(temperature=0.6, top_p=0.95, top_k=20, max_gen_toks=64))
    assert mode.generation == {
        "max_gen_toks": 64, "temperature": 0.6, "top_p": 0.95, "top_k": 20, "do_sample": True,
    }  # fmt: skip
    assert Mode.of(RunSettings(temperature=0)).generation == {
        "temperature": 0,
        "do_sample": False,
    }


def test_a_stored_identity_tells_its_mode() -> None:
    def label(**given: object) -> str:
        settings = RunSettings.of(**given)
        pairs = Mode.of(settings).identity_settings
        stored = {"chat_template": settings.applies_template, "backend_settings": pairs}
        return Mode.label_of(json.loads(json.dumps(stored)))

    assert label() == "plain"
    assert label(chat_template=True) == label(thinking="off") == "chat"
    assert label(thinking="on") == label(think_end="</think>") == "thinking"
    assert Mode.label_of({}) == "plain"  # of a score that was imported


def test_what_only_looks_like_a_number_is_no_part_of_a_mode() -> None:
    parts = ["temperature 1.2.3", "top_k 5"]
    assert Mode.read(parts) == (Mode(), parts)
    assert Mode.read(["temperature 0.5", "top_k 5"]) == (Mode(temperature=0.5, top_k=5), [])

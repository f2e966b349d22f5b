"""What is sent to a server: each field on purpose, and none that it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from endpoint_parts import generated, served
from lm_eval.api.instance import Instance
from scripted_server import Answered, chat, completion, scripted_server

from capspace.collect.endpoint.answers import Answer, Answers
from capspace.collect.endpoint.payload import Payloads, Sampling
from capspace.collect.errors import BackendError, HarnessError, ResponseError
from capspace.collect.settings import RunSettings
from capspace.collect.storage.mode import Mode


def payload(settings: dict[str, Any], *, seed: int | None = 3, **mode: Any) -> dict[str, Any]:
    given = RunSettings.of(endpoint="http://h/v1", **mode)
    made = Payloads("tiny", Mode.of(given), is_chat=given.applies_template)
    context = json.dumps([{"role": "user", "content": "q"}]) if given.applies_template else "q"
    return made.generation(context, settings, seed)


def test_a_greedy_request_has_a_budget_and_no_empty_field() -> None:
    plain = {"model": "tiny", "prompt": "q", "max_tokens": 256, "temperature": 0.0}
    assert payload({"until": []}) == plain
    # A task's temperature beside do_sample: false is none, and a seed of a greedy text is none.
    assert payload({"temperature": 0.7, "do_sample": False, "until": None}) == plain
    assert payload({"max_gen_toks": 9, "until": ["a", "b", "", "c", "d", "e"]}) == {
        **plain,
        "max_tokens": 9,
        "stop": ["a", "b", "c", "d"],  # as many as the API takes; all are applied here
    }


def test_a_sampled_request_has_its_own_seed() -> None:
    sent = payload({"temperature": 0.7, "do_sample": True, "top_p": 0.9, "until": "x"}, seed=11)
    assert (sent["temperature"], sent["top_p"], sent["seed"], sent["stop"]) == (0.7, 0.9, 11, ["x"])
    assert "top_k" not in sent
    assert Sampling.of({"temperature": 0.7}) == Sampling(0.7)


def test_the_mode_is_in_the_request() -> None:
    sent = payload({}, thinking="on", reasoning_effort="high", chat_template_args={"tools": None})
    assert sent["messages"] == [{"role": "user", "content": "q"}]
    assert sent["reasoning_effort"] == "high"
    assert sent["chat_template_kwargs"] == {
        "enable_thinking": True, "reasoning_effort": "high", "tools": None,
    }  # fmt: skip
    assert "chat_template_kwargs" not in payload({}, chat_template=True)


def refusing(*names: str) -> Any:
    """Return a reply that refuses requests with any of these fields."""

    def reply(route: str, asked: dict[str, Any]) -> Answered:
        unknown = [name for name in names if name in asked]
        return Answered({"detail": f"no {unknown[0]}"}, 400) if unknown else chat("1")

    return reply


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "absent", "present"),
    [
        (["max_tokens"], "max_tokens", "max_completion_tokens"),
        (["stop"], "stop", "max_tokens"),
        (["seed"], "seed", "stop"),
        (["stop", "seed"], "seed", "max_tokens"),
        (["chat_template_kwargs"], "chat_template_kwargs", "reasoning_effort"),
    ],
    ids=["budget", "stop", "seed", "both", "template arguments"],
)
def test_a_field_that_no_score_depends_on_is_left_out_where_it_is_refused(
    names: list[str], absent: str, present: str
) -> None:
    with scripted_server(refusing(*names)) as server:
        model = served(server, reasoning_effort="high", temperature=0.5)
        server.answered.clear()
        generated(model, '[{"role": "user", "content": "a"}]')
        (sent,) = (asked for _, asked in server.answered)
        assert absent not in sent
        assert present in sent
        if absent in ("stop", "seed"):
            assert any("the server refuses the field" in note for note in model.notes)


@pytest.mark.slow
def test_a_field_that_a_score_depends_on_is_never_left_out() -> None:
    for name, settings in {
        "top_k": {"temperature": 0.5, "top_k": 3, "chat_template": True},
        "chat_template_kwargs": {"thinking": "off"},
    }.items():
        with (
            scripted_server(refusing(name)) as server,
            pytest.raises(BackendError, match=f"status 400: no {name}"),
        ):
            served(server, **settings)


def test_a_generation_setting_without_a_field_is_refused_before_a_request() -> None:
    with scripted_server(lambda route, asked: completion("1")) as server:
        model = served(server)
        n_probes = len(server.answered)
        with pytest.raises(HarnessError, match="generates with num_beams=4, for which"):
            generated(model, "a", num_beams=4)
        assert len(server.answered) == n_probes
        generated(model, "a", num_beams=1)
        with pytest.raises(HarnessError, match="the task begins the answer itself"):
            model.apply_chat_template([{"role": "assistant", "content": "A:"}], False)


def stored(text: str | None, *, thinks: bool = False, end: str | None = None, **more: Any) -> str:
    """Return the graded text of a chat completion, and note whether its thought has an end."""
    response = chat(text, **more).body
    request = Instance(
        "generate_until", {}, ("q", {"until": ["\n\n", "a", "b", "c", "FIFTH"]}), 0,
        metadata=("t", 4, 1),
    )  # fmt: skip
    reader = Answers(thinks=thinks, end=end)
    graded = reader.answer(request, Answer.read(response, 9).to_json())
    assert reader.n_answers == 1
    return f"{graded} UNFINISHED" if reader.n_unfinished else graded


def test_the_thought_is_cut_then_every_stop_string() -> None:
    thought = {"message": {"reasoning_content": "FIFTH why"}}
    cut = {"choice": {"finish_reason": "length"}, "usage": {"completion_tokens": 9}}
    assert stored("1 FIFTH 2") == "1 "  # which no server is sent
    assert stored("FIFTH why</think>\n 1 FIFTH", thinks=True) == "1 "
    assert stored("why END 1 END 2", thinks=True, end="END") == "2"
    assert stored("1 FIFTH", thinks=True, **thought) == "1 "
    assert stored("why FIFTH why", thinks=True) == " UNFINISHED"
    assert stored(None, thinks=True, **thought, **cut) == " UNFINISHED"
    assert stored("", thinks=True, **thought) == ""
    assert stored(None) == ""


def test_a_thought_that_nobody_asked_for_is_told() -> None:
    request = Instance("generate_until", {}, ("q", {"until": []}), 0, metadata=("t", 0, 1))

    def lines(text: str, *, thinks: bool = False, **message: str) -> list[str]:
        reader = Answers(thinks=thinks)
        reader.answer(request, Answer.read(chat(text, message=message).body, 9).to_json())
        return reader.lines

    (graded,) = lines("why</think>42")
    assert graded.startswith("100.0% of 1 answers hold a thought in their text, though none was as")
    (split,) = lines("42", reasoning_content="why")
    assert "the server split it off, and what follows is graded" in split
    assert lines("why</think>42", thinks=True) == lines("42") == []


def test_an_answer_is_cut_where_its_budget_was_used_up() -> None:
    def is_cut(finish_reason: str, n_tokens: int | None) -> bool:
        usage = {} if n_tokens is None else {"completion_tokens": n_tokens}
        body = chat("1", choice={"finish_reason": finish_reason}, usage=usage).body
        return Answer.read(body, 9).used_its_budget

    assert is_cut("length", 9)
    assert is_cut("length", None)
    assert not is_cut("length", 8)
    assert not is_cut("stop", 9)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"choices": []}, r'answers without choices \({"choices": \[\]}\)$'),
        ({"choices": ["1"]}, "answers without choices"),
        ({"choices": [{"text": 3}]}, "answers with no text but 3$"),
        ({"choices": [{"message": {"content": ["1"]}}]}, r'no text but \["1"\]$'),
    ],
    ids=["none", "no object", "number", "parts"],
)
def test_a_response_without_a_text_is_refused(response: dict[str, Any], reason: str) -> None:
    with pytest.raises(ResponseError, match=reason):
        Answer.read(response, 9)


def test_each_cause_of_unfinished_answers_has_its_own_advice() -> None:
    request = Instance("generate_until", {}, ("q", {"until": []}), 0, metadata=("t", 0, 1))

    def advice(*reasons: str, end: str | None = None) -> str:
        reader = Answers(thinks=True, end=end)
        for reason in reasons:
            body = chat("why 42", choice={"finish_reason": reason}, usage={"completion_tokens": 9})
            reader.answer(request, Answer.read(body.body, 9).to_json())
        assert reader.n_unfinished == len(reasons)
        return reader.advice

    assert advice("length") == "1 used up their tokens: raise --max-gen-toks"
    stripped = advice("stop", "stop", end="</think>")
    assert stripped.startswith("2 ended by themselves and show no </think>: it is likely a special")
    assert "(skip_special_tokens)" in stripped
    assert "--reasoning-parser" in stripped
    assert "--max-gen-toks" not in stripped
    both = advice("length", "stop")
    assert both.startswith("1 used up their tokens: raise --max-gen-toks; 1 ended by themselves")

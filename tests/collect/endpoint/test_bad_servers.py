"""Each thing that a server may do wrong is one line, before or beside the score."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from chat_checkpoint import TEMPLATE
from commands import Command, Notes
from endpoint_parts import BOTH, CHOICES, generated, measured, served
from lm_eval.api.instance import Instance
from scripted_server import Answered, chat, completion, scripted_server

from capspace.collect.endpoint import probes
from capspace.collect.endpoint.address import served_checkpoint
from capspace.collect.errors import (
    BackendError,
    CollectError,
    HarnessError,
    NoCheckpointError,
    NothingMeasuredError,
    ResponseError,
    SettingsError,
)
from capspace.collect.runtime.log_capture import logged_to
from capspace.collect.settings import RunSettings
from capspace.collect.storage.store import Store

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path) -> Iterator[None]:
    with logged_to(tmp_path / "log"):
        yield


class AllNotes(Notes):
    """Remembers what is told of a model and of its benchmarks too."""

    def model(self, name: str, n_missing: int, n_known: int) -> None:
        """Remember how much there is to measure."""
        self.lines.append(f"{n_missing} to measure")

    def benchmark(self, name: str, index: int, total: int) -> None:
        """Remember its place."""
        self.lines.append(f"[{index}/{total}] {name}")

    def notices(self, model: str, lines: Any) -> None:
        """Remember it."""
        self.lines += lines


def constant(route: str, asked: dict[str, Any]) -> Answered:
    return completion("1")


@pytest.mark.slow
def test_empty_cut_and_uncounted_answers_are_shown_and_no_key_is_written(
    fault_tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVER", "sk-never-written")

    def reply(route: str, asked: dict[str, Any]) -> Answered:
        if "What is 0 " in asked["prompt"]:
            return completion("", usage=None)
        cut = {"index": 0, "finish_reason": "length", "text": "so on and"}
        n_tokens = asked["max_tokens"] - ("What is 2 " in asked["prompt"])  # less: it just ended
        return completion("", choices=[cut], usage={"completion_tokens": n_tokens})

    notes, store = AllNotes(), tmp_path / "store"
    with scripted_server(reply) as server:
        done = measured(server, fault_tasks, store, notes=notes, api_key_env="MY_SERVER")
        (result,) = done.results
        assert "Answer: 33.3% of 3 answers are empty" in notes.lines
        assert "Answer: 33.3% of 3 answers are cut: they used up their tokens" in notes.lines
        assert any("the server does not say how many tokens it read" in n for n in notes.lines)
        assert any("nothing tells which weights answer there" in note for note in notes.lines)
        assert result.provenance["empty"] == result.provenance["cut"] == pytest.approx(1 / 3)
        with Store(store) as opened:
            answers = {s["doc_id"]: s["answers"][0] for s in opened.samples(result.key)}
        assert (answers[1]["text"], answers[1]["finish_reason"]) == ("so on and", "length")
        assert [answers[i]["n_tokens"] for i in range(3)] == [None, 4, 3]
        assert {h["Authorization"] for h in server.headers} == {"Bearer sk-never-written"}
        written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
        assert b"never-written" not in written
        server.reply = lambda route, asked: completion("")
        with pytest.raises(NothingMeasuredError, match="all 3 answers of the server are empty"):
            measured(server, fault_tasks, tmp_path / "b")


@pytest.mark.slow
def test_a_server_without_log_probabilities_measures_the_rest(
    fault_tasks: Path, tmp_path: Path
) -> None:
    with scripted_server(of_generated_tokens) as server:
        notes = AllNotes()
        done = measured(server, fault_tasks, tmp_path, panel=BOTH, notes=notes)
        assert {"2 to measure", "[1/2] Answer"} <= {*notes.lines}
        assert [r.benchmark for r in done.results] == ["Answer"]
        (gap,) = done.missing
        assert gap.skipped
        assert gap.reason.startswith("skipped: the endpoint gives no log-probabilities of a prompt")
        items = [asked for _, asked in server.answered if "What is" in str(asked)]
        assert len(items) == 3  # none of the choices was sent
        with pytest.raises(NothingMeasuredError, match=r"^nothing could be measured; Choice: skip"):
            measured(server, fault_tasks, tmp_path, panel=CHOICES)


def of_generated_tokens(route: str, asked: dict[str, Any]) -> Answered:
    """Answer with log-probabilities of the generated token alone, as chat servers do."""
    logprobs = {"tokens": [" x"], "token_logprobs": [-0.1], "top_logprobs": [{" x": -0.1}]}
    choice = {"index": 0, "finish_reason": "length", "text": " x", "logprobs": logprobs}
    return completion("", choices=[choice])


def scores(*, per_token: float, first: float | None = None) -> Any:
    """Return a reply that gives every token of a prompt one log-probability."""

    def reply(route: str, asked: dict[str, Any]) -> Answered:
        tokens = [*asked["prompt"], "x"]
        values = [first, *[per_token] * (len(tokens) - 1)]
        holder = {"tokens": tokens, "token_logprobs": values, "top_logprobs": [None] * len(tokens)}
        return completion("", choices=[{"text": asked["prompt"], "logprobs": holder}])

    return reply


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (constant, "it returns no log-probabilities"),
        (of_generated_tokens, "it returns those of its own text alone"),
        (scores(per_token=0.0), "two continuations score the same"),
        (scores(per_token=0.5), "0.5 is no log-probability"),
        (scores(per_token=-1.0, first=-1.0), "the first token has a log-probability"),
        (
            lambda route, asked: (
                Answered({"detail": "no field echo"}, 422) if "echo" in asked else completion("1")
            ),
            "status 422: no field echo",
        ),
    ],
    ids=["none", "generated", "equal", "positive", "first", "refused"],
)
def test_log_probabilities_are_proved_before_they_are_used(reply: Any, reason: str) -> None:
    with scripted_server(reply) as server:
        model = served(server)
        assert reason in str(model.unscored_reason())
        n_probes = len(server.answered)
        assert model.unscored_reason() == model.unscored_reason()
        assert len(server.answered) == n_probes  # which is asked once
        request = Instance("loglikelihood", {}, ("a", " b"), 0)
        with pytest.raises(HarnessError, match="gives no log-probabilities of a prompt"):
            model.loglikelihood([request])


def test_log_probabilities_that_end_after_the_proof_are_one_line() -> None:
    def by_character(route: str, asked: dict[str, Any]) -> Answered:
        tokens = [*asked["prompt"], "x"]
        values = [None, *(-ord(token) / 50 for token in tokens[1:])]
        tops = [
            None,
            *({token: value} for token, value in zip(tokens[1:], values[1:], strict=True)),
        ]
        holder = {"tokens": tokens, "token_logprobs": values, "top_logprobs": tops}
        return completion("", choices=[{"text": asked["prompt"], "logprobs": holder}])

    request = Instance("loglikelihood", {}, ("a", " b"), 0)
    with scripted_server(by_character) as server:
        model = served(server)
        assert model.loglikelihood([request]) == [(pytest.approx(-(32 + 98) / 50), True)]
        server.reply = constant
        with pytest.raises(ResponseError, match="gave no log-probabilities of 'a b': it returns"):
            model.loglikelihood([request])
        rolling = Instance("loglikelihood_rolling", {}, ("a",), 0)
        for refuse in (
            lambda: model.loglikelihood_rolling([rolling]),
            lambda: model.check_requests("loglikelihood_rolling", [rolling]),
        ):
            with pytest.raises(HarnessError, match="no log-likelihoods of whole texts"):
                refuse()


@pytest.mark.slow
def test_chat_completions_have_no_log_probabilities_of_given_answers() -> None:
    with scripted_server(lambda route, asked: chat("1", usage=None)) as server:
        reason = served(server, chat_template=True).unscored_reason()
        assert reason == "chat completions give no log-probabilities of given answers"
        assert {route for route, _ in server.answered} == {"/chat/completions"}
        reason = served(server, thinking="on").unscored_reason()
        assert reason is not None
        assert reason.startswith("log-likelihoods of given answers mean nothing for a model that")


@pytest.mark.slow
def test_a_template_that_ignores_enable_thinking_is_one_line(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """By the tokens that the server counts, or by the tokenizer's own template."""
    folder = copytree(tiny_checkpoint, tmp_path / "chat")

    def switched(route: str, asked: dict[str, Any]) -> Answered:
        thinks = asked["chat_template_kwargs"]["enable_thinking"]
        return chat("1", usage={"prompt_tokens": 5 if thinks else 9})

    with scripted_server(lambda route, asked: chat("1")) as server:

        def refused(**settings: Any) -> str:
            with pytest.raises(BackendError) as caught:
                served(server, **settings)
            assert "\n" not in str(caught.value)
            return str(caught.value)

        for mode in ("on", "off"):
            assert (
                "its chat template ignores enable_thinking: one prompt has 5 tokens with thinking "
                "on and off (where it does differ, --tokenizer proves it); for a model that always"
            ) in refused(thinking=mode)
        (folder / "chat_template.jinja").write_text(TEMPLATE)
        assert served(server, thinking="on", tokenizer=str(folder), context_length=99)
        assert served(server, chat_template=True, think_end="</think>")
        server.reply = switched
        assert served(server, thinking="off")
        (folder / "chat_template.jinja").write_text(TEMPLATE.replace("enable_thinking", "think"))
        assert "ignores enable_thinking: it renders the same with thinking on and off; for" in (
            refused(thinking="on", tokenizer=str(folder))
        )
        # Without a count nothing tells.
        server.reply = lambda route, asked: chat("1", usage=None)
        assert served(server, thinking="on")


def test_an_error_page_is_quoted() -> None:
    page = Answered("<html><h1>Welcome to nginx</h1></html>")
    with scripted_server(lambda route, asked: page) as server:
        with pytest.raises(BackendError, match=r"is no JSON object \(<html><h1>Welcome to nginx"):
            served(server)
        server.models = page
        with pytest.raises(BackendError, match=r"OpenAI-compatible API, with its /v1\?$"):
            served(server)


def test_nothing_behind_the_address_is_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert probes._PATIENCE <= 5
    monkeypatch.setattr(probes, "_PATIENCE", 0.05)
    with scripted_server(constant) as server:
        pass
    with pytest.raises(BackendError, match=r"/v1 does not answer \(connection refused\)$"):
        served(server)


def test_another_models_name_is_refused() -> None:
    with scripted_server(lambda route, asked: completion("1", model="org/large")) as server:
        with pytest.raises(BackendError, match="org/large answers, and tiny was asked; name it"):
            served(server)
        server.models = Answered({"data": [{"id": "other"}]})  # which proves nothing
        model = served(server, answers_of="org/Large")
        assert any("/v1 does not list tiny; it lists other" in note for note in model.notes)
        server.reply = lambda route, asked: completion("1", model="org/tiny-2026-05-01")
        generated(model, "a")
        server.reply = lambda route, asked: completion("1", model="other")
        with pytest.raises(BackendError, match="other answers, and tiny was asked"):
            generated(model, "a")


@pytest.mark.slow
def test_a_server_that_ignores_the_temperature_is_refused() -> None:
    with scripted_server(constant) as server:
        model = served(server)
        generated(model, "a")  # greedy: nothing to prove
        n_greedy = 2 + 1  # the probes
        assert len(server.answered) == n_greedy
        with pytest.raises(ResponseError, match=r"ignores the temperature: at 0\.5 it gave 8 time"):
            generated(model, "a", temperature=0.5)
        assert len(server.answered) == n_greedy + 1 + 8
        server.reply = lambda route, asked: completion(str(asked.get("seed")))
        generated(model, "a", temperature=0.5)
        generated(model, "b", temperature=0.5)
        assert len(server.answered) == n_greedy + 1 + 8 + 1 + 2 + 1 + 1  # proved once


def test_a_server_that_samples_at_temperature_zero_is_noted() -> None:
    texts = iter("abcdefgh")
    with scripted_server(lambda route, asked: completion(next(texts))) as server:
        assert any("two texts to one prompt at temperature 0" in n for n in served(server).notes)
        sampled = served(server, temperature=0.5)
        server.reply = constant
        assert not any("two texts" in n for n in [*sampled.notes, *served(server).notes])


def test_a_refusal_is_shown_in_the_servers_words_and_sent_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_SERVER", "sk-in-the-words")
    sent = 0

    def reply(route: str, asked: dict[str, Any]) -> Answered:
        nonlocal sent
        sent += 1
        return Answered({"error": {"message": "too\nlong, sk-in-the-words", "code": 7}}, 400)

    with scripted_server(constant) as server:
        model = served(server, api_key_env="MY_SERVER")
        server.reply = reply
        with pytest.raises(ResponseError, match=r"refuses: status 400: too long, \*\*\*$"):
            generated(model, "a")
    assert sent == 1


def test_a_route_that_is_not_there_names_the_other() -> None:
    missing = Answered({"detail": "Not Found"}, 404)
    with scripted_server(lambda route, asked: missing) as server:
        with pytest.raises(BackendError, match=r"404: Not Found; .*, pass --chat-template$"):
            served(server)
        with pytest.raises(BackendError, match=r"404: Not Found; .*, leave the chat template out$"):
            served(server, chat_template=True)


@pytest.mark.slow
def test_answers_past_the_context_are_refused() -> None:
    long = {"prompt_tokens": 60, "completion_tokens": 4}
    with scripted_server(lambda route, asked: completion("1", usage=long)) as server:
        with pytest.raises(ResponseError, match=r"past its context: 60 tokens of .* of 62"):
            generated(served(server, context_length=62), "a")
        with pytest.raises(HarnessError, match="leaves no room for a prompt within the model's 4;"):
            generated(served(server, context_length=4), "a")
        listed = {"id": "tiny", "max_model_len": 63}
        server.models = Answered({"data": [listed]})
        with pytest.raises(ResponseError, match="past its context"):
            generated(served(server), "a")


def test_a_context_that_cannot_be_is_refused() -> None:
    with scripted_server(lambda route, asked: completion("1")) as server:
        server.models = Answered({"data": [{"id": "tiny", "max_model_len": -5}]})
        with pytest.raises(BackendError, match="says max_model_len -5; pass --context-length"):
            served(server)
        assert served(server, context_length=64)


def test_prompts_are_counted_before_they_are_sent(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with scripted_server(constant) as server:
        model = served(server, context_length=12, tokenizer=str(tiny_checkpoint))
        n_probes = len(server.answered)
        with pytest.raises(HarnessError, match=r"a prompt of \d+ tokens and an answer of at most"):
            generated(model, "a", "word " * 20)
        assert len(server.answered) == n_probes
        with pytest.raises(BackendError, match=r"--tokenizer \S+: it cannot be loaded"):
            served(server, tokenizer=str(tmp_path))


@pytest.mark.slow
def test_tokens_are_the_tokenizers_own_or_one_for_four_bytes(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, while it is imported
        from transformers import AutoTokenizer

    alone, no_room = (copytree(tiny_checkpoint, tmp_path / name) for name in ("alone", "no room"))
    (alone / "config.json").unlink()
    config = json.loads((no_room / "config.json").read_text()) | {"max_position_embeddings": -1}
    (no_room / "config.json").write_text(json.dumps(config))
    own = AutoTokenizer.from_pretrained(tiny_checkpoint)
    with scripted_server(constant) as server:
        assert len(served(server).tok_encode("nine bytes"[:9])) == 3
        model = served(server, tokenizer=str(alone))
        assert model._length.limit is None  # no configuration beside it says one
        assert model.tok_encode("a word") == own("a word", add_special_tokens=False)["input_ids"]
        with pytest.raises(BackendError, match="says max_position_embeddings -1; pass --context-l"):
            served(server, tokenizer=str(no_room))
        chat_model = served(server, tokenizer=str(alone), context_length=12, chat_template=True)
        with pytest.raises(HarnessError, match=r"a prompt of 1. tokens and an answer of at most 4"):
            generated(chat_model, chat_model.apply_chat_template(turns("word " * 9)))


def turns(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_what_names_no_model_of_an_endpoint_is_one_line() -> None:
    with pytest.raises(SettingsError, match="no endpoint is given"):
        served_checkpoint("tiny", RunSettings.of())
    with pytest.raises(NoCheckpointError, match="an empty name stands for no model"):
        served_checkpoint(" ", RunSettings.of(endpoint="http://127.0.0.1:9/v1"))


def test_a_refused_key_is_seen_before_anything_is_asked() -> None:
    with scripted_server(constant) as server:
        server.models = Answered({"error": {"message": "wrong key"}}, 401)
        with pytest.raises(BackendError, match=r"/models refuses: status 401: wrong key$"):
            served(server)
        assert server.answered == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"endpoint": "localhost:8000"}, "endpoint: expected a URL such as http"),
        ({"endpoint": "http://u:pw@host/v1"}, "without password"),
        ({"endpoint": "http://host/v1?key=pw"}, "without password"),
        ({"endpoint": "http://h", "dtype": "float16"}, "dtype is a setting of a checkpoint that"),
        ({"concurrency": 3}, "concurrency is a setting of an endpoint, and there is none"),
        ({"endpoint": "http://h", "api_key_env": "A B"}, "api_key_env: String should match"),
        ({"endpoint": "http://h", "concurrency": 0}, "concurrency: Input should be greater than 0"),
    ],
    ids=["no scheme", "password", "query", "dtype", "no endpoint", "variable", "none at a time"],
)
def test_settings_that_an_endpoint_does_not_take_are_one_line(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(CollectError, match=message) as caught:
        RunSettings.of(**settings)
    assert "\n" not in str(caught.value)
    assert "pw" not in str(caught.value)


def test_a_command_names_its_model_once(capspace: Command) -> None:
    assert "--model names a model of an endpoint; give its URL" in capspace.refused(
        "collect", "--model", "tiny"
    )
    assert "no model is named: give a checkpoint, or --endpoint URL with" in capspace.refused(
        "place"
    )
    assert "place takes one model at a time" in capspace.refused(
        "place", "a", "--model", "b", "--endpoint", "http://127.0.0.1:9/v1"
    )


def test_a_key_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with scripted_server(constant) as server:
        with pytest.raises(BackendError, match="--api-key-env NO_SUCH_KEY: this environment var"):
            served(server, api_key_env="NO_SUCH_KEY")
        served(server)  # by default none is needed
        assert not any("Authorization" in headers for headers in server.headers)
        monkeypatch.setenv("OPENAI_API_KEY", "a\u00e4")
        with pytest.raises(BackendError, match="has characters that no HTTP header can hold"):
            served(server)

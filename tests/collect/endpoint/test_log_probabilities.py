"""Log-likelihoods behind a server: equal to the local run, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from completions_server import completions_server
from endpoint_parts import CHOICES

from capspace.collect.endpoint.log_probabilities import NotEchoedError, read_echo
from capspace.collect.run.collect import collect_scores
from capspace.collect.runtime.log_capture import logged_to
from capspace.collect.storage.store import Store

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path) -> Iterator[None]:
    with logged_to(tmp_path / "log"):
        yield


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of transformers
def test_a_multiple_choice_task_scores_as_on_this_machine(
    tiny_checkpoint: Path, fault_tasks: Path, tmp_path: Path
) -> None:
    def scored(name: str, model: str, **settings: Any) -> list[Any]:
        done = collect_scores(
            model, panel=CHOICES, store=tmp_path / name, include_path=fault_tasks, limit=12,
            **settings,
        )  # fmt: skip
        (result,) = done.results
        with Store(tmp_path / name) as store:
            samples = sorted(store.samples(result.key), key=lambda s: int(s["doc_id"]))
        return [result.score, [s["resps"] for s in samples]]

    local = scored("here", str(tiny_checkpoint), backend="hf", device="cpu", batch_size=1)
    with completions_server(tiny_checkpoint) as server:
        behind = scored("there", "tiny", endpoint=server.url)
        n_prompts = len(server.prompts)
        assert n_prompts == 12 * 4 + 2 + 2  # the probes
        assert scored("there", "tiny", endpoint=server.url) == behind
        assert len(server.prompts) == n_prompts
    assert behind[0] == local[0]
    for there, here in zip(behind[1], local[1], strict=True):
        for (a, a_greedy), (b, b_greedy) in zip(_pairs(there), _pairs(here), strict=True):
            assert a == pytest.approx(b, abs=1e-4)
            assert a_greedy == b_greedy


def _pairs(responses: list[Any]) -> list[tuple[float, bool]]:
    return [(float(value), str(greedy) == "True") for ((value, greedy),) in responses]


def echo(tokens: list[str], values: list[Any], tops: Any = None) -> dict[str, Any]:
    tops = [{"x": -0.5}] * len(tokens) if tops is None else tops
    holder = {"tokens": tokens, "token_logprobs": values, "top_logprobs": tops}
    return {"choices": [{"text": "".join(tokens), "logprobs": holder}]}


def test_the_continuation_is_found_by_its_characters() -> None:
    response = echo(["ab", "c d", "e", "f"], [None, -1.0, -0.5, -9.0])
    prompt = read_echo(response, "abc de")
    assert prompt.score(5) == (-0.5, True)
    assert prompt.score(4) == (-1.5, False)  # a token of both belongs to the continuation
    begun = read_echo(echo(["<s>", "ab", "c", "f"], [None, -1.0, -0.25, -9.0]), "abc")
    assert begun.score(0) == (-1.25, False)
    assert begun.score(2) == (-0.25, True)
    with pytest.raises(NotEchoedError, match="nothing stands before it"):
        prompt.score(0)


def test_a_character_of_several_tokens_is_found() -> None:
    """A server shows its parts as U+FFFD each, or all of it with the last."""
    values = [None, -1.0, -2.0, -4.0, -8.0, -16.0]
    for parts in ([" \ufffd", "\ufffd"], ["", " \u211d"]):
        prompt = read_echo(echo(["in", *parts, "\u00e9", ".", "x"], values), "in \u211d\u00e9.")
        assert [prompt.score(n)[0] for n in (2, 4, 5)] == [-15.0, -12.0, -8.0]
    parts = ["\ufffd", "\ufffd", "\ufffd", "\ufffd"]
    two = read_echo(echo(["a", *parts, "x"], values), "a\u211d\u00e9")
    assert two.score(1)[0] == -15.0
    with pytest.raises(NotEchoedError, match="between characters whose tokens hold parts of them"):
        two.score(2)
    with pytest.raises(NotEchoedError, match="do not join to the prompt"):
        read_echo(echo(["a", *parts, "x"], values), "abc")


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({}, "returns no log-probabilities"),
        ({"choices": [{"logprobs": {"tokens": ["a"]}}]}, "no log-probability for each token"),
        (echo(["a", "b"], [None, -1.0], tops=[]), "which tokens are the most probable"),
        (echo(["a", "x"], [None, -1.0]), "do not join to the prompt$"),
        (echo(["a"], [None]), "those of its own text alone"),
        (echo(["a", "b"], [None, None]), "None is no log-probability"),
        (echo(["a", "b"], [None, float("-inf")]), "-inf is no log-probability"),
    ],
    ids=["nothing", "few", "no best", "other text", "too short", "null", "infinite"],
)
def test_what_is_no_echo_is_refused(response: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotEchoedError, match=reason):
        read_echo(response, "ab")

"""A run behind a failing server and a killed client: no answer is asked twice, and none is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from endpoint_faults import survives
from endpoint_parts import generated, measured, served
from scripted_server import Answered, completion, scripted_server

from capspace.collect.endpoint import connection
from capspace.collect.errors import ResponseError
from capspace.collect.runtime.log_capture import logged_to

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(connection, "_FIRST_WAIT", 0.001)
    with logged_to(tmp_path / "log"):
        yield


def answer(route: str, asked: dict[str, Any]) -> Answered:
    return completion(f"{len(asked['prompt'])} {asked.get('seed')}")


@pytest.mark.slow
def test_a_killed_client_a_restarted_server_and_failing_requests(
    fault_tasks: Path, tmp_path: Path
) -> None:
    failing = survives(answer, fault_tasks, tmp_path, n_items=60, temperature=1.0)
    assert failing.n_faults >= 3


@pytest.mark.slow
def test_each_repeat_has_a_seed_of_its_own_that_every_run_sends(
    fault_tasks: Path, tmp_path: Path
) -> None:
    seeds = []
    for name in ("a", "b"):
        with scripted_server(answer) as server:
            measured(server, fault_tasks, tmp_path / name, temperature=1.0, n_samples=4, limit=2)
            asked = [request for _, request in server.answered if "What is" in str(request)]
            seeds.append(sorted((request["prompt"], request["seed"]) for request in asked))
    assert seeds[0] == seeds[1]
    assert len({seed for _, seed in seeds[0]}) == len(seeds[0]) == 2 * 4
    assert all(0 <= seed < 2**31 for _, seed in seeds[0])


def test_a_server_is_left_alone_for_as_long_as_it_says() -> None:
    waits: list[float] = []
    with scripted_server(answer) as server:
        model = served(server)
        pending = [Answered("", 429, {"Retry-After": "7"}), Answered("", 503), Answered("", 503)]
        server.reply = lambda route, asked: pending.pop(0) if pending else answer(route, asked)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(model._connection, "_wait", waits.append)
            assert generated(model, "abc")[0].text == "3 None"
    assert waits == [7.0, 0.002, 0.004]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (
            Answered("no size\n", 200, {"Transfer-Encoding": "chunked"}),
            "the connection was dropped",
        ),
        (None, "it takes too long"),
        (Answered("no archive", 200, {"Content-Encoding": "gzip"}), "failed to decode it"),
    ],
    ids=["cut", "late", "not what it says"],
)
def test_a_response_that_cannot_be_read_says_why(
    reply: Answered | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_over = Event()

    def late(route: str, asked: dict[str, Any]) -> Answered:
        is_over.wait(10)
        return answer(route, asked)

    with scripted_server(answer) as server:
        model = served(server)
        monkeypatch.setattr(model._connection, "patience", 0)
        server.reply = late if reply is None else lambda route, asked: reply
        if reply is None:
            monkeypatch.setattr(connection, "_ANSWER_SECONDS", 0.01)
        with pytest.raises(ResponseError, match=reason) as caught:
            generated(model, "abc")
        is_over.set()
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_server_that_fails_at_one_request_again_and_again_is_given_up() -> None:
    with scripted_server(answer) as server:
        model = served(server)
        n_sent = Counter[str]()

        def reply(route: str, asked: dict[str, Any]) -> Answered:
            n_sent[asked["prompt"]] += 1
            bad = asked["prompt"] == "bad"
            return Answered("oops", 500) if bad else answer(route, asked)

        server.reply = reply
        with pytest.raises(ResponseError, match="refuses: status 500: oops"):
            generated(model, "good", "bad", "never sent")
        assert n_sent == {"good": 1, "bad": 5}
    model._connection.patience = 0.01
    with pytest.raises(ResponseError, match=r"does not answer .* run the same command again to c"):
        generated(model, "good")

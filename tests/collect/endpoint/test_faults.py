"""A run behind a failing server and a killed client: no answer is asked twice, and none is lost."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from endpoint_parts import ANSWERS, generated, measured, served
from scripted_server import Answered, ScriptedServer, completion, scripted_server

from capspace.collect.endpoint import connection
from capspace.collect.errors import ResponseError
from capspace.collect.harness.harness import Harness
from capspace.collect.runtime.log_capture import logged_to
from capspace.collect.storage.store import Store

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")
N_ITEMS = 60
AT_ONCE = 4
FAULTS = (
    Answered(None),  # a dropped connection
    Answered({"error": "slow down"}, 429, {"Retry-After": "0"}),
    Answered({"error": "starting"}, 503),
    Answered("Internal Server Error", 500),
)


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(connection, "_FIRST_WAIT", 0.001)
    with logged_to(tmp_path / "log"):
        yield


def answer(route: str, asked: dict[str, Any]) -> Answered:
    return completion(f"{len(asked['prompt'])} {asked.get('seed')}")


class Failing:
    """Fails at each twentieth request, in one way after the other."""

    def __init__(self) -> None:
        self.n_requests = self.n_faults = 0

    def __call__(self, route: str, asked: dict[str, Any]) -> Answered:
        self.n_requests += 1
        if self.n_requests % 20 == 0:
            self.n_faults += 1
            return FAULTS[self.n_faults % len(FAULTS)]
        return answer(route, asked)


def items(server: ScriptedServer) -> Counter[str]:
    """Return how often each item was answered, by its request."""
    return Counter(str(asked) for _, asked in server.answered if "What is" in str(asked))


def responses(store: Path) -> list[Any]:
    with Store(store) as opened:
        (result,) = opened.results()
        return [(s["doc_id"], s["resps"], s["answers"]) for s in opened.samples(result.key)]


@pytest.mark.slow
def test_a_killed_client_a_restarted_server_and_failing_requests(
    fault_tasks: Path, tmp_path: Path
) -> None:
    settings = {"limit": N_ITEMS, "concurrency": AT_ONCE, "temperature": 1.0}
    with scripted_server(answer) as server:
        measured(server, fault_tasks, tmp_path / "whole", **settings)
        whole = items(server)
        port = int(server.url.split(":")[2].partition("/")[0])
    assert set(whole.values()) == {1}
    assert len(whole) == N_ITEMS

    Harness(ANSWERS.benchmarks, include_path=fault_tasks)
    ready, url_written = os.pipe()
    client = os.fork()
    if client == 0:  # begun before the server, whose threads a fork would lose
        os.close(url_written)
        os.read(ready, 1)
        try:
            server = ScriptedServer(f"http://127.0.0.1:{port}/v1", answer)
            measured(server, fault_tasks, tmp_path / "store", **settings)
        finally:
            os._exit(1)
    os.close(ready)

    failing = Failing()

    def kill_in_the_midst(route: str, asked: dict[str, Any]) -> Answered:
        if len(items(first)) == N_ITEMS // 3:
            os.kill(client, signal.SIGKILL)
            os.waitpid(client, 0)
            return Answered(None)
        return failing(route, asked)

    with scripted_server(failing, port=port) as first:
        first.reply = kill_in_the_midst
        os.write(url_written, b".")
        os.close(url_written)
        _, status = _waited(client, lambda: len(items(first)) >= N_ITEMS // 3)
        assert status is None or os.WIFSIGNALED(status)
        before = items(first)
    assert set(before.values()) == {1}  # whatever failed in between

    # The second run begins before its server is back, and the server is restarted once more.
    restart, is_over = Event(), Event()

    def until_restart(route: str, asked: dict[str, Any]) -> Answered:
        if len(items(second)) > N_ITEMS // 3:
            restart.set()
            return Answered(None)
        return failing(route, asked)

    def last_server() -> None:
        restart.wait(60)
        # the port is free once the second server is closed, below
        is_closed.wait(60)
        with scripted_server(failing, port=port) as third:
            after.append(third)
            is_over.wait(60)

    after: list[ScriptedServer] = []
    is_closed = Event()
    thread = Thread(target=last_server)
    done: list[Any] = []
    with scripted_server(failing, port=port) as second:
        second.reply = until_restart
        thread.start()
        run = Thread(
            target=lambda: done.append(
                measured(second, fault_tasks, tmp_path / "store", **settings)
            )
        )
        run.start()
        restart.wait(60)
    is_closed.set()
    run.join(60)
    is_over.set()
    thread.join(60)
    (collection,) = done
    counts = collection.results[0].provenance["requests"]
    assert counts["n_known"] >= len(before) - AT_ONCE  # what was under way may not have arrived
    assert counts["n_known"] + counts["n_asked"] == N_ITEMS
    again = items(second) + items(after[0])
    assert set(again.values()) == {1}
    asked_twice = before & again
    assert len(asked_twice) == len(before) - counts["n_known"] <= AT_ONCE
    assert before | again == whole
    assert responses(tmp_path / "store") == responses(tmp_path / "whole")
    assert failing.n_faults >= 3


def _waited(pid: int, is_done: Any) -> tuple[int, int | None]:
    """Wait until a process is gone, killed by the server's own thread."""
    try:
        return os.waitpid(pid, 0)
    except ChildProcessError:  # which has waited for it
        return pid, None


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
    waits = []
    with scripted_server(answer) as server:
        model = served(server)
        pending = [Answered("", 429, {"Retry-After": "7"}), Answered("", 503), Answered("", 503)]
        server.reply = lambda route, asked: pending.pop(0) if pending else answer(route, asked)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(model._connection, "_is_closed", Waiting(waits))
            assert generated(model, "abc")[0].text == "3 None"
    assert waits == [7.0, 0.002, 0.004]


class Waiting:
    """Notes how long is waited, and does not wait."""

    def __init__(self, waits: list[float]) -> None:
        self._waits = waits

    def wait(self, seconds: float) -> bool:
        self._waits.append(seconds)
        return False


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

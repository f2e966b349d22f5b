"""A run behind a failing server and a killed client: no answer is asked twice, and none is lost."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from threading import Event, Thread
from typing import Any

from endpoint_parts import ANSWERS, measured
from scripted_server import Answered, Reply, ScriptedServer, scripted_server

from capspace.collect.harness.harness import Harness
from capspace.collect.storage.store import Store

AT_ONCE = 4
FAULTS = (
    Answered(None),  # a dropped connection
    Answered({"error": "slow down"}, 429, {"Retry-After": "0"}),
    Answered({"error": "starting"}, 503),
    Answered("Internal Server Error", 500),
)


class Failing:
    """Fails at each twentieth request, in one way after the other."""

    def __init__(self, answer: Reply) -> None:
        self.answer = answer
        self.n_requests = self.n_faults = 0

    def __call__(self, route: str, asked: dict[str, Any]) -> Answered:
        self.n_requests += 1
        if self.n_requests % 20 == 0:
            self.n_faults += 1
            return FAULTS[self.n_faults % len(FAULTS)]
        return self.answer(route, asked)


def items(server: ScriptedServer) -> Counter[str]:
    """Return how often each item was answered, by its request."""
    return Counter(str(asked) for _, asked in server.answered if "What is" in str(asked))


def responses(store: Path) -> list[Any]:
    with Store(store) as opened:
        (result,) = opened.results()
        return [(s["doc_id"], s["resps"], s["answers"]) for s in opened.samples(result.key)]


def survives(
    answer: Reply, tasks: Path, folder: Path, *, n_items: int, temperature: float
) -> Failing:
    """Measure through kill -9, two restarts and failing requests, and compare with a whole run.

    Parameters
    ----------
    answer : callable
        The server's answer to a request, the same whenever it is asked.
    tasks : Path
        Folder of the fault tests' tasks.
    folder : Path
        Where the stores are made.
    n_items : int
        Items that are measured.
    temperature : float
        At which they are.

    """
    settings = {"limit": n_items, "concurrency": AT_ONCE, "temperature": temperature}
    with scripted_server(answer) as server:
        measured(server, tasks, folder / "whole", **settings)
        whole = items(server)
        port = int(server.url.split(":")[2].partition("/")[0])
    assert set(whole.values()) == {1}
    assert len(whole) == n_items

    Harness(ANSWERS.benchmarks, include_path=tasks)
    ready, url_written = os.pipe()
    client = os.fork()
    if client == 0:  # begun before the server, whose threads a fork would lose
        os.close(url_written)
        os.read(ready, 1)
        try:
            server = ScriptedServer(f"http://127.0.0.1:{port}/v1", answer)
            measured(server, tasks, folder / "store", **settings)
        finally:
            os._exit(1)
    os.close(ready)

    failing = Failing(answer)

    def kill_in_the_midst(route: str, asked: dict[str, Any]) -> Answered:
        if len(items(first)) == n_items // 3:
            os.kill(client, signal.SIGKILL)
            os.waitpid(client, 0)
            return Answered(None)
        return failing(route, asked)

    with scripted_server(failing, port=port) as first:
        first.reply = kill_in_the_midst
        os.write(url_written, b".")
        os.close(url_written)
        _, status = _waited(client)
        assert status is None or os.WIFSIGNALED(status)
        before = items(first)
    assert set(before.values()) == {1}  # whatever failed in between

    # The second run begins before its server is back, and the server is restarted once more.
    restart, is_over = Event(), Event()

    def until_restart(route: str, asked: dict[str, Any]) -> Answered:
        if len(items(second)) > n_items // 3:
            restart.set()
            return Answered(None)
        return failing(route, asked)

    def last_server() -> None:
        restart.wait(300)
        # the port is free once the second server is closed, below
        is_closed.wait(300)
        with scripted_server(failing, port=port) as third:
            after.append(third)
            is_over.wait(300)

    after: list[ScriptedServer] = []
    is_closed = Event()
    thread = Thread(target=last_server)
    done: list[Any] = []
    with scripted_server(failing, port=port) as second:
        second.reply = until_restart
        thread.start()
        run = Thread(
            target=lambda: done.append(measured(second, tasks, folder / "store", **settings))
        )
        run.start()
        restart.wait(300)
    is_closed.set()
    run.join(300)
    is_over.set()
    thread.join(300)
    (collection,) = done
    counts = collection.results[0].provenance["requests"]
    assert counts["n_known"] >= len(before) - AT_ONCE  # what was under way may not have arrived
    assert counts["n_known"] + counts["n_asked"] == n_items
    again = items(second) + items(after[0])
    assert set(again.values()) == {1}
    asked_twice = before & again
    assert len(asked_twice) == len(before) - counts["n_known"] <= AT_ONCE
    assert before | again == whole
    assert responses(folder / "store") == responses(folder / "whole")
    return failing


def _waited(pid: int) -> tuple[int, int | None]:
    """Wait until a process is gone, killed by the server's own thread."""
    try:
        return os.waitpid(pid, 0)
    except ChildProcessError:  # which has waited for it
        return pid, None

"""A server with OpenAI's routes whose answers a test scripts, over real HTTP on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

Reply = Callable[[str, dict[str, Any]], "Answered"]


@dataclass(frozen=True)
class Answered:
    """What the server answers with.

    Attributes
    ----------
    body : object
        Text, or what is sent as JSON; None drops the connection.
    status : int
        HTTP's.
    headers : dict
        Further headers.

    """

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class ScriptedServer:
    """The address, the script, and what was asked and answered with status 200.

    Attributes
    ----------
    url : str
        Of the API, with ``/v1``.
    reply : callable
        From the route and the request to the answer.
    answered : list of (str, dict)
        Route and request of each answer with status 200.
    headers : list of dict
        Headers of every request.
    models : Answered
        The list of models.

    """

    url: str
    reply: Reply
    answered: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    models: Answered = Answered({"object": "list", "data": [{"id": "tiny", "object": "model"}]})

    def asked(self, route: str = "/chat/completions") -> list[dict[str, Any]]:
        """Return the requests at a route that were answered."""
        return [request for there, request in self.answered if there == route]


def chat(text: str | None, **more: Any) -> Answered:
    """Return a chat completion; ``message``, ``choice`` and further fields replace its own."""
    message = {"role": "assistant", "content": text, **more.pop("message", {})}
    choice = {"index": 0, "finish_reason": "stop", "message": message, **more.pop("choice", {})}
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    body = {"model": "tiny", "choices": [choice], "usage": usage, **more}
    return Answered({name: value for name, value in body.items() if value is not None})


def completion(text: str, **more: Any) -> Answered:
    """Return a completion; further fields replace its own."""
    choice = {"index": 0, "finish_reason": "stop", "text": text}
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    body = {"model": "tiny", "choices": [choice], "usage": usage, **more}
    return Answered({name: value for name, value in body.items() if value is not None})


@contextmanager
def scripted_server(reply: Reply, *, port: int = 0) -> Iterator[ScriptedServer]:
    """Serve answers on this machine's own network; models are listed as ``tiny``."""
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with lock:
                answered = state.models
            self._send(answered)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            route = self.path.removeprefix("/v1")
            with lock:
                state.headers.append(dict(self.headers))
                answered = state.reply(route, asked)
                if answered.status == 200 and answered.body is not None:
                    state.answered.append((route, asked))
            self._send(answered)

        def _send(self, answered: Answered) -> None:
            if answered.body is None:
                self.close_connection = True
                return
            text = answered.body if isinstance(answered.body, str) else json.dumps(answered.body)
            data = text.encode()
            self.send_response(answered.status)
            self.send_header("Content-Length", str(len(data)))
            for name, value in answered.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    state = ScriptedServer(f"http://127.0.0.1:{server.server_address[1]}/v1", reply)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""Requests go to a server over HTTP; lost requests are sent again, refused ones are not.

The library is ``requests``, which lm-eval itself depends on.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any

import requests

from ..errors import BackendError, ResponseError
from ..runtime.redaction import redacted

__all__ = ["Connection", "RefusedError", "api_key"]

_CONNECT_SECONDS, _ANSWER_SECONDS = 10.0, 3600.0
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 60.0
_PASSING = {408, 409, 425, 429, 502, 503, 504, 529}
"""Statuses of a server that is busy, or on its way up."""
_SERVER_FAULT = 500
_MOST_FAULTS = 5
_LONGEST_QUOTE = 300


class RefusedError(ResponseError):
    """A server refused a request, or failed on it each time; the message has its own words."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Connection:
    """A server's API, used by several threads.

    Parameters
    ----------
    url : str
        Of the API, up to and with ``/v1``.
    key : str, optional
        Sent as a bearer token, and never written down.
    patience : float
        Seconds for which a server that does not answer is waited for.

    """

    def __init__(self, url: str, *, key: str | None = None, patience: float = 900.0) -> None:
        self.url = url
        self.patience = patience
        self._key = key
        self._threads = threading.local()
        self._wait = time.sleep

    def get(self, route: str, *, patience: float | None = None) -> Any:
        """Return the JSON data at a route; as `post`."""
        return self._answered("GET", route, None, patience, _MOST_FAULTS)

    def post(
        self,
        route: str,
        payload: dict[str, Any],
        *,
        patience: float | None = None,
        most_faults: int = _MOST_FAULTS,
    ) -> Any:
        """Send a request and return the JSON data of its answer.

        Parameters
        ----------
        route : str
            Such as ``/completions``.
        payload : dict
            What is sent.
        patience : float, optional
            Seconds to wait for a server that does not answer; by default the connection's own.
        most_faults : int
            How often a request is sent at which the server fails by itself (status 500).

        Raises
        ------
        RefusedError
            The server refuses the request.
        ResponseError
            It does not answer at all, or with something that is no JSON data.

        """
        return self._answered("POST", route, payload, patience, most_faults)

    def _answered(
        self, method: str, route: str, payload: Any, patience: float | None, most_faults: int
    ) -> Any:
        give_up: float | None = None  # counted from the first failure: an answer may take long
        wait, n_faults = _FIRST_WAIT, 0
        while True:
            asked_for: float | None = None
            try:
                response = self._session.request(
                    method,
                    f"{self.url}{route}",
                    json=payload,
                    timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS),
                    allow_redirects=False,  # which would turn a request into another
                )
                text, status = response.content.decode("utf-8", "replace"), response.status_code
                if status < 300:
                    return self._json(route, text)
                reason = f"status {status}: {self._quote(text)}"
                n_faults += status == _SERVER_FAULT
                if status not in _PASSING and (status != _SERVER_FAULT or n_faults >= most_faults):
                    raise RefusedError(f"{self.url}{route} refuses: {reason}", status)
                asked_for = _retry_after(response)
            except (requests.ConnectionError, requests.Timeout) as error:
                reason = _cause(error)
            except requests.exceptions.ChunkedEncodingError:
                reason = "the connection was dropped"
            except requests.RequestException as error:
                raise ResponseError(f"{self.url}: {redacted(str(error))}") from None
            if give_up is None:
                give_up = time.monotonic() + (self.patience if patience is None else patience)
            pause = wait if asked_for is None else asked_for
            if time.monotonic() + pause > give_up:
                raise ResponseError(
                    f"{self.url} does not answer ({reason}); all answers before are stored: run "
                    "the same command again to continue from there"
                )
            self._wait(pause)
            wait = min(2 * wait, _LONGEST_WAIT)

    @property
    def _session(self) -> requests.Session:
        """The thread's own session: requests does not promise that threads may share one."""
        if not hasattr(self._threads, "session"):
            session = requests.Session()
            session.auth = self._authorized  # without one, a password of ~/.netrc would be sent
            self._threads.session = session
        own: requests.Session = self._threads.session
        return own

    def _authorized(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def _json(self, route: str, text: str) -> Any:
        try:
            read = json.loads(text)
        except ValueError:
            read = None
        if not isinstance(read, dict):
            raise ResponseError(
                f"{self.url}{route} answers with a page that is no JSON object "
                f"({self._quote(text)}); is --endpoint the address of an OpenAI-compatible API, "
                "with its /v1?"
            )
        return read

    def _quote(self, text: str) -> str:
        """Return a server's own words in one line: those of its error object, where it has one."""
        try:
            words: Any = json.loads(text)
        except ValueError:
            words = text
        for name in ("error", "message", "detail"):
            if isinstance(words, dict) and words.get(name):
                words = words[name]
        spelled = words if isinstance(words, str) else json.dumps(words)
        line = " ".join(redacted(spelled).split()) or "no words"
        if self._key:
            line = line.replace(self._key, "***")
        return line if len(line) <= _LONGEST_QUOTE else f"{line[:_LONGEST_QUOTE]}..."


def api_key(variable: str, *, is_required: bool) -> str | None:
    """Return the key that an environment variable holds; None where there is none.

    Raises
    ------
    BackendError
        There is none, and one is required; or it has a character that no header can hold.

    """
    key = os.environ.get(variable, "").strip()
    if not key and is_required:
        raise BackendError(f"--api-key-env {variable}: this environment variable is not set")
    if not (key.isascii() and key.isprintable()):
        raise BackendError(f"the key in {variable} has characters that no HTTP header can hold")
    return key or None


def _retry_after(response: requests.Response) -> float | None:
    """Return the seconds that a server wants to be left alone for; None where it says no number."""
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _cause(error: Exception) -> str:
    """Return in a few words what went wrong below an error of requests."""
    text = str(error)
    if isinstance(error, requests.Timeout):
        return "it takes too long"
    for words in ("Connection refused", "Name or service not known", "certificate verify failed"):
        if words in text:
            return words.lower()
    return "the connection was dropped"

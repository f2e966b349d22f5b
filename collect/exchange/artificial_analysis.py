"""Scores are fetched from Artificial Analysis with the user's own key, which is never stored."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..errors import ImportFileError

__all__ = ["KEY_VARIABLE", "MODELS_URL", "fetch_artificial_analysis"]

KEY_VARIABLE = "ARTIFICIAL_ANALYSIS_API_KEY"
"""The environment variable that holds the key."""
MODELS_URL = "https://artificialanalysis.ai/api/v2/language/models"

_TIMEOUT = 60.0
_MOST_BYTES = 64 << 20
_MOST_PAGES = 100
_LOCAL = ("127.0.0.1", "localhost", "::1")
_REASONS = {
    401: "the key is missing or not valid",
    403: "the key is not allowed to read benchmark scores",
    410: "this version of the interface is no longer served",
    429: "the key's requests of today are used up",
}


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect: the key would be sent along."""

    def redirect_request(self, *_: Any) -> None:
        """Return no new request."""


def fetch_artificial_analysis(key: str, *, url: str = MODELS_URL) -> tuple[Any, ...]:
    """Return the pages that the interface answers with, parsed.

    Parameters
    ----------
    key : str
        The user's own. It is sent to ``url`` alone and appears in no message.
    url : str
        Where the list of language models is; https, or a server on this machine.

    Raises
    ------
    ImportFileError
        There is no key, or the interface refuses it, cannot be reached, or answers with something
        else than JSON or without an end.

    """
    if not key.strip():
        raise ImportFileError(f"--fetch reads your key from {KEY_VARIABLE}, which is not set")
    if not key.strip().isascii() or not key.strip().isprintable():
        raise ImportFileError(f"{KEY_VARIABLE} holds characters that no key has")
    place = urlsplit(url)
    if place.scheme != "https" and place.hostname not in _LOCAL:
        raise ImportFileError(f"{url}: a key is sent over https only")
    pages: list[Any] = []
    for number in range(1, _MOST_PAGES + 1):
        pages.append(_page(f"{url}?page={number}", key.strip()))
        if not _has_more(pages[-1]):
            return tuple(pages)
    raise ImportFileError(f"{url}: the answer has more than {_MOST_PAGES} pages")


def _page(url: str, key: str) -> Any:
    request = Request(url, headers={"x-api-key": key, "Accept": "application/json"})  # noqa: S310 # https or this machine
    try:
        with build_opener(_NoRedirects()).open(request, timeout=_TIMEOUT) as answer:
            body = answer.read(_MOST_BYTES + 1)
    except HTTPError as error:
        error.close()
        reason = _REASONS.get(error.code, error.reason)
        raise ImportFileError(f"{url}: status {error.code}: {reason}") from None
    except (URLError, OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise ImportFileError(f"{url}: cannot be reached ({why})") from None
    if len(body) > _MOST_BYTES:
        raise ImportFileError(f"{url}: the answer is larger than {_MOST_BYTES >> 20} MiB")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ImportFileError(f"{url}: the answer is no JSON") from None


def _has_more(page: Any) -> bool:
    pagination = page.get("pagination") if isinstance(page, dict) else None
    return isinstance(pagination, dict) and pagination.get("has_more") is True

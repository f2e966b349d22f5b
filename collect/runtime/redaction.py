"""Passwords in URLs, signed queries, tokens and keys are removed from texts."""

from __future__ import annotations

import logging
import os
import re
import sys

__all__ = ["RedactingFormatter", "redacted"]

_HIDDEN = "***"
_SECRET_NAME = re.compile("TOKEN|KEY|SECRET|PASSWORD", re.IGNORECASE)
_PLACE_NAME = re.compile("_(PATH|FILE|DIR)$", re.IGNORECASE)  # says where a secret is stored
_SHORTEST = 8  # a shorter value is too likely a word of the text
_PASSWORD = re.compile(r"://[^\s/@:]*:([^\s/]+)@")
_URL = re.compile(
    r"""(?P<scheme>\b[a-z][a-z0-9+.-]*://)"""
    r"""(?:[^\s/'"<>]*@)?"""
    r"""(?P<place>[^\s?#'"<>]*)"""
    r"""(?:[?#][^\s'"<>]*)?""",
    re.IGNORECASE,
)
# How requests states a URL: "host='h', port=80): Max retries exceeded with url: /path?query".
_PATH_ALONE = re.compile(r"(with url: /[^\s?]*)\?\S*")


def redacted(text: str) -> str:
    """Return a text without secrets, for a log, a store or a terminal.

    Of each URL its scheme, host and path stay. Values of environment variables that are named
    after a token, key, secret or password, and the Hub's token, become ``***``.
    """
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    text = _URL.sub(lambda url: url["scheme"] + url["place"], text)
    return _PATH_ALONE.sub(r"\1", text)


class RedactingFormatter(logging.Formatter):
    """A formatter whose lines, tracebacks too, hold no secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the redacted text of a record."""
        return redacted(super().format(record))


def _secrets() -> set[str]:
    candidates = {_hub_token() or ""}
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and not _PLACE_NAME.search(name):
            candidates.add(value)
        candidates.update(_PASSWORD.findall(value))  # HF_ENDPOINT and proxies may hold one
    return {secret for secret in candidates if len(secret) >= _SHORTEST}


def _hub_token() -> str | None:
    """Return the token that ``hf auth login`` stores; one that nobody has read cannot leak."""
    if "huggingface_hub" not in sys.modules:
        return None
    from huggingface_hub import get_token

    try:
        return get_token()
    except OSError:  # its file cannot be read
        return None

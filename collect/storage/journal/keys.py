"""A request's key is a digest of all that decides its response besides the identity."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from ...errors import JournalError

__all__ = ["KEY_BYTES", "RequestKeys", "is_sampled"]

KEY_BYTES = 16


def is_sampled(request_type: str, arguments: Sequence[Any]) -> bool:
    """Return whether the request is for a random draw, so that each repeat has its response."""
    if request_type != "generate_until" or len(arguments) < 2:
        return False
    settings = arguments[1]
    if not isinstance(settings, Mapping):
        return False
    if "do_sample" in settings:
        return bool(settings["do_sample"])
    return float(settings.get("temperature") or 0.0) > 0.0


class RequestKeys:
    """Digests requests one after another; neighbours that share a context share its digest.

    Parameters
    ----------
    request_type : str
        The model's method that responds: ``loglikelihood``, ``loglikelihood_rolling`` or
        ``generate_until``.

    """

    def __init__(self, request_type: str) -> None:
        self._start = blake2b(digest_size=KEY_BYTES)
        _add(self._start, request_type)
        self._context: str | None = None
        self._after_context = self._start

    def key(self, arguments: Sequence[Any], *, draw: tuple[int, int] | None = None) -> bytes:
        """Return the 16-byte key of one request.

        Parameters
        ----------
        arguments : sequence
            What the model is given: texts, and mappings of generation settings.
        draw : (document index, repeat index), optional
            Which of several independent responses to the same request this is.

        Raises
        ------
        JournalError
            An argument is neither text, bytes nor JSON data, so that it has no stable digest.

        """
        context = arguments[0]
        if context is not self._context or not isinstance(context, str):
            digest = self._start.copy()
            _add(digest, context)
            self._context, self._after_context = context, digest
        digest = self._after_context.copy()
        for argument in arguments[1:]:
            _add(digest, argument)
        if draw is not None:
            digest.update(b"d%d %d;" % draw)
        return digest.digest()


def _add(digest: blake2b, argument: Any) -> None:
    if isinstance(argument, str):
        data, mark = argument.encode("utf-8", "surrogatepass"), b"s"
    elif isinstance(argument, bytes):
        data, mark = argument, b"b"
    else:
        try:
            data = json.dumps(argument, sort_keys=True, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise JournalError(
                f"a request argument of type {type(argument).__name__} has no stable digest "
                f"({error}); run this task with the recorder off"
            ) from None
        mark = b"j"
    digest.update(b"%s%d:" % (mark, len(data)))
    digest.update(data)

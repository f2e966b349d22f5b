"""Requests of the harness: the key of each, their order, and the blocks it is cut into."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from capspace.collect.journal import RequestKeys, RequestType, is_sampled

__all__ = ["Request", "blocks", "length", "place", "request_keys"]

_SMALLEST, _GROWTH, _LARGEST = 64, 4, 4096  # requests in a block
_CHARACTERS_PER_TOKEN = 4
_DEFAULT_NEW_TOKENS = 256


class Request(Protocol):
    """What is used of an lm-eval instance."""

    task_name: str | None
    doc_id: int | None
    repeats: int | None

    @property
    def args(self) -> tuple[Any, ...]:
        """What the model is given."""


def request_keys(request_type: RequestType, requests: Sequence[Request]) -> list[bytes]:
    """Return the key of each request.

    Repeats of a generation are answers of their own. The harness pads the requests of data-parallel
    processes with further copies of the last instance: these count as its own repeats again.
    """
    digests = RequestKeys(request_type)
    keys: list[bytes] = []
    taken: Counter[tuple[bytes, int]] = Counter()
    first: dict[int, int] = {}
    copies: Counter[int] = Counter()
    for request in requests:
        key = digests.key(request.args)
        repeats = request.repeats or 1
        if request_type == "generate_until" and (
            repeats > 1 or is_sampled(request_type, request.args)
        ):
            document = -1 if request.doc_id is None else request.doc_id
            if id(request) not in first:
                first[id(request)] = taken[key, document]
                taken[key, document] += repeats
            repeat = first[id(request)] + copies[id(request)] % repeats
            copies[id(request)] += 1
            key = digests.key(request.args, draw=(document, repeat))
        keys.append(key)
    return keys


def blocks(keys: Sequence[bytes], batch_size: int = 1) -> Iterator[Sequence[bytes]]:
    """Cut sorted keys into blocks that grow, each a multiple of the batch size."""
    size = batch_size * max(1, math.ceil(_SMALLEST / batch_size))
    start = 0
    while start < len(keys):
        yield keys[start : start + size]
        start += size
        if _GROWTH * size <= max(_LARGEST, batch_size):
            size *= _GROWTH


def place(request: Request, key: bytes, by_prefix: bool) -> tuple[int, str, str, bytes]:
    """Return what to sort requests by; one context's requests lie side by side in either order.

    Longest first, so that memory runs out at the start; or, for a model that shares prefixes, by
    text, so that what can be shared is together.
    """
    context = request.args[0] if isinstance(request.args[0], str) else ""
    rest = str(request.args[1:])
    return 0 if by_prefix else -len(context), context, rest, key


def length(request: Request) -> int:
    """Return the length in characters that a request may reach, for its share of memory."""
    n = 0
    for argument in request.args:
        if isinstance(argument, str):
            n += len(argument)
        elif isinstance(argument, Mapping):
            tokens = argument.get("max_gen_toks", argument.get("max_new_tokens"))
            n += _CHARACTERS_PER_TOKEN * int(tokens or _DEFAULT_NEW_TOKENS)
    return n

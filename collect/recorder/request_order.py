"""The harness's requests get keys, an order, and the points at which that order is cut."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any, Protocol

from ..storage.journal import RequestKeys, RequestType, is_sampled

__all__ = ["Request", "blocks", "length", "pieces", "place", "request_keys"]

_GROWTH, _LARGEST = 4, 4096  # requests in a block
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

    Repeats of a generation have responses of their own, counted for each document of each task: a
    document is given the same draws alone and in company. The harness pads the requests of
    data-parallel processes with further copies of the last instance: these count as its own repeats
    again.
    """
    digests = RequestKeys(request_type)
    keys: list[bytes] = []
    taken: Counter[tuple[str | None, bytes, int]] = Counter()
    first: dict[int, int] = {}
    copies: Counter[int] = Counter()
    for request in requests:
        key = digests.key(request.args)
        repeats = request.repeats or 1
        if request_type == "generate_until" and (
            repeats > 1 or is_sampled(request_type, request.args)
        ):
            # Where an item subset is measured, lm-eval's doc_id counts within it.
            index: int | None = getattr(request, "position", request.doc_id)
            document = -1 if index is None else index
            if id(request) not in first:
                counted = request.task_name, key, document
                first[id(request)] = taken[counted]
                taken[counted] += repeats
            repeat = first[id(request)] + copies[id(request)] % repeats
            copies[id(request)] += 1
            key = digests.key(request.args, draw=(document, repeat))
        keys.append(key)
    return keys


def blocks(keys: Sequence[bytes], batch_size: int = 1) -> Iterator[Sequence[bytes]]:
    """Cut sorted keys into blocks that grow from one batch, each a multiple of the batch size."""
    size, start = batch_size, 0
    while start < len(keys):
        yield keys[start : start + size]
        start += size
        if _GROWTH * size <= _LARGEST:
            size *= _GROWTH


def pieces(
    block: Sequence[bytes],
    batch_size: int,
    known: Container[bytes],
    fits: Callable[[Sequence[bytes]], bool],
) -> Iterator[Sequence[bytes]]:
    """Halve a block until each piece fits or is one batch; yield those with unknown keys.

    What fits is decided anew for each piece when its turn comes. A block of which only a beginning
    is known was being dispatched in pieces when its run was stopped, and is cut as it was then.
    """
    n_known = sum(key in known for key in block)
    if n_known == len(block):
        return
    begun = n_known > 0 and not n_known % batch_size and all(k in known for k in block[:n_known])
    if len(block) <= batch_size or (fits(block) and not begun):
        yield block
        return
    half = batch_size * math.ceil(len(block) / 2 / batch_size)
    yield from pieces(block[:half], batch_size, known, fits)
    yield from pieces(block[half:], batch_size, known, fits)


def place(request: Request, key: bytes, by_prefix: bool) -> tuple[int, str, str, bytes]:
    """Return what to sort requests by; one context's requests lie side by side in either order.

    Longest first, so that memory runs out at the start; or, for a model that shares prefixes, by
    text, so that what can be shared is together.
    """
    context, rest = str(request.args[0]), str(request.args[1:])  # a text, or an API's messages
    return 0 if by_prefix else -len(context), context, rest, key


def length(request: Request) -> int:
    """Return the length in characters that a request may reach, for its share of memory."""
    n = 0
    for argument in request.args:
        if isinstance(argument, Mapping):
            tokens = argument.get("max_gen_toks", argument.get("max_new_tokens"))
            n += _CHARACTERS_PER_TOKEN * int(tokens or _DEFAULT_NEW_TOKENS)
        else:
            n += len(str(argument))
    return n

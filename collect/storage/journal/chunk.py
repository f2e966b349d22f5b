"""Responses that are written together are a chunk, whose digest reveals any change."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from .responses import RequestType, Response, pack, unpack

__all__ = ["APPLICATION_ID", "PAGE_BYTES", "VERSION", "Chunk", "Failure"]

APPLICATION_ID = 0x6361706A  # "capj": tells a shard from any other SQLite file
VERSION = 1
"""Told by sealed shards; a later version has to give its live ones, whose bytes no digest
vouches for yet, another name."""

PAGE_BYTES = 1024
"""A chunk is longer than a page, so that it spills onto pages that it shares with no other."""


@dataclass(frozen=True)
class Chunk:
    """Responses that were written together.

    Attributes
    ----------
    identity : str
        Key of the measurement identity that the responses belong to.
    created : float
        When it was written, in seconds since 1970.

    """

    identity: str
    request_type: RequestType
    n: int
    created: float
    digest: bytes
    payload: bytes

    @classmethod
    def of(
        cls,
        identity: str,
        request_type: RequestType,
        keys: Sequence[bytes],
        responses: Sequence[Response],
    ) -> Self:
        """Pack responses into a chunk written now."""
        payload = pack(request_type, keys, responses).ljust(PAGE_BYTES, b"\0")
        created = time.time()
        digest = _digest(identity, request_type, len(keys), created, payload)
        return cls(identity, request_type, len(keys), created, digest, payload)

    @property
    def is_whole(self) -> bool:
        """Whether nothing in it has changed since it was written."""
        digest = _digest(self.identity, self.request_type, self.n, self.created, self.payload)
        return digest == self.digest

    def responses(self) -> dict[bytes, Response]:
        """Return the responses by request key."""
        return unpack(self.request_type, self.payload)


@dataclass(frozen=True)
class Failure:
    """A request that got no response, and why."""

    identity: str
    key: bytes
    created: float
    task: str
    document: int | None
    characters: int
    reason: str


def _digest(identity: str, request_type: str, n: int, created: float, payload: bytes) -> bytes:
    digest = blake2b(f"{identity}\0{request_type}\0{n}\0{created!r}\0".encode(), digest_size=16)
    digest.update(payload)
    return digest.digest()

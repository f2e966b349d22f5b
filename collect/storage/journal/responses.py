"""A chunk of responses becomes bytes, and comes back exactly."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Literal, TypeAlias, cast

from .keys import KEY_BYTES

__all__ = ["RequestType", "Response", "pack", "unpack"]

RequestType: TypeAlias = Literal["loglikelihood", "loglikelihood_rolling", "generate_until"]
Response: TypeAlias = tuple[float, bool] | float | str

_HEADER = struct.Struct("<II")


def pack(request_type: RequestType, keys: Sequence[bytes], responses: Sequence[Response]) -> bytes:
    """Return keys and responses as bytes; floats keep every bit, text every character."""
    n = len(keys)
    if request_type == "loglikelihood":
        pairs = cast("Sequence[tuple[float, bool]]", responses)
        body = struct.pack(f"<{n}d", *(p[0] for p in pairs)) + bytes(p[1] for p in pairs)
    elif request_type == "loglikelihood_rolling":
        body = struct.pack(f"<{n}d", *cast("Sequence[float]", responses))
    else:
        texts = [t.encode("utf-8", "surrogatepass") for t in cast("Sequence[str]", responses)]
        lengths = struct.pack(f"<{n}I", *map(len, texts))
        body = zlib.compress(lengths + b"".join(texts), level=1)
    return _HEADER.pack(n, len(body)) + b"".join(keys) + body


def unpack(request_type: RequestType, payload: bytes) -> dict[bytes, Response]:
    """Return what `pack` was given, as a mapping; bytes after its end are padding."""
    n, size = _HEADER.unpack_from(payload)
    start = _HEADER.size
    keys = [payload[i : i + KEY_BYTES] for i in range(start, start + n * KEY_BYTES, KEY_BYTES)]
    start += n * KEY_BYTES
    body = payload[start : start + size]
    if request_type == "loglikelihood":
        values, greedy = struct.unpack_from(f"<{n}d", body), map(bool, body[8 * n :])
        return dict(zip(keys, zip(values, greedy, strict=True), strict=True))
    if request_type == "loglikelihood_rolling":
        return dict(zip(keys, struct.unpack(f"<{n}d", body), strict=True))
    raw = zlib.decompress(body)
    ends = list(accumulate(struct.unpack_from(f"<{n}I", raw), initial=4 * n))
    texts = (raw[a:b].decode("utf-8", "surrogatepass") for a, b in pairwise(ends))
    return dict(zip(keys, texts, strict=True))

"""A call to a model adapts to its memory and throughput, and its responses become plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

from ..errors import ResponseError, UnscorableRequestsError
from ..storage.journal import RequestType, Response, is_sampled
from .accelerator import is_out_of_memory, seeded
from .request_order import Request

__all__ = ["Call", "Draw", "is_finite"]

# Timings vary from run to run, and where a call is cut must not: a throughput is noted with a
# margin, and stands until a slower one is measured, or one that is this much faster.
_MARGIN, _BAND = 1.3, 2.0


Draw = Callable[[list[Any], list[int]], Sequence[Any]]
"""From requests and a seed for each to as many sampled texts, each drawn from its seed alone."""


class Call:
    """One call of the harness, with what was learned of the model's throughput and memory."""

    def __init__(
        self,
        request_type: RequestType,
        respond: Callable[[list[Any]], Sequence[Any]],
        tuning: dict[str, float],
        draw: Draw | None = None,
    ) -> None:
        self.request_type = request_type
        self.tuning = tuning
        self.learned: dict[str, float] = {}
        self.unscorable: dict[bytes, str] = {}
        self._respond = respond
        self._draw = draw
        self._shortest = f"{request_type}: seconds of the shortest chunk"

    @property
    def tuning_changed(self) -> bool:
        """Whether something was learned that is worth writing down."""
        return self.tuning != self.learned

    def fits(self, characters: int, seconds: float, *, knows_batch: bool) -> bool:
        """Return whether requests of so many characters are expected to take at most ``seconds``.

        A model that does not say how many it computes at once may take no longer for more: then
        more are let through for as long as they take less than thrice the shortest chunk.
        """
        per_character = self.tuning.get(f"{self.request_type}: seconds per character", 0.0)
        shortest = 0.0 if knows_batch else self.tuning.get(self._shortest, 0.0)
        return characters * per_character <= max(seconds, 3 * shortest)

    @property
    def knows_size(self) -> bool:
        """Whether memory has run out before, so that there is a size to keep to."""
        return f"{self.request_type}: characters" in self.tuning

    def call_size(self, longest: int) -> int:
        """Return how many requests of at most ``longest`` characters fit into memory at once."""
        characters = self.tuning[f"{self.request_type}: characters"]
        return max(1, int(characters // max(longest, 1)))

    def learn_size(self, longest: int, n: int) -> None:
        """Take note that ``n`` requests of ``longest`` characters did not fit."""
        self.tuning[f"{self.request_type}: characters"] = float(max(n // 2, 1) * longest)

    def learn_throughput(self, seconds: float, characters: int, *, is_first: bool) -> None:
        """Take note of the time that requests of so many characters took.

        Where this process has requested nothing before, what is slow may be its start.
        """
        name = f"{self.request_type}: seconds per character"
        measured, noted = seconds / max(characters, 1), self.tuning.get(name)
        if noted is None or measured < noted / _BAND or (measured > noted and not is_first):
            self.tuning[name] = _MARGIN * measured
        shortest = self.tuning.get(self._shortest, math.inf)
        if seconds < shortest / _MARGIN:
            self.tuning[self._shortest] = seconds

    def responses(
        self, part: list[bytes], by_key: dict[bytes, Request], identity: str
    ) -> list[Response | None] | None:
        """Return the model's responses, or None where it ran out of memory.

        A request that cannot be scored has None; ``unscorable`` says why.
        """
        requests = [by_key[key] for key in part]
        seed = blake2b(identity.encode() + b"".join(part), digest_size=16).digest()
        try:
            if any(is_sampled(self.request_type, request.args) for request in requests):
                with seeded(seed):
                    responses = self._drawn(requests, part, identity)
            else:
                responses = self._respond(requests)
        except UnscorableRequestsError as error:
            responses = error.responses
            self.unscorable |= {part[i]: reason for i, reason in error.reasons.items()}
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return None
        if len(responses) != len(requests):
            raise ResponseError(
                f"the model gave {len(responses)} responses to {len(requests)} {self.request_type} "
                "requests"
            )
        return [
            None if key in self.unscorable else _plain(self.request_type, response)
            for key, response in zip(part, responses, strict=True)
        ]

    def _drawn(self, requests: list[Request], part: list[bytes], identity: str) -> Sequence[Any]:
        if self._draw is None:
            return self._respond(requests)
        seeds = [blake2b(identity.encode() + key, digest_size=7).digest() for key in part]
        return self._draw(requests, [int.from_bytes(seed, "little") for seed in seeds])


def _plain(request_type: RequestType, response: Any) -> Response:
    """Return a model's response as built-in types, exactly."""
    if request_type == "loglikelihood":
        value, is_greedy = response
        return float(value), bool(is_greedy)
    if request_type == "loglikelihood_rolling":
        return float(response[0] if isinstance(response, tuple) else response)
    if not isinstance(response, str):
        raise ResponseError(f"the model generated {response!r}, which is not text")
    return response


def is_finite(response: Response) -> bool:
    """Return whether a response holds no NaN and no infinity; a text holds neither."""
    if isinstance(response, str):
        return True
    return math.isfinite(response[0] if isinstance(response, tuple) else response)

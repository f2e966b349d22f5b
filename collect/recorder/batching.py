"""Calling a model: how much it takes at once, how long that takes, its answers as plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

from ..errors import AnswerError
from ..storage.journal import Answer, RequestType, is_sampled
from .accelerator import is_out_of_memory, seeded
from .request_order import Request

__all__ = ["Call", "Draw", "is_finite"]

# Timings vary from run to run, and where a call is cut must not: a pace is kept with a margin, and
# stands until one is seen that is slower than it, or this much faster.
_MARGIN, _BAND = 1.3, 2.0


Draw = Callable[[list[Any], list[int]], Sequence[Any]]
"""From requests and a seed for each to as many sampled answers, each of its own seed alone."""


class Call:
    """One call of the harness, with what was learned of the model's pace and size."""

    def __init__(
        self,
        request_type: RequestType,
        ask: Callable[[list[Any]], Sequence[Any]],
        tuning: dict[str, float],
        draw: Draw | None = None,
    ) -> None:
        self.request_type = request_type
        self.tuning = tuning
        self.learned: dict[str, float] = {}
        self._ask = ask
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
        pace = self.tuning.get(f"{self.request_type}: seconds per character", 0.0)
        shortest = 0.0 if knows_batch else self.tuning.get(self._shortest, 0.0)
        return characters * pace <= max(seconds, 3 * shortest)

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

    def learn_pace(self, seconds: float, characters: int, *, is_first: bool) -> None:
        """Take note of the time that requests of so many characters took.

        Where nothing was asked in this process before, what is slow may be its start.
        """
        name = f"{self.request_type}: seconds per character"
        pace, before = seconds / max(characters, 1), self.tuning.get(name)
        if before is None or pace < before / _BAND or (pace > before and not is_first):
            self.tuning[name] = _MARGIN * pace
        shortest = self.tuning.get(self._shortest, math.inf)
        if seconds < shortest / _MARGIN:
            self.tuning[self._shortest] = seconds

    def try_asking(
        self, part: list[bytes], by_key: dict[bytes, Request], identity: str
    ) -> list[Answer] | None:
        """Return the model's answers, or None where it ran out of memory."""
        requests = [by_key[key] for key in part]
        seed = blake2b(identity.encode() + b"".join(part), digest_size=16).digest()
        try:
            if any(is_sampled(self.request_type, request.args) for request in requests):
                with seeded(seed):
                    answers = self._drawn(requests, part, identity)
            else:
                answers = self._ask(requests)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return None
        if len(answers) != len(requests):
            raise AnswerError(
                f"the model gave {len(answers)} answers to {len(requests)} {self.request_type} "
                "requests"
            )
        return [_plain(self.request_type, answer) for answer in answers]

    def _drawn(self, requests: list[Request], part: list[bytes], identity: str) -> Sequence[Any]:
        if self._draw is None:
            return self._ask(requests)
        seeds = [blake2b(identity.encode() + key, digest_size=7).digest() for key in part]
        return self._draw(requests, [int.from_bytes(seed, "little") for seed in seeds])


def _plain(request_type: RequestType, answer: Any) -> Answer:
    """Return a model's answer as built-in types, exactly."""
    if request_type == "loglikelihood":
        value, is_greedy = answer
        return float(value), bool(is_greedy)
    if request_type == "loglikelihood_rolling":
        return float(answer[0] if isinstance(answer, tuple) else answer)
    if not isinstance(answer, str):
        raise AnswerError(f"the model generated {answer!r}, which is not text")
    return answer


def is_finite(answer: Answer) -> bool:
    """Return whether an answer holds no NaN and no infinity; a text holds neither."""
    if isinstance(answer, str):
        return True
    return math.isfinite(answer[0] if isinstance(answer, tuple) else answer)

"""A response of a model that thinks is a thought and an answer, of which the answer is graded.

lm-eval watches a task's stop strings inside the thought, looks for the end of the thought in a text
from which special tokens were dropped, and grades a thought that did not end. Here a response ends
by the model's end tokens and the budget alone; then the thought is cut off, and then the stop
strings are applied to the answer.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["MOST_UNFINISHED", "Thoughts"]

MOST_UNFINISHED = 0.05
"""Share of unfinished answers above which a score says more of the budget than of the model."""


@dataclass
class Thoughts:
    """Cuts the thoughts of one benchmark's responses, and counts those without an end.

    Attributes
    ----------
    end : str
        The text that ends a thought.
    n_answers, n_unfinished : int
        Responses so far, and those in which no thought ended.
    unfinished : set of (str, int)
        Task and item of each of the latter.
    thinks : bool
        Whether the model is asked to think first.

    """

    end: str
    n_answers: int = 0
    n_unfinished: int = 0
    unfinished: set[tuple[str, int]] = field(default_factory=set)
    thinks: bool = True

    @property
    def lines(self) -> list[str]:
        """What else there is to know of the answers, a line each."""
        return []

    @property
    def advice(self) -> str:
        """What makes more of the answers end their thought."""
        return "raise --max-gen-toks"

    @property
    def share_unfinished(self) -> float:
        """Share of the answers that were not finished."""
        return self.n_unfinished / self.n_answers if self.n_answers else 0.0

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the answers, by name, which a result records beside that of the unfinished."""
        return {}

    def finish(self, samples: Iterable[dict[str, Any]]) -> None:
        """Look at all answers together with the samples that hold them, once they are scored."""

    def unstopped(self, requests: Sequence[Any]) -> list[Any]:
        """Return the requests without stop strings; copies of one request stay copies of one."""
        copies: dict[int, Any] = {}
        for request in requests:
            if id(request) not in copies:
                context, settings = request.args
                copies[id(request)] = copy.copy(request)
                copies[id(request)].arguments = (context, {**settings, "until": []})
        return [copies[id(request)] for request in requests]

    def answer(self, request: Any, response: str) -> str:
        """Return the answer in a response; "" where its thought has no end."""
        self.n_answers += 1
        _, end, answer = response.rpartition(self.end)
        if not end:
            self.n_unfinished += 1
            self.unfinished.add(self.item_of(request))
            return ""
        return self.stopped(answer.lstrip(), request)

    @staticmethod
    def item_of(request: Any) -> tuple[str, int]:
        """Return the task and the item of a request."""
        # Where an item subset is measured, lm-eval's doc_id counts within it.
        item = getattr(request, "position", request.doc_id)
        return str(request.task_name), int(item or 0)

    @staticmethod
    def stopped(answer: str, request: Any) -> str:
        """Return an answer up to the first stop string of its request."""
        until = request.args[1].get("until") or []
        for stop in [until] if isinstance(until, str) else until:
            if stop:
                answer = answer.split(stop)[0]
        return answer

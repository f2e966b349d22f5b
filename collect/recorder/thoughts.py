"""A response of a model that thinks is a thought and an answer, of which the answer is graded.

lm-eval watches a task's stop strings inside the thought, looks for the end of the thought in a text
from which special tokens were dropped, and grades a thought that did not end. Here a response ends
by the model's end tokens and the budget alone; then the thought is cut off, and then the stop
strings are applied to the answer.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
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

    """

    end: str
    n_answers: int = 0
    n_unfinished: int = 0
    unfinished: set[tuple[str, int]] = field(default_factory=set)

    @property
    def share_unfinished(self) -> float:
        """Share of the answers that were not finished."""
        return self.n_unfinished / self.n_answers if self.n_answers else 0.0

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
            # Where an item subset is measured, lm-eval's doc_id counts within it.
            item = getattr(request, "position", request.doc_id)
            self.unfinished.add((str(request.task_name), int(item or 0)))
            return ""
        answer = answer.lstrip()
        until = request.args[1].get("until") or []
        for stop in [until] if isinstance(until, str) else until:
            if stop:
                answer = answer.split(stop)[0]
        return answer

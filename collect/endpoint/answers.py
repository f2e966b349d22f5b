"""A server's answer is stored whole, and its graded text is read from it in this process.

The thought is cut off first, then the answer at every stop string of the task: servers leave stop
strings in, take only some of them, or watch them inside the thought.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import ResponseError
from ..recorder.thoughts import Thoughts

__all__ = ["THOUGHT_ENDS", "Answer", "Answers"]

THOUGHT_ENDS = ("</think>", "</thinking>", "[/THINK]", "</seed:think>")
"""What ends a thought in a text whose server leaves it there, where no delimiter was given."""


@dataclass(frozen=True)
class Answer:
    """What a server answered to one request.

    Attributes
    ----------
    text : str
        The text as the server gave it.
    reasoning : str
        The thought, where the server splits it off (``reasoning_content``); else "".
    finish_reason : str or None
        Why the server ended the text, in its own word.
    n_prompt, n_tokens : int or None
        Tokens of the prompt and of the answer, thought included, from ``usage``.
    budget : int
        Most tokens that were asked for.
    model : str or None
        The name under which the server answered.

    """

    text: str
    reasoning: str
    finish_reason: str | None
    n_prompt: int | None
    n_tokens: int | None
    budget: int
    model: str | None

    @classmethod
    def read(cls, response: dict[str, Any], budget: int) -> Answer:
        """Return the answer that a response to a chat or a completion request holds.

        Raises
        ------
        ResponseError
            It holds none.

        """
        choices = response.get("choices")
        if not (isinstance(choices, list) and choices and isinstance(choices[0], dict)):
            raise ResponseError(f"the server answers without choices ({json.dumps(response):.200})")
        choice = choices[0]
        message = choice.get("message")
        if isinstance(message, dict):
            text = message.get("content")
            reasoning = message.get("reasoning_content") or message.get("reasoning")
        else:
            text, reasoning = choice.get("text"), None
        if not isinstance(text, str | None):
            raise ResponseError(f"the server answers with no text but {json.dumps(text):.100}")
        usage = response.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        return cls(
            text=text or "",
            reasoning=reasoning if isinstance(reasoning, str) else "",
            finish_reason=_word(choice.get("finish_reason")),
            n_prompt=_count(usage.get("prompt_tokens")),
            n_tokens=_count(usage.get("completion_tokens")),
            budget=budget,
            model=_word(response.get("model")),
        )

    def to_json(self) -> str:
        """Return it as the text that is stored in a journal."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Answer:
        """Return the answer that was stored."""
        return cls(**json.loads(text))

    @property
    def used_its_budget(self) -> bool:
        """Whether the server ended the text because it had no tokens left.

        ``length`` alone does not say so: servers also give it where the end token was the last.
        """
        used = self.n_tokens is None or self.n_tokens >= self.budget
        return self.finish_reason == "length" and used

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a text nor a thought."""
        return not self.text.strip() and not self.reasoning.strip()


class Answers(Thoughts):
    """Reads the graded texts of one benchmark from a server's answers, and counts what is odd.

    Parameters
    ----------
    thinks : bool
        Whether the model is asked to think first.
    end : str, optional
        What ends a thought; by default any of the usual delimiters.

    Attributes
    ----------
    n_empty, n_cut, n_thoughts, n_graded_thoughts, n_without_usage, n_unmarked : int
        Answers without a text; that used their budget up; with a thought that the server split
        off; with a thought in the text that is graded, as none was asked for; of whose length the
        server says nothing; that ended by themselves and show no end of a thought.
    records : dict
        By task and item, what the server answered, for the samples.

    """

    def __init__(self, *, thinks: bool, end: str | None = None) -> None:
        super().__init__(end or "")
        self.thinks = thinks
        self.n_empty = self.n_cut = self.n_without_usage = self.n_unmarked = 0
        self.n_thoughts = self.n_graded_thoughts = 0
        self.records: dict[tuple[str, int], list[dict[str, Any]]] = {}

    def unstopped(self, requests: Sequence[Any]) -> list[Any]:
        """Return the requests; without stop strings where the model thinks first."""
        return super().unstopped(requests) if self.thinks else list(requests)

    def answer(self, request: Any, response: str) -> str:
        """Return the graded text of a stored answer."""
        answer = Answer.from_json(response)
        self.n_answers += 1
        self.n_empty += answer.is_empty
        self.n_thoughts += bool(answer.reasoning)
        self.n_graded_thoughts += not self.thinks and any(e in answer.text for e in THOUGHT_ENDS)
        self.n_without_usage += answer.n_tokens is None
        item = self.item_of(request)
        self.records.setdefault(item, []).append(asdict(answer))
        text, is_finished = self._without_thought(answer)
        if not is_finished:
            self.n_unfinished += 1
            self.n_unmarked += not answer.used_its_budget
            self.unfinished.add(item)
            return ""
        stopped = self.stopped(text, request)
        self.n_cut += answer.used_its_budget and stopped == text
        return stopped

    def _without_thought(self, answer: Answer) -> tuple[str, bool]:
        """Return what stands behind the thought, and whether there is an end of one if need be."""
        if not self.thinks:
            return answer.text, True
        for end in [self.end] if self.end else THOUGHT_ENDS:
            _, mark, behind = answer.text.rpartition(end)
            if mark:
                return behind.lstrip(), True
        ended = bool(answer.reasoning) and bool(answer.text or not answer.used_its_budget)
        return answer.text.lstrip(), ended

    @property
    def advice(self) -> str:
        """What makes more of the answers end their thought: one advice for each cause."""
        n_used = self.n_unfinished - self.n_unmarked
        advices = []
        if n_used:
            advices.append(f"{n_used:,} used up their tokens: raise --max-gen-toks")
        if self.n_unmarked:
            end = self.end or "a usual delimiter"
            advices.append(
                f"{self.n_unmarked:,} ended by themselves and show no {end}: it is likely a "
                "special token, which servers leave out of their texts (skip_special_tokens); "
                "start the server with what splits thoughts off (vLLM, SGLang: "
                "--reasoning-parser), or name what does stand there with --think-end"
            )
        return "; ".join(advices)

    @property
    def lines(self) -> list[str]:
        """What to know of the answers, a line each."""
        lines = []
        if self.n_empty:
            lines.append(f"{self._share(self.n_empty)} are empty")
        if self.n_cut:
            lines.append(f"{self._share(self.n_cut)} are cut: they used up their tokens")
        if self.n_thoughts and not self.thinks:
            lines.append(
                f"{self._share(self.n_thoughts)} hold a thought, though none was asked for; the "
                "server split it off, and what follows is graded"
            )
        if self.n_graded_thoughts:
            lines.append(
                f"{self._share(self.n_graded_thoughts)} hold a thought in their text, though none "
                "was asked for: it is graded as a part of the answer; pass --thinking on, or off"
            )
        if self.n_without_usage:
            lines.append(
                "the server does not say how many tokens it read and wrote (no usage): whether "
                "prompts were cut there cannot be checked"
            )
        return lines

    @property
    def shares(self) -> dict[str, float]:
        """Shares of empty answers, and of those that used their tokens up."""
        if not self.n_answers:
            return {}
        return {"empty": self.n_empty / self.n_answers, "cut": self.n_cut / self.n_answers}

    def finish(self, samples: Iterable[dict[str, Any]]) -> None:
        """Put what the server answered into the samples; refuse answers that are all empty.

        Raises
        ------
        ResponseError
            They are.

        """
        if self.n_answers and self.n_empty == self.n_answers:
            raise ResponseError(
                f"all {self.n_answers:,} answers of the server are empty; a score of them would "
                "say nothing of the model: send it a request by hand to see what is wrong"
            )
        for sample in samples:
            records = self.records.get((str(sample["task"]), int(sample["doc_id"])))
            if records is not None:
                sample["answers"] = records

    def _share(self, count: int) -> str:
        return f"{count / self.n_answers:.1%} of {self.n_answers:,} answers"


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

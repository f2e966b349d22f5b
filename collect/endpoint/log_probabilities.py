"""Log-probabilities of a text's own tokens are read from a completion that echoes its prompt."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, groupby
from typing import Any

__all__ = ["EchoedPrompt", "NotEchoedError", "read_echo"]


_BROKEN = "\ufffd"  # what a server shows of a token that holds only a part of a character


class NotEchoedError(Exception):
    """A response does not hold the log-probabilities of its prompt; the message says why."""


@dataclass(frozen=True)
class EchoedPrompt:
    """The tokens of a prompt, with their log-probabilities.

    Attributes
    ----------
    tokens : sequence of n str
        They join to the prompt, behind what the server put before it.
    logprobs : sequence of n float or None
        Natural logarithms; None for the first token.
    best : sequence of n float or None
        Of the most probable token in each place.
    n_before : int
        Characters that the server put before the prompt: its token of a text's beginning.

    """

    tokens: Sequence[str]
    logprobs: Sequence[float | None]
    best: Sequence[float | None]
    n_before: int

    def score(self, n_context: int) -> tuple[float, bool]:
        """Return the log-likelihood of what stands behind so many characters, and if it is greedy.

        A token that holds characters of both counts as one of the continuation, as lm-eval
        encodes it.

        Raises
        ------
        NotEchoedError
            The continuation's first token has no log-probability: nothing stands before it. Or
            nothing tells which token is the first, among those of characters in parts.

        """
        begins = self.n_before + n_context
        ends = [*accumulate(len(token) for token in self.tokens)]
        own = [i for i, end in enumerate(ends) if end > begins]
        first = own[0] if own else 0
        before = self.tokens[first][: begins - ends[first]] if first else ""
        if before and not before.isascii() and not self.tokens[first - 1]:
            raise NotEchoedError("it begins between characters whose tokens hold parts of them")
        while own and own[0] > 1 and not self.tokens[own[0] - 1]:
            own.insert(0, own[0] - 1)  # it begins the character that the next token completes
        values = [self.logprobs[i] for i in own]
        total, is_greedy = 0.0, True
        for i, value in zip(own, values, strict=True):
            if value is None:
                raise NotEchoedError("nothing stands before it, so that its first token has none")
            best = self.best[i]
            total += value
            is_greedy &= best is None or value >= best
        return total, is_greedy


def read_echo(response: dict[str, Any], prompt: str) -> EchoedPrompt:
    """Return the log-probabilities of a prompt.

    Raises
    ------
    NotEchoedError
        The response does not hold them.

    """
    choices = response.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    holder = choice.get("logprobs") if isinstance(choice, dict) else None
    if not isinstance(holder, dict):
        raise NotEchoedError("it returns no log-probabilities")
    tokens, values = holder.get("tokens"), holder.get("token_logprobs")
    tops = holder.get("top_logprobs")
    if not (isinstance(tokens, list) and isinstance(values, list) and len(tokens) == len(values)):
        raise NotEchoedError("it returns no log-probability for each token")
    if not (isinstance(tops, list) and len(tops) == len(values)):
        raise NotEchoedError("it does not say which tokens are the most probable")
    words = [str(token) for token in tokens]
    where = _end_of_prompt(words, prompt)
    if where is None and any(_BROKEN in word for word in words):
        words = _with_whole_characters(words, prompt)
        where = _end_of_prompt(words, prompt)
    if where is None:
        few = len("".join(words)) < len(prompt)
        alone = ": it returns those of its own text alone" if few else ""
        raise NotEchoedError(f"the tokens do not join to the prompt{alone}")
    n_before, n_prompt = where
    if values[0] is not None:
        raise NotEchoedError("the first token has a log-probability, though nothing is before it")
    for value in values[1:n_prompt]:
        if not isinstance(value, int | float) or not math.isfinite(value) or value > 0:
            raise NotEchoedError(f"{value} is no log-probability")
    # Of the first token there is none.
    best = [max(top.values()) if isinstance(top, dict) and top else None for top in tops]
    return EchoedPrompt(words[:n_prompt], values[:n_prompt], best[:n_prompt], n_before)


def _end_of_prompt(tokens: Sequence[str], prompt: str) -> tuple[int, int] | None:
    """Return the characters before a prompt, and how many tokens there are up to its end.

    Before it, a server may put the token of a text's beginning.
    """
    for start in (0, 1):
        text, n = "", start
        while len(text) < len(prompt) and n < len(tokens):
            text += tokens[n]
            n += 1
        if text == prompt and n:
            return len("".join(tokens[:start])), n
    return None


def _with_whole_characters(tokens: list[str], prompt: str) -> list[str]:
    """Return tokens of which the last one of a character has it, where several hold its bytes.

    A server shows each of those as `_BROKEN`; the prompt tells what they stand for.
    """
    for start in (0, 1):
        for end in (len(tokens) - 1, len(tokens)):
            runs = [(is_broken, [*run]) for is_broken, run in groupby(
                tokens[start:end], key=lambda token: _BROKEN in token
            )]  # fmt: skip
            texts = [re.escape("".join(run)) for _, run in runs]
            match = re.fullmatch("".join(map(_any_characters, texts)), prompt)
            if match is None:
                continue
            characters = iter(match.groups())
            whole = [
                [*[""] * (len(run) - 1), next(characters)] if is_broken else run
                for is_broken, run in runs
            ]
            return [*tokens[:start], *chain.from_iterable(whole), *tokens[end:]]
    return tokens


def _any_characters(pattern: str) -> str:
    """Return a group that matches a text whose broken characters may be any beyond ASCII."""
    if _BROKEN not in pattern:
        return pattern
    any_of_them = r"[^\x00-\x7f]{{1,{}}}?"
    return f"({re.sub(f'{_BROKEN}+', lambda run: any_of_them.format(len(run[0])), pattern)})"

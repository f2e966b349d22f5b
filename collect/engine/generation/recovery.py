"""Texts that memory does not hold are generated again in fewer rows; those finished are not."""

from __future__ import annotations

from collections.abc import Callable

from .loop import DecodingStats, TextsOutOfMemoryError

__all__ = ["generate_in_memory"]

_FEWEST_TOKENS = 64
"""Prompts are read in no shorter pieces anywhere."""


def generate_in_memory(
    attempt: Callable[[list[int], int, int], tuple[list[list[int]], DecodingStats]],
    n_prompts: int,
    rows: int,
    prefill_tokens: int,
) -> tuple[list[list[int]], DecodingStats]:
    """Continue all prompts, with half of the rows and of the prompt tokens wherever memory ends.

    Parameters
    ----------
    attempt : callable
        Continues some prompts, given their indices, the texts that run at once, and the prompt
        tokens of a pass; raises `TextsOutOfMemoryError`. A text that is begun again must come out
        as it would have.
    n_prompts : int
        Number of prompts.
    rows, prefill_tokens : int
        Of the first attempt.

    Returns
    -------
    continuations : list of lists of int
        New tokens for each prompt.
    stats : DecodingStats
        Of all attempts; tokens of texts that were begun again count as read, not as new.

    Raises
    ------
    TextsOutOfMemoryError
        Not even a single text fits.

    """
    continuations: list[list[int]] = [[] for _ in range(n_prompts)]
    stats = DecodingStats()
    left = list(range(n_prompts))
    while left:
        try:
            texts, part = attempt(left, rows, prefill_tokens)
        except TextsOutOfMemoryError as error:
            rows = min(rows, len(left))
            if rows == 1 and prefill_tokens <= _FEWEST_TOKENS:
                raise
            rows, prefill_tokens = max(1, rows // 2), max(1, prefill_tokens // 2)
            finished, part = error.finished, error.stats
        else:
            finished = dict(enumerate(texts))
        # here the error, whose frames hold keys and values, is gone
        stats += part
        for place, tokens in finished.items():
            continuations[left[place]] = tokens
        left = [prompt for place, prompt in enumerate(left) if place not in finished]
    return continuations, stats

"""Prompts enter a running batch as rows of it, and each row leaves when its text is complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self

from torch import Tensor

__all__ = ["Batch", "DecodingStats", "Picker", "run_batch"]

Picker = Callable[[Tensor, list[int]], list[int]]
"""From logits (n_rows, vocabulary) and the prompt of each row to the next token of each."""


@dataclass
class DecodingStats:
    """What a call of :func:`~capspace.collect.engine.generation.decode.generate` did.

    Attributes
    ----------
    prompt_tokens : int
        Tokens of all prompts.
    fed_prompt_tokens : int
        Those that went through the model.
    new_tokens : int
        Tokens generated.
    steps : int
        Forward passes that read one token per row.
    replayed_steps : int
        Those of them that were replayed from a recording.
    recordings : int
        Kinds of step that were recorded.

    """

    prompt_tokens: int = 0
    fed_prompt_tokens: int = 0
    new_tokens: int = 0
    steps: int = 0
    replayed_steps: int = 0
    recordings: int = 0

    def __iadd__(self, other: DecodingStats) -> Self:
        for entry in fields(self):
            setattr(self, entry.name, getattr(self, entry.name) + getattr(other, entry.name))
        return self


class Batch(Protocol):
    """Texts that are generated together, in one way of keeping what was read.

    Attributes
    ----------
    waiting : collection
        Prompts that have not entered.
    active : collection
        Rows that are being continued.
    stats : DecodingStats
        Counted while it runs.

    """

    waiting: Any
    active: Any
    stats: DecodingStats

    def prefill(self, most_rows: int, most_tokens: int) -> None:
        """Read the next prompts, at least one, and pick their first tokens."""

    def step(self) -> None:
        """Read the newest token of every row and pick the next."""

    def retire(self, is_complete: Callable[[list[int]], bool]) -> list[tuple[int, list[int]]]:
        """Take out the rows whose tokens are complete: the index of each prompt, and its tokens."""


def run_batch(
    batch: Batch,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    is_finished: Callable[[list[int]], bool],
    rows: int,
    prefill_tokens: int,
    on_finished: Callable[[int], Any] | None,
) -> tuple[list[list[int]], DecodingStats]:
    """Continue every prompt until it is finished.

    Parameters and result are those of :func:`~capspace.collect.engine.generation.decode.generate`.
    Prompts are read while there is room for an eighth of the rows, tokens are added otherwise.
    """
    continuations: list[list[int]] = [[] for _ in prompts]

    def is_complete(new: list[int]) -> bool:
        return len(new) == max_new_tokens or is_finished(new)

    while batch.waiting or batch.active:
        free = rows - len(batch.active)
        if batch.waiting and (free >= max(1, rows // 8) or not batch.active):
            batch.prefill(free, prefill_tokens)
        else:
            batch.step()
        for index, new in batch.retire(is_complete):
            continuations[index] = new
            if on_finished is not None:
                on_finished(index)
    batch.stats.prompt_tokens = sum(map(len, prompts))
    batch.stats.new_tokens = sum(map(len, continuations))
    return continuations, batch.stats

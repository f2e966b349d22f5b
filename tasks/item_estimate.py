"""An item estimate is some items of a benchmark, and how its full score follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["ItemEstimate", "TaskItems"]

Finite = Annotated[float, Field(allow_inf_nan=False)]
Error = Annotated[float, Field(ge=0, le=1)]
Position = Annotated[int, Field(ge=0, strict=True)]


class TaskItems(BaseModel):
    """Some items of one leaf task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: Annotated[int, Field(ge=1)]
    """How many items the task has in all; another number is an error when it is measured."""

    positions: Annotated[tuple[Position, ...], Field(min_length=1)]
    """Which are measured, ascending, counted from 0."""

    weights: tuple[Finite, ...]
    """By which their scores are multiplied."""

    hashes: tuple[str, ...] = ()
    """First characters of lm-eval's hash of each document; another document is an error."""

    @model_validator(mode="after")
    def _lists_match(self) -> Self:
        if any(a >= b for a, b in zip(self.positions, self.positions[1:], strict=False)):
            raise ValueError("positions must ascend, each there once")
        if self.positions[-1] >= self.of:
            raise ValueError(f"position {self.positions[-1]} is beyond the {self.of} items")
        for name in ("weights", "hashes"):
            n = len(getattr(self, name))
            if n != len(self.positions) and (n or name == "weights"):
                raise ValueError(f"{n} {name} for {len(self.positions)} positions")
        return self


class ItemEstimate(BaseModel):
    """Some items of a benchmark, and the estimate of its full score from them.

    Examples
    --------
    >>> items = TaskItems(of=4, positions=(0, 2), weights=(0.4, 0.4))
    >>> estimate = ItemEstimate(tasks={"arc_easy": items}, intercept=0.1, error=0.05)
    >>> estimate.score({"arc_easy": [1.0, 0.0]})
    0.5

    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: Annotated[dict[str, TaskItems], Field(min_length=1)]
    """By leaf task, its items."""

    intercept: Finite
    """What is added to the weighted sum of the items' scores."""

    error: Error
    """Root mean square error of the estimated full score, of models left out of its making."""

    error_beyond: Error | None = None
    """That of models above ``highest``; null for the same."""

    highest: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The best full score of a model that it was made from."""

    fitted_on: str = ""
    """Which responses it was made from, and how; for people to read."""

    @property
    def n_items(self) -> int:
        """Items that are measured."""
        return sum(len(items.positions) for items in self.tasks.values())

    @property
    def n_all(self) -> int:
        """Items of the whole benchmark."""
        return sum(items.of for items in self.tasks.values())

    def score(self, values: Mapping[str, Sequence[float]]) -> float:
        """Return the full score, within 0 and 1, by each task's scores of its items in order."""
        terms = (
            weight * value
            for task, items in self.tasks.items()
            for weight, value in zip(items.weights, values[task], strict=True)
        )
        return min(1.0, max(0.0, self.intercept + math.fsum(terms)))

    def stderr(self, score: float) -> float:
        """Return the standard error of an estimated score.

        Of two parts: how far the estimate lies from the score by all items, and how far that lies,
        as any score by so many items does, from the score by however many of their kind.
        """
        beyond = max(self.error, self.error_beyond or 0.0)
        error = beyond if score > self.highest - beyond else self.error
        return math.sqrt(error**2 + score * (1 - score) / self.n_all)

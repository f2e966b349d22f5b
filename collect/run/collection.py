"""Collections: the scores of some models on a panel, and why others are missing."""

from __future__ import annotations

from dataclasses import dataclass

from capspace.fit.table import ScoreTable
from capspace.tasks.panel import Panel

from ..checkpoints.checkpoint import Checkpoint
from ..storage.result import Result, to_table

__all__ = ["Collection", "Missing"]


@dataclass(frozen=True)
class Missing:
    """A cell of the panel without a score, and why."""

    model: str
    benchmark: str
    reason: str
    skipped: bool = False
    """Whether it was left out on purpose, and nothing failed."""


@dataclass(frozen=True)
class Collection:
    """The scores of some models on a panel."""

    panel: Panel
    checkpoints: tuple[Checkpoint, ...]
    results: tuple[Result, ...]
    """All scores, measured now or before, by model and then in the panel's order."""

    missing: tuple[Missing, ...]
    n_measured: int
    """How many of the results were measured by this call; the others were in the store."""

    @property
    def table(self) -> ScoreTable:
        """The results as a score table."""
        return to_table(self.results)

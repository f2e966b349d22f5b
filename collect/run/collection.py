"""A collection holds the scores of some models on a panel, and why others are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from capspace.fit._display import counted, frame_html
from capspace.fit.table import ScoreTable
from capspace.tasks.panel import Panel

from ..checkpoints.checkpoint import Checkpoint
from ..storage.result import Missing, Result
from ..storage.score_table import to_table

if TYPE_CHECKING:
    from capspace.fit.decide._stopping import StoppingPlan

__all__ = ["Collection"]

_MOST_NAMES = 2


@dataclass(frozen=True, repr=False)
class Collection:
    """The scores of some models on a panel.

    See Also
    --------
    collect_scores : Makes one.
    place_collection : Places its model.

    """

    panel: Panel
    checkpoints: tuple[Checkpoint, ...]
    results: tuple[Result, ...]
    """All scores, measured now or before, by model and then in the panel's order."""

    missing: tuple[Missing, ...]
    n_measured: int
    """How many of the results were measured by this call; the others were in the store."""
    stopping: Mapping[str, StoppingPlan] = field(default_factory=dict)
    """By model, why measuring stopped before all items; empty where it did not."""

    @property
    def table(self) -> ScoreTable:
        """The results as a score table."""
        return to_table(self.results)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per score: model, revision, benchmark, score, stderr and where it is from.

        Returns
        -------
        DataFrame
            The columns of a score table; scores and errors between 0 and 1, NaN where unknown.

        """
        return self.table.scores

    def __repr__(self) -> str:
        models = ", ".join(checkpoint.name for checkpoint in self.checkpoints[:_MOST_NAMES])
        if len(self.checkpoints) > _MOST_NAMES:
            models = counted(len(self.checkpoints), "model")
        cells = counted(len(self.results) + len(self.missing), "score")
        return (
            f"Collection({models} on {self.panel.name} v{self.panel.version}: "
            f"{len(self.results):,} of {cells}, {self.n_measured:,} measured now)"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)

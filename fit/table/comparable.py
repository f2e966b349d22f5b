"""A mark and a sentence say whether scores are comparable with published ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ._table import ScoreTable

__all__ = ["not_comparable", "not_comparable_note", "not_comparable_notes"]


def not_comparable(table: ScoreTable, reference: ScoreTable | None = None) -> dict[str, list[str]]:
    """Return the benchmarks of each model that are marked as not comparable with published scores.

    Those that the ``reference`` marks in the same way are compared like with like and left out.
    """
    alike: set[str] = set()
    if reference is not None:
        published = reference.rows
        unlike = published["benchmark"][published["comparable"] != "no"]
        alike = set(reference.benchmarks) - set(unlike)
    rows, odd = table.rows, dict[str, list[str]]()
    for i in np.flatnonzero(rows["comparable"] == "no"):
        if rows["benchmark"][i] not in alike:
            odd.setdefault(rows["model"][i], []).append(rows["benchmark"][i])
    return odd


def not_comparable_notes(table: ScoreTable, reference: ScoreTable | None = None) -> list[str]:
    """Return a line for each model whose scores are not comparable with published ones."""
    marked = not_comparable(table, reference)
    return [f"{model}: {not_comparable_note(names)}" for model, names in marked.items()]


def not_comparable_note(benchmarks: Iterable[str]) -> str:
    """Return in words that benchmarks were not measured as the reference's were."""
    names = list(benchmarks)
    return (
        f"Not comparable with published scores: {', '.join(names)} "
        f"{'was' if len(names) == 1 else 'were'} measured on other items or by another protocol "
        "than the reference's. The model's place and predictions show how the report looks, not "
        "what the model can do."
    )

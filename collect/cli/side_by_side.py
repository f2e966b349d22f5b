"""Targets that several references predict are shown side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from .options import console, print_table

__all__ = ["print_shared", "shared_predictions"]


def shared_predictions(
    by_reference: Mapping[str, Iterable[Any]],
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the predictions by reference of each model and target that two or more predict."""
    by_cell: dict[tuple[str, str], dict[str, Any]] = {}
    for name, predictions in by_reference.items():
        for p in predictions:
            by_cell.setdefault((p.model, p.target), {})[name] = p
    return {cell: by for cell, by in by_cell.items() if len(by) > 1}


def print_shared(by_reference: Mapping[str, Iterable[Any]]) -> None:
    """Print a table per model, with a column per reference and a row per shared target."""
    shared, names = shared_predictions(by_reference), list(by_reference)
    if not shared:
        console().print(f"{', '.join(names)} predict no target in common", markup=False)
        return
    for model in dict.fromkeys(model for model, _ in shared):
        print_table(
            f"{model}: side by side",
            ("Name", *names),
            [
                (target, *(_cell(by.get(name)) for name in names))
                for (own, target), by in shared.items()
                if own == model
            ],
            numbers=names,
        )


def _cell(prediction: Any) -> str:
    """Return a prediction with its interval, and its status where it is not offered or forced."""
    if prediction is None:
        return "–"
    status = getattr(prediction, "status", "offered")
    if not math.isfinite(prediction.mean):
        return "refused" if status == "refused" else "no number"
    p = prediction
    marks = ["" if status == "offered" else status, "forced" if getattr(p, "gate", "") else ""]
    marked = "".join(f", {mark}" for mark in marks if mark)
    return f"{p.mean:.3f} ({p.lower:.3f} – {p.upper:.3f}{marked})"

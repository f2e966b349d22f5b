"""How well each target of a reference is predicted is back-tested, and its laws are stored."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from capspace.fit.completion import BlendedPredictor, evaluate_targets
from capspace.fit.prediction._training_table import training_arguments
from capspace.fit.reference import load_reference

from .common import write_csv

_ROUNDED = {"mae": 4, "baseline_mae": 4, "ratio": 3, "forward_coverage": 3, "k": 3}


def evaluate(folder: Path) -> str:
    """Write ``evaluation.csv``, ``laws.npz`` and ``laws.json`` into a folder of a reference."""
    (folder / "evaluation.csv").unlink(missing_ok=True)  # it may name targets of before
    reference = load_reference(folder)
    scores, facts, settings = training_arguments(reference)
    kind = reference.kind
    table = evaluate_targets(scores, facts, kind=kind, **settings).round(_ROUNDED)
    table = table.rename(columns={"forward_coverage": "coverage"}).reset_index()
    columns = ["target", "status", "reason", "n", "mae", "baseline", "baseline_mae", "ratio"]
    write_csv(
        table[[*columns, "coverage", "k"]].assign(date=reference.date), folder / "evaluation.csv"
    )
    BlendedPredictor(kind=kind).fit(scores, facts, **settings).fitted_.save(folder / "laws")
    counts = pd.Series(table["status"]).value_counts().to_dict()
    return ", ".join(f"{n} {status}" for status, n in counts.items())

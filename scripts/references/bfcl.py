"""The Berkeley Function Calling Leaderboard: native function calling, one mode for all models."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

from capspace.fit.importing import SourceTerms, read_published

DESCRIPTIONS = {
    "bfcl-v4/overall": "Overall accuracy",
    "bfcl-v4/multi-turn": "Accuracy over several turns",
    "bfcl-v4/live": "Accuracy on functions that users contributed",
    "bfcl-v4/non-live": "Accuracy on functions written for the board",
}
TARGETS: list[dict[str, Any]] = [
    {
        "name": name,
        "label": f"BFCL v4 {name.rpartition('/')[2]}",
        "description": f"{text}, by native function calling.",
        "population": "all",
    }
    for name, text in DESCRIPTIONS.items()
]


def read_bfcl(folder: Path) -> list[dict[str, Any]]:
    """Return rows of the targets, models by the board's names in small letters.

    Calls that a model writes into its answer are another mode, and in no column here: of the
    models with both, the median one is 14 points apart over several turns.
    """
    terms = SourceTerms("Apache-2.0", date(2026, 4, 12))
    table = read_published(folder / "data_overall.csv", terms).table
    return [
        {
            "model": re.sub(r"^moonshotai-| \(thinking\)$", "", r.model.lower()),
            "benchmark": r.benchmark,
            "score": r.score,
            "source": "gorilla@8c24bd7c, BFCL v4, data_overall.csv, FC",
        }
        for r in table.scores.itertuples()
        if r.benchmark in DESCRIPTIONS
    ]

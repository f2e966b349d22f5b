"""The Berkeley Function Calling Leaderboard has a row per model and mode of calling."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

COLUMNS = {
    "bfcl-v4/overall": ("data_overall.csv", "Overall Acc"),
    "bfcl-v4/multi-turn": ("data_overall.csv", "Multi Turn Acc"),
    "bfcl-v4/live": ("data_overall.csv", "Live Acc"),
    "bfcl-v4/non-live": ("data_overall.csv", "Non-Live AST Acc"),
}
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
        "description": f"{text}, native function calling where the board has it, else by prompt.",
        "population": "all",
    }
    for name, text in DESCRIPTIONS.items()
]


def read_bfcl(folder: Path) -> list[dict[str, Any]]:
    """Return rows of the targets, models by the board's names in small letters."""
    rows = []
    for target, (file, column) in COLUMNS.items():
        table = pd.read_csv(folder / file)
        named = table["Model"].str.extract(r"^(?P<model>.*?)(?: \((?P<mode>[^()]*)\))?$")
        table = table.assign(
            model=named["model"].str.lower(),
            native=named["mode"].fillna("FC").str.startswith("FC"),
            calling=named["mode"].fillna("mode not stated"),
        ).sort_values("native", ascending=False, kind="stable")
        for r in table.drop_duplicates("model").to_dict("records"):
            rows.append(
                {
                    "model": re.sub(r"^moonshotai-", "", r["model"]),
                    "benchmark": target,
                    "score": float(str(r[column]).rstrip("%")) / 100,
                    "source": f"gorilla@8c24bd7c, BFCL v4, {file}, {r['calling']}",
                }
            )
    return rows

"""What runs of lm-eval's own command leave behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from capspace.collect.journal import Journal


def results(out: Path) -> tuple[Any, list[Any]]:
    """Return the newest scores and samples that lm-eval wrote."""
    scores, samples = max(out.rglob("results_*.json")), max(out.rglob("samples_*.jsonl"))
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    return json.loads(scores.read_text())["results"], lines


def n_kept(store: Path) -> int:
    """Return how many answers a store keeps."""
    with Journal(store / "journal") as journal:
        return sum(journal.info().n_answers.values())

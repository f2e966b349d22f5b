"""Result files of others, small, for the tests of import and export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from checkout import SHARED

__all__ = ["FAULTS", "MODEL_ARGS", "run_file", "sample", "samples_file"]

FAULTS = SHARED / "faults"
"""Small inputs that gave wrong numbers once; not part of the checkout."""

MODEL_ARGS = "pretrained=org/model"


def run_file(
    path: Path,
    scores: dict[str, Any] | None = None,
    *,
    model_args: Any = MODEL_ARGS,
    task: str = "arc_challenge",
    n_items: int = 1172,
    config: dict[str, Any] | None = None,
    **more: Any,
) -> Path:
    """Write a results file as lm-eval 0.4 does, of one task by the panel's protocol."""
    record = {
        "results": {task: {"acc_norm,none": 0.4} if scores is None else scores},
        "versions": {task: 1.0},
        "n-shot": {task: 25},
        "n-samples": {task: {"original": n_items, "effective": n_items}},
        "config": {"model": "hf", "model_args": model_args, **(config or {})},
        "lm_eval_version": "0.4.9",
        **more,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def sample(doc_id: int, *, right: bool, values: tuple[Any, ...] = (-1.0, -2.0), **more: Any) -> Any:
    """Return the record of an item with a continuation per value."""
    return {
        "doc_id": doc_id,
        "target": 0,
        "arguments": [["Q", f" {i}"] for i in range(len(values))],
        "resps": [[[value, False]] for value in values],
        "filter": "none",
        "metrics": ["acc_norm"],
        "acc_norm": float(right),
        **more,
    }


def samples_file(results: Path, records: list[Any], task: str = "arc_challenge") -> Path:
    """Write the samples of a task beside its results."""
    path = results.with_name(f"samples_{task}{results.stem.removeprefix('results')}.jsonl")
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return path

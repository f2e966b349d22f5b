"""One benchmark's score is read from the results that lm-eval returns."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from capspace.tasks.panel import Benchmark

from ..errors import HarnessError

__all__ = ["Evaluation", "read_evaluation"]


@dataclass(frozen=True)
class Evaluation:
    """What lm-eval measured for one benchmark."""

    score: float
    stderr: float
    """Standard error of the score; NaN where lm-eval gives none (a single item)."""

    n_items: int
    tasks: tuple[dict[str, Any], ...]
    """Per leaf task: name, score, stderr, n_items, and the hash of its prompts."""

    samples: tuple[dict[str, Any], ...]
    """lm-eval's own record of every item, with its task's name."""

    environment: dict[str, Any]
    """Batch sizes and longest input, in tokens, as lm-eval reports them."""


def read_evaluation(benchmark: Benchmark, results: dict[str, Any]) -> Evaluation:
    """Return the score of a benchmark: the unweighted mean over its tasks.

    Raises
    ------
    HarnessError
        A task has no finite number for the metric, or was run with other shots than the panel's.

    Notes
    -----
    The standard error of the mean of k independent tasks is sqrt(sum of squared errors) / k.

    """
    key = f"{benchmark.metric},{benchmark.filter}"
    error_key = f"{benchmark.metric}_stderr,{benchmark.filter}"
    parts = []
    for task, metrics in results["results"].items():
        if key not in metrics:
            known = sorted(k for k in metrics if "," in k and "_stderr" not in k)
            raise HarnessError(f"task {task} gives no {key}; it gives {'; '.join(known)}")
        score, stderr = float(metrics[key]), metrics.get(error_key, math.nan)
        if not math.isfinite(score):
            raise HarnessError(f"task {task}: {key} is {score}")
        if results["n-shot"][task] != benchmark.n_shot:
            raise HarnessError(
                f"task {task} fixes its examples at {results['n-shot'][task]}, "
                f"the panel asks for {benchmark.n_shot}"
            )
        parts.append(
            {
                "task": task,
                "score": score,
                "stderr": float(stderr) if isinstance(stderr, (int, float)) else math.nan,
                "n_items": int(results["n-samples"][task]["effective"]),
                "prompts": _prompts_hash(results["samples"][task]),
            }
        )
    samples = (
        {"task": task, **sample}
        for task, records in results["samples"].items()
        for sample in records
    )
    return Evaluation(
        score=math.fsum(p["score"] for p in parts) / len(parts),
        stderr=math.sqrt(math.fsum(p["stderr"] ** 2 for p in parts)) / len(parts),
        n_items=sum(p["n_items"] for p in parts),
        tasks=tuple(parts),
        samples=tuple(samples),
        environment={
            "batch_sizes": results["config"].get("batch_sizes", []),
            "max_length": results.get("max_length"),
        },
    )


def _prompts_hash(samples: Iterable[dict[str, Any]]) -> str:
    """Return the SHA-256 of the prompts, in the order of the items."""
    prompts = {int(sample["doc_id"]): sample["arguments"] for sample in samples}
    digest = hashlib.sha256()
    for item in sorted(prompts.items()):
        digest.update(json.dumps(item, default=str).encode() + b"\n")
    return digest.hexdigest()

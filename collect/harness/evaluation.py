"""One benchmark's score is read from the results that lm-eval returns."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from capspace.tasks.panel import Benchmark

from ..errors import HarnessError
from .estimates import estimated_score
from .item_draws import drawn_stderr

__all__ = ["Evaluation", "read_evaluation", "refuse_right_unfinished"]


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

    normalised: float | None
    """The score on the Open LLM Leaderboard's scale, where the panel asks for it."""

    environment: dict[str, Any]
    """Batch sizes and longest input, in tokens, as lm-eval reports them."""


def read_evaluation(benchmark: Benchmark, results: dict[str, Any]) -> Evaluation:
    """Return the score of a benchmark: the mean over its tasks, weighted by items or not.

    Raises
    ------
    HarnessError
        A task has no finite number for the metric, or was run with other shots than the panel's.

    Notes
    -----
    The standard error of a mean of independent tasks with weights w is sqrt(sum of (w s)^2).

    """
    parts = []
    for task in results["results"]:
        if results["n-shot"][task] != benchmark.n_shot:
            raise HarnessError(
                f"task {task} fixes its examples at {results['n-shot'][task]}, "
                f"the panel asks for {benchmark.n_shot}"
            )
        score, stderr = _task_score(benchmark, task, results)
        parts.append(
            {
                "task": task,
                "score": score,
                "stderr": stderr,
                "n_items": int(results["n-samples"][task]["effective"]),
                "prompts": _prompts_hash(results["samples"][task]),
            }
        )
        if benchmark.draw == "random" and benchmark.items is not None:
            parts[-1]["of"] = int(results["n-samples"][task]["original"])
    samples = [
        {"task": task, **sample}
        for task, records in results["samples"].items()
        for sample in records
    ]
    by_task = {part["task"]: part["score"] for part in parts}
    if benchmark.normalised:
        for part in parts:
            chance = benchmark.task_chance.get(part["task"], benchmark.chance or 0.0)
            part["normalised"] = max(0.0, (part["score"] - chance) / (1 - chance))
    counts = [part["n_items"] if benchmark.aggregate == "weighted" else 1 for part in parts]
    score = math.fsum(n * p["score"] for n, p in zip(counts, parts, strict=True)) / sum(counts)
    squares = ((n * p["stderr"]) ** 2 for n, p in zip(counts, parts, strict=True))
    if benchmark.estimate is not None:
        score, stderr = estimated_score(benchmark, benchmark.estimate, samples)
    elif "of" in parts[0]:
        stderr = drawn_stderr(benchmark, parts, samples)
    else:
        stderr = math.sqrt(math.fsum(squares)) / sum(counts)
    return Evaluation(
        score=score,
        stderr=stderr,
        n_items=sum(p["n_items"] for p in parts),
        tasks=tuple(parts),
        samples=tuple(samples),
        normalised=benchmark.on_board_scale(score, by_task) if benchmark.normalised else None,
        environment={
            "batch_sizes": results["config"].get("batch_sizes", []),
            "max_length": results.get("max_length"),
        },
    )


def refuse_right_unfinished(
    metric: str, samples: Iterable[Mapping[str, Any]], unfinished: Container[tuple[str, int]]
) -> None:
    """Refuse a benchmark that counts an empty answer, which an unfinished one is, as right.

    Raises
    ------
    HarnessError
        It does.

    """
    for sample in samples:
        if (str(sample["task"]), int(sample["doc_id"])) not in unfinished:
            continue
        if any(text for texts in sample["resps"] for text in texts):
            continue  # another sample of the item was finished
        if any(np.any(np.asarray(sample.get(name, 0), float) > 0) for name in metric.split("+")):
            raise HarnessError(
                f"task {sample['task']} counts an empty answer as right (item {sample['doc_id']}), "
                "so that a thought without an end would be; take another benchmark for this mode"
            )


def _task_score(benchmark: Benchmark, task: str, results: dict[str, Any]) -> tuple[float, float]:
    """Return a task's score and standard error; of several metrics, of their mean."""
    metrics = results["results"][task]
    names = benchmark.metric.split("+")
    scores = []
    for name in names:
        key = f"{name},{benchmark.filter}"
        if key not in metrics:
            known = sorted(k for k in metrics if "," in k and "_stderr" not in k)
            raise HarnessError(f"task {task} gives no {key}; it gives {'; '.join(known)}")
        if not math.isfinite(float(metrics[key])):
            raise HarnessError(f"task {task}: {key} is {float(metrics[key])}")
        scores.append(float(metrics[key]))
    if len(names) > 1:
        samples = [s for s in results["samples"][task] if s["filter"] == benchmark.filter]
        return math.fsum(scores) / len(scores), _stderr_of_mean(samples, names)
    stderr = metrics.get(f"{names[0]}_stderr,{benchmark.filter}", math.nan)
    return scores[0], float(stderr) if isinstance(stderr, (int, float)) else math.nan


def _stderr_of_mean(samples: Sequence[Mapping[str, Any]], names: Sequence[str]) -> float:
    """Return the standard error of the mean of metrics that are measured on the same items.

    A metric with several values per item, as the instructions of a prompt in IFEval, is a ratio of
    sums, which is linearised: an item's residual is (its sum - ratio x its count) / mean count.
    """
    residuals = np.zeros(len(samples))
    for name in names:
        values = [np.atleast_1d(np.asarray(sample[name], float)) for sample in samples]
        sums, counts = np.array([v.sum() for v in values]), np.array([v.size for v in values])
        residuals += (sums - counts * sums.sum() / counts.sum()) / counts.mean()
    if len(samples) < 2:
        return math.nan
    n = len(samples)
    return float(np.sqrt((residuals / len(names) @ residuals / len(names)) / (n * (n - 1))))


def _prompts_hash(samples: Iterable[dict[str, Any]]) -> str:
    """Return the SHA-256 of the prompts, in the order of the items."""
    prompts = {int(sample["doc_id"]): sample["arguments"] for sample in samples}
    digest = hashlib.sha256()
    for item in sorted(prompts.items()):
        digest.update(json.dumps(item, default=str).encode() + b"\n")
    return digest.hexdigest()

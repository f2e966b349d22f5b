"""Cells: which measurement a benchmark is for a checkpoint, as an identity and in words."""

from __future__ import annotations

from capspace.tasks.panel import Benchmark

from ..checkpoints.checkpoint import Checkpoint
from ..harness.backends import LoadOptions
from ..harness.data_root import DataRoot
from ..harness.harness import Harness
from ..harness.version import harness_version
from ..storage.identity import HARNESS_SEEDS, Measurement, ModelIdentity, Seeds

__all__ = ["measurement", "protocol_words"]


def measurement(
    checkpoint: Checkpoint,
    benchmark: Benchmark,
    harness: Harness,
    *,
    options: LoadOptions,
    seeds: Seeds,
    limit: int | None = None,
    chat_template: bool = False,
) -> Measurement:
    """Return the identity of one cell, whose key the store knows its result by; loads no model.

    Raises
    ------
    HarnessError
        lm-eval does not know the benchmark's tasks.
    DataRootError
        The data root lacks a data set that a task reads.

    """
    model = ModelIdentity(
        checkpoint=checkpoint.identity,
        dtype=options.identity_dtype(checkpoint),
        backend=options.backend,
        backend_settings=tuple(sorted(options.identity_settings + checkpoint.identity_settings)),
        chat_template=chat_template,
        custom_code=checkpoint.custom_code,
    )
    return Measurement(
        model=model,
        tasks=harness.tasks(benchmark),
        n_shot=benchmark.n_shot,
        metric=benchmark.metric,
        filter=benchmark.filter,
        aggregate=benchmark.aggregate,
        seeds=seeds,
        limit=limit,
        harness=harness_version(),
    )


def protocol_words(benchmark: Benchmark, measurement: Measurement, root: DataRoot | None) -> str:
    """Return the protocol in words that tell any two apart which may differ in score."""
    versions = sorted({f"v{t.version}" for t in measurement.tasks if t.version})
    parts = [
        f"{measurement.harness} {'+'.join(benchmark.tasks)} {'/'.join(versions)} "
        f"{benchmark.metric}",
        f"{measurement.model.backend} {measurement.model.dtype}",
    ]
    if benchmark.filter != "none":
        parts[0] += f" ({benchmark.filter})"
    if root is not None:
        parts.append(root.label or "local data")
    if measurement.model.chat_template:
        parts.append("chat template")
    if measurement.limit is not None:
        parts.append(f"limit {measurement.limit}")
    if measurement.seeds != HARNESS_SEEDS:
        parts.append(f"seed {measurement.seeds.fewshot}")
    return "; ".join(parts)

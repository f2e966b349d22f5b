"""Cells: which measurement a benchmark is for a checkpoint, as an identity and in words."""

from __future__ import annotations

from dataclasses import replace

from capspace.tasks.panel import Benchmark

from ..checkpoints.checkpoint import Checkpoint
from ..harness.backends import identity_settings, loaded_dtype
from ..harness.data_root import DataRoot
from ..harness.harness import Harness
from ..harness.version import harness_version
from ..settings import RunSettings
from ..storage.identity import HARNESS_SEEDS, Measurement, ModelIdentity, Seeds
from ..storage.protocol import Protocol

__all__ = ["cell_protocol", "measurement"]


def measurement(
    checkpoint: Checkpoint,
    benchmark: Benchmark,
    harness: Harness,
    settings: RunSettings,
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
        dtype=loaded_dtype(settings.dtype, checkpoint),
        backend=settings.backend,
        backend_settings=tuple(
            sorted(identity_settings(settings.backend) + checkpoint.identity_settings)
        ),
        chat_template=settings.chat_template,
        custom_code=checkpoint.custom_code,
    )
    return Measurement(
        model=model,
        tasks=harness.tasks(benchmark),
        n_shot=benchmark.n_shot,
        metric=benchmark.metric,
        filter=benchmark.filter,
        aggregate=benchmark.aggregate,
        seeds=Seeds.of(settings.seed),
        limit=settings.limit,
        harness=harness_version(),
    )


def cell_protocol(
    benchmark: Benchmark, measurement: Measurement, root: DataRoot | None
) -> Protocol:
    """Return the protocol of one cell, as it is stored beside its score."""
    return replace(
        Protocol.of(benchmark, measurement.tasks),
        harness=measurement.harness,
        backend=measurement.model.backend,
        dtype=measurement.model.dtype,
        data="" if root is None else root.label or "local data",
        chat_template=measurement.model.chat_template,
        limit=measurement.limit,
        seed=None if measurement.seeds == HARNESS_SEEDS else measurement.seeds.fewshot,
    )

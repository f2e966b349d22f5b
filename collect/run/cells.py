"""The cells of a panel that can be measured on a checkpoint get identities and protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from capspace.tasks.panel import Benchmark

from ..checkpoints.checkpoint import Checkpoint
from ..errors import CollectError, HarnessError
from ..harness.backends import identity_settings, loaded_dtype
from ..harness.data_root import DataRoot
from ..harness.harness import Harness
from ..harness.task_changes import TaskChanges
from ..harness.version import harness_version
from ..sandbox import check_sandbox
from ..settings import RunSettings
from ..storage.digests import canonical_json
from ..storage.identity import HARNESS_SEEDS, Measurement, ModelIdentity, Seeds
from ..storage.mode import Mode
from ..storage.protocol import Protocol
from ..storage.result import Missing
from .lm_eval_arguments import engine_settings

__all__ = ["Cell", "cell_protocol", "measurable_cells", "measurement"]

_ORDINARY = Mode()


@dataclass(frozen=True)
class Cell:
    """A benchmark, and what measuring it on a checkpoint is known by."""

    benchmark: Benchmark
    measurement: Measurement

    @property
    def key(self) -> str:
        """The store's name for the cell's result."""
        return self.measurement.key


def measurable_cells(
    checkpoint: Checkpoint,
    benchmarks: Iterable[Benchmark],
    harness: Harness,
    settings: RunSettings,
    *,
    permission: str = "--allow-code-execution",
    runs_here: bool = True,
    is_stored: Callable[[str], bool] = lambda key: False,
) -> tuple[list[Cell], list[Missing]]:
    """Return the cells that can be measured, and the others with the reason; loads no model.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model.
    benchmarks : iterable of Benchmark
        The columns.
    harness : Harness
        lm-eval, with the folders that tasks and data are read from.
    settings : RunSettings
        How it is measured.
    permission : str
        What a user writes to let benchmarks run code that the model wrote.
    runs_here : bool
        Whether the measuring is done on this machine, which then needs a sandbox for such code.
    is_stored : callable
        Whether there is a score under a key, for which no code is run.

    """
    cells: list[Cell] = []
    missing: list[Missing] = []
    for benchmark in benchmarks:
        gap = partial(Missing, checkpoint.name, benchmark.name, revision=checkpoint.revision)
        is_refused = benchmark.executes_code and not settings.allow_code_execution
        skipped = gap(f"skipped: it runs code that the model writes ({permission})", skipped=True)
        try:
            cell = Cell(benchmark, measurement(checkpoint, benchmark, harness, settings))
            if benchmark.executes_code and not is_stored(cell.key):
                if is_refused:
                    missing.append(skipped)
                    continue
                if runs_here:
                    check_sandbox()
            cells.append(cell)
        except CollectError as error:
            missing.append(skipped if is_refused else gap(str(error)))
    return cells, missing


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
        lm-eval does not know the benchmark's tasks; or its first items alone are to be measured
        where a panel chose others.
    DataRootError
        The data root lacks a data set that a task reads.

    """
    if benchmark.estimate is not None and settings.limit is not None:
        raise HarnessError(
            f"its panel estimates the score from {benchmark.estimate.n_items:,} chosen items, of "
            "which the first alone say too little; leave out limit"
        )
    mode = Mode.of(settings)
    backend: str = settings.backend
    if settings.endpoint is None:
        generates = harness.generates(benchmark)
        own = identity_settings(
            backend,
            loaded_dtype(settings.dtype, checkpoint),
            governs_texts=checkpoint.governs_texts and generates,
            # Thoughts are cut from such texts alone, so that their mode says it.
            ends_texts=settings.applies_template and not mode.cuts_thoughts and generates,
        )
        own += engine_settings(settings.backend_args or {})
    else:
        backend = "endpoint"
        stated = settings.answers_of
        own = () if stated is None else (("answers_of", canonical_json(stated)),)
    decisive = own + checkpoint.identity_settings + mode.identity_settings
    model = ModelIdentity(
        checkpoint=checkpoint.identity,
        dtype=loaded_dtype(settings.dtype, checkpoint),
        backend=backend,
        backend_settings=tuple(sorted(decisive)),
        chat_template=settings.applies_template,
        custom_code=checkpoint.custom_code,
    )
    return Measurement(
        model=model,
        tasks=harness.tasks(benchmark, TaskChanges.of_mode(mode)),
        n_shot=benchmark.n_shot,
        metric=benchmark.metric,
        filter=benchmark.filter,
        aggregate=benchmark.aggregate,
        seeds=Seeds.of(settings.seed),
        limit=settings.limit,
        harness=harness_version(),
    )


def cell_protocol(
    benchmark: Benchmark,
    measurement: Measurement,
    root: DataRoot | None,
    mode: Mode = _ORDINARY,
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
        mode=mode,
    )

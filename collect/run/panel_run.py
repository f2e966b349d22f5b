"""A panel is measured on checkpoints: the cells that the store does not hold, one by one."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..checkpoints.checkpoint import Checkpoint
from ..engine.served import engine_lines
from ..errors import (
    CheckpointError,
    CollectError,
    DataRootError,
    HarnessError,
    NothingMeasuredError,
    ResponseError,
    SandboxError,
)
from ..harness.backends import load_model
from ..recorder.accelerator import free_memory
from ..runtime.distributed import group_size, is_helper
from ..runtime.redaction import redacted
from ..storage.result import Missing, Result
from ..storage.store import Store
from .cell_run import CellRun
from .cells import Cell, measurable_cells, measurement
from .collection import Collection
from .draws import estimates_of, stored_draws
from .turns import in_turn

if TYPE_CHECKING:
    from lm_eval.api.model import LM

    from capspace.fit.decide._stopping import StoppingPlan
    from capspace.tasks.panel import Benchmark

    from ..checkpoints.checked_model import CheckedModel

__all__ = ["PanelRun"]

_log = logging.getLogger("capspace.collect")


class PanelRun(CellRun):
    """One run of a panel over checkpoints, cell by cell."""

    @property
    def plans(self) -> Mapping[str, StoppingPlan]:
        """By checkpoint, why measuring stopped early; empty where all items are measured."""
        return {}

    def collect(
        self,
        checkpoints: tuple[Checkpoint, ...],
        unusable: Mapping[str, str],
    ) -> Collection:
        """Measure the cells that the store does not hold, one checkpoint after the other.

        Parameters
        ----------
        checkpoints : tuple of Checkpoint
            What is measured.
        unusable : mapping
            By name, why other checkpoints cannot be.

        Raises
        ------
        NothingMeasuredError
            Not one cell has a score, now or before.

        """
        results: list[Result] = []
        missing: list[Missing] = []
        n_measured = 0
        for name, why in unusable.items():
            self.progress.model(name, len(self.panel.benchmarks), 0)
            missing += [self._noted(Missing(name, b.name, why)) for b in self.panel.benchmarks]
        for checkpoint in checkpoints:
            cells, gaps = measurable_cells(
                checkpoint,
                self.benchmarks_of(checkpoint),
                self.harness,
                self.settings,
                is_stored=self.is_stored,
            )
            todo = [cell for cell in cells if not self.is_stored(cell.key)]
            self.progress.model(checkpoint.name, len(todo), len(cells) - len(todo))
            missing += [self._noted(g) for g in sorted(gaps, key=lambda gap: not gap.skipped)]
            try:
                cells, n, failed = self.measure_cells(checkpoint, cells, todo)
            except CheckpointError as error:
                if len(checkpoints) == 1 and not unusable:
                    raise
                n, failed = 0, self._all_failed(checkpoint, todo, str(error))
            n_measured += n
            missing += failed
            results += self._results(checkpoint, cells)
        # A process that only helps another of its group may be done before that one's last result.
        if not results and not is_helper():
            failed_first = sorted(missing, key=lambda gap: gap.skipped)
            reasons = list(dict.fromkeys(f"{m.benchmark}: {m.reason}" for m in failed_first))
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            raise NothingMeasuredError(f"nothing could be measured; {reasons[0]}{more}")
        return Collection(
            panel=self.panel,
            checkpoints=checkpoints,
            results=tuple(results),
            missing=tuple(missing),
            n_measured=n_measured,
            stopping=self.plans,
        )

    def benchmarks_of(self, checkpoint: Checkpoint) -> Sequence[Benchmark]:
        """Return what is measured of a checkpoint, to begin with."""
        return self.panel.benchmarks

    def measure_cells(
        self, checkpoint: Checkpoint, cells: list[Cell], todo: list[Cell]
    ) -> tuple[list[Cell], int, list[Missing]]:
        """Measure those of the cells that are to do.

        Returns the cells of the checkpoint, how many were measured, and those without a score.
        """
        if not todo:
            return cells, 0, []
        lm, failed = self.loaded(checkpoint, todo)
        if lm is None:
            return cells, 0, failed
        n_measured, failed = self.measure_with(lm, checkpoint, todo)
        self._drop_draws(checkpoint, todo)
        del lm
        free_memory()
        return cells, n_measured, failed

    def is_stored(self, key: str) -> bool:
        """Return whether there is a score under a key."""
        return self.store.get(key) is not None

    def key_of(self, checkpoint: Checkpoint, benchmark: Benchmark) -> str:
        """Return the key of a checkpoint's score on a benchmark."""
        return measurement(checkpoint, benchmark, self.harness, self.settings).key

    def _drop_draws(self, checkpoint: Checkpoint, cells: Iterable[Cell]) -> None:
        """Drop scores by some items where there is now a score by all of them."""
        if not isinstance(self.store, Store) or self.settings.limit is not None:
            return
        stored = [r for r in self.store.results() if r.revision == checkpoint.revision]
        for cell in cells:
            whole = self.store.get(cell.key) if cell.benchmark.is_whole else None
            if whole is not None:
                key_of = partial(self.key_of, checkpoint)
                draws = stored_draws(cell.benchmark, stored, key_of)
                self.store.remove([key_of(benchmark) for benchmark in draws])
                self.store.remove(estimates_of(whole, stored))

    def _results(self, checkpoint: Checkpoint, cells: list[Cell]) -> list[Result]:
        # The same weights may have been measured under another folder's name or in another panel.
        rows = [(cell, self.store.get(cell.key)) for cell in cells]
        stored = [(cell, result) for cell, result in rows if result is not None]
        for other in dict.fromkeys(r.model for _, r in stored if r.model != checkpoint.name):
            self.progress.note(f"its scores are stored as those of {other}: the same weights")
        return [
            replace(result, model=checkpoint.name, benchmark=cell.benchmark.name)
            for cell, result in stored
        ]

    def loaded(
        self, checkpoint: Checkpoint, cells: list[Cell]
    ) -> tuple[CheckedModel | None, list[Missing]]:
        """Return the model, or None and a gap for each of the cells that it does not load for."""
        try:
            lm = self._model(checkpoint)
        except CollectError:
            raise
        except Exception as error:  # a stranger's checkpoint can raise anything
            _log.exception("loading %s", checkpoint.location)
            reason = f"the checkpoint does not load: {_one_line(error)}"
            return None, [self._noted(_gap(checkpoint, cell, reason)) for cell in cells]
        self.progress.notices(checkpoint.name, [*lm.notes, *engine_lines(lm)])
        return lm, []

    def measure_with(
        self, lm: CheckedModel, checkpoint: Checkpoint, cells: list[Cell]
    ) -> tuple[int, list[Missing]]:
        """Measure cells with a loaded model; return how many, and those without a score."""
        failed, n_measured = self._unserved(lm, checkpoint, cells), 0
        planned, unserved = cells, {gap.key for gap in failed}
        cells = [cell for cell in cells if cell.key not in unserved]
        with closing(self._turns(lm, cells)) as turns:
            for cell in turns:
                index = planned.index(cell) + 1
                self.progress.benchmark(cell.benchmark.name, index, len(planned))
                try:
                    n_measured += self.measure(lm, checkpoint, cell)
                except (HarnessError, DataRootError, ResponseError, SandboxError) as error:
                    failed.append(self._noted(_gap(checkpoint, cell, str(error))))
                except CollectError:
                    raise
                except Exception as error:  # a stranger's task can raise anything
                    _log.exception("%s on %s", checkpoint.location, cell.benchmark.name)
                    failed.append(self._noted(_gap(checkpoint, cell, _one_line(error))))
        return n_measured, failed

    def _model(self, checkpoint: Checkpoint) -> Any:
        """Return the model as lm-eval has it: loaded, or behind its server."""
        if checkpoint.kind == "endpoint":
            from ..endpoint.served_model import connect

            return connect(checkpoint, self.settings)
        return load_model(
            checkpoint,
            self.settings,
            chat_template=self.settings.applies_template,
            mode=self.mode,
        )

    def _unserved(self, lm: Any, checkpoint: Checkpoint, cells: list[Cell]) -> list[Missing]:
        """Return the cells whose log-likelihoods a server does not give; no item is sent yet."""
        if checkpoint.kind != "endpoint":
            return []
        compared = [cell for cell in cells if self.harness.compares(cell.benchmark)]
        reason = lm.unscored_reason() if compared else None
        if reason is None:
            return []
        gaps = [self._stored(_gap(checkpoint, cell, reason)) for cell in compared]
        skipped = [replace(gap, reason=f"skipped: {gap.reason}", skipped=True) for gap in gaps]
        return [self._noted(gap) for gap in skipped]

    def _turns(self, lm: LM, cells: list[Cell]) -> Generator[Cell, None, None]:
        """Yield the cells to measure: those that another run is measuring wait, and may vanish."""
        if lm.world_size > 1 or group_size() > 1:  # all processes of one run take the same cells
            yield from cells
            return
        yield from in_turn(
            cells,
            key=lambda cell: cell.key,
            is_done=lambda cell: self.is_stored(cell.key),
            journal=self.journal,
        )

    def _all_failed(self, checkpoint: Checkpoint, cells: list[Cell], reason: str) -> list[Missing]:
        """Store why a checkpoint cannot be measured for each of its cells; note it once."""
        self.progress.note(f"no scores: {redacted(reason)}")
        return [self._stored(_gap(checkpoint, cell, reason)) for cell in cells]

    def _noted(self, gap: Missing) -> Missing:
        """Store and show why a cell has no score; what is skipped on purpose is only shown."""
        # A harness names the benchmark, and so does whatever shows the reason.
        gap = replace(gap, reason=gap.reason.removeprefix(f"{gap.benchmark}: "))
        stored = gap if gap.skipped else self._stored(gap)
        self.progress.missing(stored.benchmark, stored.reason)
        return stored

    def _stored(self, gap: Missing) -> Missing:
        """Store why a cell has no score, without any secret of the environment."""
        gap = replace(gap, reason=redacted(gap.reason))
        self.store.put_failure(gap)
        return gap


def _gap(checkpoint: Checkpoint, cell: Cell, reason: str) -> Missing:
    name, benchmark = checkpoint.name, cell.benchmark.name
    return Missing(name, benchmark, reason, revision=checkpoint.revision, key=cell.key)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__

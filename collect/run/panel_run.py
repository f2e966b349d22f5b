"""A panel is measured on checkpoints: the cells that the store does not hold, one by one."""

from __future__ import annotations

import gc
import logging
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..checkpoints.checkpoint import Checkpoint
from ..engine.served import engine_lines
from ..errors import (
    AnswerError,
    CheckpointError,
    CollectError,
    DataRootError,
    HarnessError,
    NothingMeasuredError,
    SandboxError,
)
from ..harness.backends import load_model
from ..runtime.distributed import group_size, is_helper
from ..runtime.redaction import redacted
from ..sandbox import check_sandbox
from ..storage.store import Failure, Result
from .cell_run import Cell, CellRun
from .cells import measurement
from .collection import Collection, Missing
from .turns import in_turn

if TYPE_CHECKING:
    from lm_eval.api.model import LM

__all__ = ["PanelRun"]

_log = logging.getLogger("capspace.collect")


class PanelRun(CellRun):
    """One run of a panel over checkpoints, cell by cell."""

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
            missing += [self._failed(name, "", b.name, why) for b in self.panel.benchmarks]
        for checkpoint in checkpoints:
            cells, skipped, failing = self._cells(checkpoint)
            todo = [c for c in cells if self.store.get(c.measurement.key) is None]
            self.progress.model(checkpoint.name, len(todo), len(cells) - len(todo))
            for gap in skipped:
                self.progress.missing(gap.benchmark, gap.reason)
            missing += skipped
            missing += [
                self._failed(checkpoint.name, checkpoint.revision, benchmark, reason)
                for benchmark, reason in failing.items()
            ]
            try:
                n, failed = self._measure_all(checkpoint, todo) if todo else (0, [])
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
        )

    def _results(self, checkpoint: Checkpoint, cells: list[Cell]) -> list[Result]:
        # The same weights may have been measured under another folder's name or in another panel.
        rows = [(cell, self.store.get(cell.measurement.key)) for cell in cells]
        stored = [(cell, result) for cell, result in rows if result is not None]
        for other in dict.fromkeys(r.model for _, r in stored if r.model != checkpoint.name):
            self.progress.note(f"its scores are stored as those of {other}: the same weights")
        return [
            replace(result, model=checkpoint.name, benchmark=cell.benchmark.name)
            for cell, result in stored
        ]

    def _measure_all(self, checkpoint: Checkpoint, cells: list[Cell]) -> tuple[int, list[Missing]]:
        """Measure cells with the model loaded once; return how many, and those without a score."""
        failed_cell = partial(self._failed, checkpoint.name, checkpoint.revision)
        try:
            lm = load_model(checkpoint, self.settings, chat_template=self.settings.chat_template)
        except CollectError:
            raise
        except Exception as error:  # a stranger's checkpoint can raise anything
            _log.exception("loading %s", checkpoint.location)
            reason = f"the checkpoint does not load: {_one_line(error)}"
            return 0, [failed_cell(cell.benchmark.name, reason) for cell in cells]
        self.progress.notices(checkpoint.name, [*lm.notes, *engine_lines(lm)])
        failed, n_measured = [], 0
        with closing(self._turns(lm, cells)) as turns:
            for cell in turns:
                index = cells.index(cell) + 1
                self.progress.benchmark(cell.benchmark.name, index, len(cells))
                try:
                    n_measured += self.measure(lm, checkpoint, cell)
                except (HarnessError, DataRootError, AnswerError, SandboxError) as error:
                    failed.append(failed_cell(cell.benchmark.name, str(error)))
                except CollectError:
                    raise
                except Exception as error:  # a stranger's task can raise anything
                    _log.exception("%s on %s", checkpoint.location, cell.benchmark.name)
                    failed.append(failed_cell(cell.benchmark.name, _one_line(error)))
        del lm
        _free_memory()
        return n_measured, failed

    def _turns(self, lm: LM, cells: list[Cell]) -> Generator[Cell, None, None]:
        """Yield the cells to measure: those that another run is measuring wait, and may vanish."""
        if lm.world_size > 1 or group_size() > 1:  # all processes of one run take the same cells
            yield from cells
            return
        yield from in_turn(
            cells,
            key=lambda cell: cell.measurement.key,
            is_done=lambda cell: self.store.get(cell.measurement.key) is not None,
            journal=self.journal,
        )

    def _cells(self, checkpoint: Checkpoint) -> tuple[list[Cell], list[Missing], dict[str, str]]:
        """Return what can be measured, what is skipped, and by benchmark why others cannot be."""
        cells, skipped, reasons = [], [], {}
        for benchmark in self.panel.benchmarks:
            if benchmark.executes_code and not self.settings.allow_code_execution:
                reason = "skipped: it runs code that the model writes (--allow-code-execution)"
                skipped.append(Missing(checkpoint.name, benchmark.name, reason, skipped=True))
                continue
            try:
                if benchmark.executes_code:
                    check_sandbox()
                cell = measurement(checkpoint, benchmark, self.harness, self.settings)
            except CollectError as error:
                reasons[benchmark.name] = str(error)
                continue
            cells.append(Cell(benchmark, cell))
        return cells, skipped, reasons

    def _all_failed(self, checkpoint: Checkpoint, cells: list[Cell], reason: str) -> list[Missing]:
        """Store why a checkpoint cannot be measured for each of its cells; note it once."""
        self.progress.note(f"no scores: {redacted(reason)}")
        names = (cell.benchmark.name for cell in cells)
        return [self._store_failure(checkpoint.name, checkpoint.revision, n, reason) for n in names]

    def _failed(self, model: str, revision: str, benchmark: str, reason: str) -> Missing:
        """Store and show why a cell has no score."""
        missing = self._store_failure(model, revision, benchmark, reason)
        self.progress.missing(benchmark, missing.reason)
        return missing

    def _store_failure(self, model: str, revision: str, benchmark: str, reason: str) -> Missing:
        """Store why a cell has no score, without any secret of the environment."""
        reason = redacted(reason)
        self.store.put_failure(Failure(model, revision, benchmark, reason))
        return Missing(model, benchmark, reason)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

"""Measuring the cells of a panel, each kept the moment it is done."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from capspace.tasks.panel import Panel

from ..checkpoints.checkpoint import Checkpoint
from ..engine.served import (
    EngineRecord,
    engine_lines,
    engine_record,
    known_reasons,
    unserved_requests,
)
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
from ..harness.harness import Evaluation, Harness
from ..recorder.recording import recorded
from ..runtime.distributed import group_size, is_helper
from ..runtime.progress import ProgressDisplay
from ..runtime.redaction import redacted
from ..settings import RunSettings
from ..storage.identity import Seeds
from ..storage.journal import Journal
from ..storage.result import Missing, Result
from ..storage.result_store import ResultStore
from .cells import Cell, cell_protocol, measurable_cells
from .collection import Collection
from .turns import in_turn

if TYPE_CHECKING:
    from lm_eval.api.model import LM

    from ..recorder.recorder import Recorder

__all__ = ["PanelRun"]

_log = logging.getLogger("capspace.collect")


@dataclass(frozen=True)
class PanelRun:
    """One run of a panel over checkpoints.

    Attributes
    ----------
    panel, harness
        What is measured.
    store, journal
        Where scores and answers are kept.
    settings : RunSettings
        How checkpoints are loaded, and what is measured of them.
    progress : ProgressDisplay
        What to tell meanwhile.

    """

    panel: Panel
    harness: Harness
    store: ResultStore
    journal: Journal
    settings: RunSettings
    progress: ProgressDisplay

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
                checkpoint, self.panel.benchmarks, self.harness, self.settings
            )
            todo = [cell for cell in cells if self.store.get(cell.key) is None]
            self.progress.model(checkpoint.name, len(todo), len(cells) - len(todo))
            for gap in sorted(gaps, key=lambda gap: not gap.skipped):
                missing.append(self._noted(gap))
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
        stored = [(cell, self.store.get(cell.key)) for cell in cells]
        scored = [(cell, result) for cell, result in stored if result is not None]
        for other in dict.fromkeys(r.model for _, r in scored if r.model != checkpoint.name):
            self.progress.note(f"its scores are kept as those of {other}: the same weights")
        return [
            replace(result, model=checkpoint.name, benchmark=cell.benchmark.name)
            for cell, result in scored
        ]

    def _measure_all(self, checkpoint: Checkpoint, cells: list[Cell]) -> tuple[int, list[Missing]]:
        """Measure cells with the model loaded once; return how many, and those without a score."""
        try:
            lm = load_model(checkpoint, self.settings, chat_template=self.settings.chat_template)
        except CollectError:
            raise
        except Exception as error:  # a stranger's checkpoint can raise anything
            _log.exception("loading %s", checkpoint.location)
            reason = f"the checkpoint does not load: {_one_line(error)}"
            return 0, [self._noted(_gap(checkpoint, cell, reason)) for cell in cells]
        self.progress.notices(checkpoint.name, [*lm.notes, *engine_lines(lm)])
        failed, n_measured = [], 0
        with closing(self._turns(lm, cells)) as turns:
            for cell in turns:
                index = cells.index(cell) + 1
                self.progress.benchmark(cell.benchmark.name, index, len(cells))
                try:
                    n_measured += self._measure(lm, checkpoint, cell)
                except (HarnessError, DataRootError, AnswerError, SandboxError) as error:
                    failed.append(self._noted(_gap(checkpoint, cell, str(error))))
                except CollectError:
                    raise
                except Exception as error:  # a stranger's task can raise anything
                    _log.exception("%s on %s", checkpoint.location, cell.benchmark.name)
                    failed.append(self._noted(_gap(checkpoint, cell, _one_line(error))))
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
            key=lambda cell: cell.key,
            is_done=lambda cell: self.store.get(cell.key) is not None,
            journal=self.journal,
        )

    def _measure(self, lm: LM, checkpoint: Checkpoint, cell: Cell) -> bool:
        """Measure a cell; return whether this process is the one of its group that keeps it."""
        started = time.perf_counter()
        before = unserved_requests(lm)
        label = f"{checkpoint.name}: {cell.benchmark.name}"
        model = recorded(lm, cell.measurement, journal=self.journal, label=label)
        evaluation = self.harness.evaluate(
            model,
            cell.benchmark,
            seeds=Seeds.of(self.settings.seed),
            limit=self.settings.limit,
            chat_template=self.settings.chat_template,
            allow_code_execution=self.settings.allow_code_execution,
            items_done=self.progress.items,
        )
        if evaluation is None:
            return False
        seconds = time.perf_counter() - started
        self._note(cell.benchmark.name, model)
        engine = engine_record(lm, unserved_requests(lm) - before)
        self._note_engine(cell.benchmark.name, lm, engine)
        result = self._result(model, checkpoint, cell, evaluation, seconds, engine)
        self.store.put(result, evaluation.samples)
        self.progress.scored(
            cell.benchmark.name, evaluation.score, evaluation.stderr, evaluation.n_items
        )
        return True

    def _note(self, benchmark: str, recorder: Recorder) -> None:
        """Say what the recorder has to say of a cell."""
        counts = recorder.counts
        for notice in self.journal.take_notices():
            self.progress.note(notice)
        for notice in recorder.notices:
            self.progress.note(f"{benchmark}: {notice}")
        if counts.n_known:
            self.progress.note(
                f"{benchmark}: {counts.n_known:,} of {counts.n_requests:,} answers were known"
            )
        if counts.n_empty:
            self.progress.note(
                f"{benchmark}: {counts.n_empty:,} of {counts.n_requests:,} answers came back "
                "empty; they are scored as they are, and asked again next time"
            )

    def _note_engine(self, benchmark: str, lm: LM, engine: EngineRecord | None) -> None:
        """Say what left the engine in this cell alone: what holds of the model was said before."""
        if engine is None or engine["unsupported_reason"] in (None, *known_reasons(lm)):
            return
        self.progress.note(
            f"{benchmark}: lm-eval's own path, which takes longer, answered what the engine does "
            f"not serve ({engine['unsupported_reason']})"
        )

    def _result(
        self,
        lm: Recorder,
        checkpoint: Checkpoint,
        cell: Cell,
        evaluation: Evaluation,
        seconds: float,
        engine: EngineRecord | None,
    ) -> Result:
        benchmark, measurement = cell.benchmark, cell.measurement
        root = self.harness.data_root
        data_comparable = root is None or root.comparable
        note = f"; {root.label}" if root is not None and root.label else ""
        return Result(
            key=measurement.key,
            model=checkpoint.name,
            revision=checkpoint.revision,
            benchmark=benchmark.name,
            score=evaluation.score,
            stderr=evaluation.stderr,
            n_items=evaluation.n_items,
            n_shot=benchmark.n_shot,
            protocol=str(cell_protocol(benchmark, measurement, root)),
            source=f"measured {datetime.now(UTC):%Y-%m-%d}, key {measurement.key[:12]}{note}",
            comparable=data_comparable and benchmark.comparable,
            identity=measurement.canonical,
            tasks=evaluation.tasks,
            provenance={
                "panel": f"{self.panel.name} v{self.panel.version}",
                "location": checkpoint.location,
                "device": str(getattr(lm, "device", self.settings.device)),
                "batch_size": str(getattr(lm, "batch_size", self.settings.batch_size)),
                "seconds": round(seconds, 3),
                "requests": asdict(lm.counts),
                "engine": engine,
                **_versions(),
                **evaluation.environment,
            },
        )

    def _all_failed(self, checkpoint: Checkpoint, cells: list[Cell], reason: str) -> list[Missing]:
        """Keep why a checkpoint cannot be measured for each of its cells, and tell it once."""
        self.progress.note(f"no scores: {redacted(reason)}")
        return [self._stored(_gap(checkpoint, cell, reason)) for cell in cells]

    def _noted(self, gap: Missing) -> Missing:
        """Store and show why a cell has no score; what is skipped on purpose is only shown."""
        stored = gap if gap.skipped else self._stored(gap)
        self.progress.missing(stored.benchmark, stored.reason)
        return stored

    def _stored(self, gap: Missing) -> Missing:
        """Store why a cell has no score, without what may be a secret of the environment."""
        gap = replace(gap, reason=redacted(gap.reason))
        self.store.put_failure(gap)
        return gap


def _gap(checkpoint: Checkpoint, cell: Cell, reason: str) -> Missing:
    return Missing(
        checkpoint.name,
        cell.benchmark.name,
        reason,
        revision=checkpoint.revision,
        key=cell.key,
    )


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("capspace", "lm_eval", "torch", "transformers")}


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

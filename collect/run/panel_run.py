"""Measuring the cells of a panel, each kept the moment it is done."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from capspace.tasks.panel import Benchmark, Panel

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
from ..sandbox import check_sandbox
from ..settings import RunSettings
from ..storage.identity import Measurement, Seeds
from ..storage.journal import Journal
from ..storage.store import Failure, Result, Store
from .cells import cell_protocol, measurement
from .collection import Collection, Missing
from .turns import in_turn

if TYPE_CHECKING:
    from lm_eval.api.model import LM

    from ..recorder.recorder import Recorder

__all__ = ["PanelRun"]

_log = logging.getLogger("capspace.collect")


@dataclass(frozen=True)
class _Cell:
    benchmark: Benchmark
    measurement: Measurement


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
    store: Store
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

    def _results(self, checkpoint: Checkpoint, cells: list[_Cell]) -> list[Result]:
        # The same weights may have been measured under another folder's name or in another panel.
        found = [(cell, self.store.get(cell.measurement.key)) for cell in cells]
        kept = [(cell, result) for cell, result in found if result is not None]
        for other in dict.fromkeys(r.model for _, r in kept if r.model != checkpoint.name):
            self.progress.note(f"its scores are kept as those of {other}: the same weights")
        return [
            replace(result, model=checkpoint.name, benchmark=cell.benchmark.name)
            for cell, result in kept
        ]

    def _measure_all(self, checkpoint: Checkpoint, cells: list[_Cell]) -> tuple[int, list[Missing]]:
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
                    n_measured += self._measure(lm, checkpoint, cell)
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

    def _turns(self, lm: LM, cells: list[_Cell]) -> Generator[_Cell, None, None]:
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

    def _cells(self, checkpoint: Checkpoint) -> tuple[list[_Cell], list[Missing], dict[str, str]]:
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
            cells.append(_Cell(benchmark, cell))
        return cells, skipped, reasons

    def _measure(self, lm: LM, checkpoint: Checkpoint, cell: _Cell) -> bool:
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
        cell: _Cell,
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

    def _all_failed(self, checkpoint: Checkpoint, cells: list[_Cell], reason: str) -> list[Missing]:
        """Keep why a checkpoint cannot be measured for each of its cells, and tell it once."""
        self.progress.note(f"no scores: {redacted(reason)}")
        names = (cell.benchmark.name for cell in cells)
        return [self._keep_failure(checkpoint.name, checkpoint.revision, n, reason) for n in names]

    def _failed(self, model: str, revision: str, benchmark: str, reason: str) -> Missing:
        """Keep and tell why a cell has no score."""
        missing = self._keep_failure(model, revision, benchmark, reason)
        self.progress.missing(benchmark, missing.reason)
        return missing

    def _keep_failure(self, model: str, revision: str, benchmark: str, reason: str) -> Missing:
        """Keep why a cell has no score; no secret of the environment is in that."""
        reason = redacted(reason)
        self.store.put_failure(Failure(model, revision, benchmark, reason))
        return Missing(model, benchmark, reason)


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

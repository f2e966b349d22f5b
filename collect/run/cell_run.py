"""One cell of a panel is measured, and its result stored before the next begins."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from capspace.tasks.panel import Panel

from ..checkpoints.checkpoint import Checkpoint
from ..engine.served import EngineRecord, engine_record, known_reasons, unserved_requests
from ..harness.harness import Evaluation, Harness
from ..recorder.recording import recorded
from ..runtime.progress import ProgressDisplay
from ..settings import RunSettings
from ..storage.identity import Seeds
from ..storage.journal import Journal
from ..storage.result import Result
from ..storage.result_store import ResultStore
from .cells import Cell, cell_protocol

if TYPE_CHECKING:
    from lm_eval.api.model import LM

    from ..recorder.recorder import Recorder

__all__ = ["CellRun"]


@dataclass(frozen=True)
class CellRun:
    """What measures single cells of a panel.

    Attributes
    ----------
    panel, harness
        What is measured.
    store, journal
        Where results and responses are stored.
    settings : RunSettings
        How checkpoints are loaded, and what is measured of them.
    progress : ProgressDisplay
        Receives the progress.

    """

    panel: Panel
    harness: Harness
    store: ResultStore
    journal: Journal
    settings: RunSettings
    progress: ProgressDisplay

    def measure(self, lm: LM, checkpoint: Checkpoint, cell: Cell) -> bool:
        """Measure a cell; return whether this process is the one of its group that stores it."""
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
        if evaluation.normalised is not None:
            self.progress.note(
                f"{cell.benchmark.name}: {evaluation.normalised:.4f} on the scale of the Open LLM "
                "Leaderboard, on which guessing is 0"
            )
        return True

    def _note(self, benchmark: str, recorder: Recorder) -> None:
        """Note what the journal and the recorder noticed while a cell was measured."""
        counts = recorder.counts
        for notice in self.journal.take_notices():
            self.progress.note(notice)
        for notice in recorder.notices:
            self.progress.note(f"{benchmark}: {notice}")
        if counts.n_known:
            self.progress.note(
                f"{benchmark}: {counts.n_known:,} of {counts.n_requests:,} responses were known"
            )
        if counts.n_empty:
            self.progress.note(
                f"{benchmark}: {counts.n_empty:,} of {counts.n_requests:,} responses came "
                "back empty; they are scored as they are, and requested again next time"
            )

    def _note_engine(self, benchmark: str, lm: LM, engine: EngineRecord | None) -> None:
        """Note what the engine did not serve in this cell alone."""
        if engine is None or engine["unsupported_reason"] in (None, *known_reasons(lm)):
            return
        self.progress.note(
            f"{benchmark}: lm-eval's own path, which takes longer, computed what the engine does "
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
                **({} if evaluation.normalised is None else {"normalised": evaluation.normalised}),
                **_versions(),
                **evaluation.environment,
            },
        )


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("capspace", "lm_eval", "torch", "transformers")}

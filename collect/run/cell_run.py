"""One cell of a panel is measured, and its result stored before the next begins."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capspace.fit.table.sampling import shown_stderr
from capspace.tasks.panel import Panel

from ..checkpoints.checkpoint import Checkpoint
from ..engine.served import EngineRecord, engine_record, known_reasons, unserved_requests
from ..harness.data_root import EMBEDDED, DataRoot
from ..harness.evaluation import Evaluation, refuse_right_unfinished
from ..harness.harness import Harness
from ..harness.task_changes import TaskChanges
from ..recorder.recording import recorded
from ..recorder.thoughts import MOST_UNFINISHED, Thoughts
from ..runtime.progress import ProgressDisplay
from ..settings import OF_ONE_RUN, RunSettings
from ..storage.identity import Seeds
from ..storage.journal import Journal
from ..storage.mode import Mode
from ..storage.result import Result
from ..storage.result_store import ResultStore
from .cells import Cell, cell_protocol
from .token_counts import count_tokens

if TYPE_CHECKING:
    from ..checkpoints.checked_model import CheckedModel
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

    @property
    def mode(self) -> Mode:
        """How models respond."""
        return Mode.of(self.settings)

    def measure(self, lm: CheckedModel, checkpoint: Checkpoint, cell: Cell) -> bool:
        """Measure a cell; return whether this process is the one of its group that stores it."""
        started = time.perf_counter()
        before = unserved_requests(lm)
        label = f"{checkpoint.name}: {cell.benchmark.name}"
        thoughts = self._reader(lm, checkpoint)
        model = recorded(lm, cell.measurement, journal=self.journal, label=label, thoughts=thoughts)
        evaluation = self.harness.evaluate(
            model,
            cell.benchmark,
            seeds=Seeds.of(self.settings.seed),
            limit=self.settings.limit,
            changes=TaskChanges.of_mode(self.mode),
            chat_template=self.settings.applies_template,
            allow_code_execution=self.settings.allow_code_execution,
            items_done=self.progress.items,
        )
        if evaluation is None:
            return False
        if thoughts is not None:
            refuse_right_unfinished(cell.benchmark.metric, evaluation.samples, thoughts.unfinished)
            thoughts.finish(evaluation.samples)
        seconds = time.perf_counter() - started
        self._note(cell.benchmark.name, model)
        engine = engine_record(lm, unserved_requests(lm) - before)
        self._note_engine(cell.benchmark.name, lm, engine)
        result = self._result(model, checkpoint, cell, evaluation, seconds, engine)
        self.store.put(result, evaluation.samples)
        n_items = evaluation.n_items
        stderr = shown_stderr(evaluation.score, evaluation.stderr, n_items)
        self.progress.scored(cell.benchmark.name, evaluation.score, stderr, n_items)
        if evaluation.normalised is not None:
            self.progress.note(
                f"{cell.benchmark.name}: {evaluation.normalised:.4f} on the scale of the Open LLM "
                "Leaderboard, on which guessing is 0"
            )
        return True

    def _reader(self, lm: Any, checkpoint: Checkpoint) -> Thoughts | None:
        """Return what reads answers from responses; None where they are the same."""
        if checkpoint.kind == "endpoint":
            reader: Thoughts = lm.answers()
            return reader
        return Thoughts(lm.think_end) if self.mode.cuts_thoughts else None

    def _note(self, benchmark: str, recorder: Recorder) -> None:
        """Note what the journal and the recorder noticed while a cell was measured."""
        counts, thoughts = recorder.counts, recorder.thoughts
        if thoughts is not None and thoughts.n_unfinished:
            marked = thoughts.share_unfinished > MOST_UNFINISHED
            self.progress.note(
                f"{benchmark}: {thoughts.share_unfinished:.1%} of {thoughts.n_answers:,} answers "
                "did not end their thought and count as wrong"
                + (f"; the score is marked as not comparable: {thoughts.advice}" * marked)
            )
        for line in () if thoughts is None else thoughts.lines:
            self.progress.note(f"{benchmark}: {line}")
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

    def _note_engine(self, benchmark: str, lm: CheckedModel, engine: EngineRecord | None) -> None:
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
        unfinished = 0.0 if lm.thoughts is None else lm.thoughts.share_unfinished
        if unfinished > MOST_UNFINISHED:
            note += f"; {unfinished:.1%} of the answers did not end their thought"
        return Result(
            key=measurement.key,
            model=checkpoint.name,
            revision=checkpoint.revision,
            benchmark=benchmark.name,
            score=evaluation.score,
            stderr=evaluation.stderr,
            n_items=evaluation.n_items,
            n_shot=benchmark.n_shot,
            protocol=str(
                cell_protocol(
                    benchmark,
                    measurement,
                    root,
                    self.mode.on(benchmark, generates=self.harness.generates(benchmark)),
                )
            ),
            source=f"measured {datetime.now(UTC):%Y-%m-%d}, key {measurement.key[:12]}{note}",
            comparable=data_comparable and benchmark.comparable and unfinished <= MOST_UNFINISHED,
            identity=measurement.canonical,
            tasks=evaluation.tasks,
            provenance={
                "panel": f"{self.panel.name} v{self.panel.version}",
                **({} if self.panel.file is None else {"panel_file": str(self.panel.file)}),
                "location": checkpoint.location,
                "settings": _stated(self.settings, root),
                "device": str(getattr(lm, "device", self.settings.device)),
                "batch_size": str(getattr(lm, "batch_size", self.settings.batch_size)),
                "seconds": round(seconds, 3),
                "requests": asdict(lm.counts),
                "engine": engine,
                **_size(lm),
                **({} if lm.thoughts is None else {"unfinished": unfinished}),
                **self._tokens(lm, evaluation, engine),
                **({} if lm.thoughts is None else lm.thoughts.shares),
                **({} if evaluation.normalised is None else {"normalised": evaluation.normalised}),
                **_versions(),
                **evaluation.environment,
            },
        )

    def _tokens(
        self, lm: Recorder, evaluation: Evaluation, engine: EngineRecord | None
    ) -> dict[str, int]:
        """Return how many tokens the items took, which decides how many more are worth it."""
        if self.settings.until is None:
            return {}
        served = engine is not None and engine["served"]
        encode = partial(lm.tok_encode, add_special_tokens=False)
        window = getattr(lm, "max_length", None)
        count = count_tokens(evaluation.samples, encode, shares=served, window=window)
        return {"tokens": count.tokens, "shared_tokens": count.shared}


def _stated(settings: RunSettings, root: DataRoot | None) -> dict[str, Any]:
    """Return the settings that a further measurement of the checkpoint repeats, paths absolute."""
    given = settings.model_dump(mode="json", exclude_defaults=True, exclude={*OF_ONE_RUN})
    if root is not None and given.get("data_root") != EMBEDDED:
        given["data_root"] = str(root.path)
    if settings.include_path is not None:
        given["include_path"] = str(settings.include_path.expanduser().resolve())
    if settings.tokenizer is not None and Path(settings.tokenizer).expanduser().is_dir():
        given["tokenizer"] = str(Path(settings.tokenizer).expanduser().resolve())
    return given


def _size(lm: Recorder) -> dict[str, int]:
    """Return how many parameters a model has that is loaded here, where it can count them."""
    count = getattr(getattr(lm, "model", None), "num_parameters", None)
    return {"parameters": int(count())} if callable(count) else {}


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("capspace", "lm_eval", "torch", "transformers")}

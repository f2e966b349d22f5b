"""Bringing in scores that others measured, without mixing protocols."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capspace.collect.checkpoint import sha256_file
from capspace.collect.errors import ImportFileError
from capspace.collect.foreign import ForeignScore, read_foreign
from capspace.collect.harness import Harness, harness_version
from capspace.collect.identity import TaskIdentity, canonical_json
from capspace.collect.result import Result
from capspace.collect.samples import write_samples
from capspace.collect.store import Store
from capspace.tasks.panel import Benchmark, Panel

__all__ = ["Imported", "import_scores"]


@dataclass(frozen=True)
class Imported:
    """What an import brought.

    Attributes
    ----------
    results : tuple of Result
        As they are in the store now.
    notes : tuple of str
        Why scores that look like the panel's were kept under names of their own, and which were
        left out because two sources contradict each other.

    """

    results: tuple[Result, ...]
    notes: tuple[str, ...]


def import_scores(paths: Sequence[Path], *, store: Store, panel: Panel) -> Imported:
    """Keep scores from result files in the store.

    A score gets the panel's name for it only where the file states the same tasks, task versions,
    shots, metric and filter, on all items and without further conditions. Everything else keeps a
    name of its own.

    Parameters
    ----------
    paths : sequence of Path
        Files as in `read_foreign`; a folder stands for the result files anywhere below it.
    store : Store
        Where they are kept.
    panel : Panel
        Whose protocol they are compared with.

    Raises
    ------
    ImportFileError
        A file cannot be read as any of the known formats; nothing of it was kept.

    """
    protocols = _Protocols(panel)
    results: list[Result] = []
    notes: Counter[str] = Counter()
    for path in _files(paths):
        scores = read_foreign(path)
        digest = sha256_file(path)
        origin = f"imported from {path.name} (sha256 {digest[:12]})"
        brought: list[Result] = []
        for model in dict.fromkeys((s.model, s.revision) for s in scores):
            own = [s for s in scores if (s.model, s.revision) == model]
            brought += protocols.results(own, origin, digest, store, notes)
        brought = _agreeing(brought, store.results(), notes)
        store.put_all(brought)
        results += brought
    told = [note if n == 1 else f"{note} ({n} times)" for note, n in notes.items()]
    return Imported(tuple(results), tuple(told))


class _Protocols:
    """The panel's protocols as this lm-eval has them, to hold foreign scores against."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        harness = Harness(panel.benchmarks)
        self._tasks = {b.name: harness.tasks(b) for b in panel.benchmarks}

    def results(
        self,
        scores: list[ForeignScore],
        origin: str,
        digest: str,
        store: Store,
        notes: Counter[str],
    ) -> Iterator[Result]:
        """Yield one model's scores, those of the panel first."""
        left = list(scores)
        for benchmark in self._panel.benchmarks:
            tasks = self._tasks[benchmark.name]
            parts = [_find(left, task.name, benchmark) for task in tasks]
            stated = [part for part in parts if part is not None]
            if not stated:
                continue
            differs = _differences(benchmark, tasks, stated)
            if differs:
                notes[f"{benchmark.name}: kept apart, {differs}"] += 1
                continue
            left = [score for score in left if score not in stated]
            yield self._panel_result(benchmark, tasks, stated, origin, digest, store)
        for score in left:
            yield self._own_result(score, origin, digest, store, notes)

    def _panel_result(
        self,
        benchmark: Benchmark,
        tasks: tuple[TaskIdentity, ...],
        parts: list[ForeignScore],
        origin: str,
        digest: str,
        store: Store,
    ) -> Result:
        first = parts[0]
        counts = [part.n_items for part in parts]
        versions = "/".join(sorted({f"v{task.version}" for task in tasks if task.version}))
        words = f"{first.harness} {'+'.join(benchmark.tasks)} {versions} {benchmark.metric}"
        if benchmark.filter != "none":
            words += f" ({benchmark.filter})"
        result = Result(
            key=_key(digest, benchmark.name, parts),
            model=first.model,
            revision=first.revision,
            benchmark=benchmark.name,
            score=math.fsum(part.score for part in parts) / len(parts),
            stderr=math.sqrt(math.fsum(part.stderr**2 for part in parts)) / len(parts),
            n_items=None if None in counts else sum(n for n in counts if n is not None),
            n_shot=benchmark.n_shot,
            protocol=words,
            source=origin,
            comparable=benchmark.comparable,
            identity=_identity(digest, parts),
            tasks=tuple(_task_record(part) for part in parts),
        )
        return _with_samples(result, parts, store)

    def _own_result(
        self,
        score: ForeignScore,
        origin: str,
        digest: str,
        store: Store,
        notes: Counter[str],
    ) -> Result:
        name = " ".join(filter(None, (score.task, score.metric)))
        if score.filter != "none":
            name += f" ({score.filter})"
        if score.task in self._tasks and not score.metric:
            benchmark = self._panel[score.task]
            if _same_words(score, benchmark, self._tasks[score.task]):
                name = benchmark.name
            else:
                name = f"{score.task} (imported)"
                notes[
                    f"{score.task}: kept as {name!r}, "
                    + (f"its protocol is {score.protocol!r}" if score.protocol
                       else "the file does not state its protocol")
                ] += 1  # fmt: skip
        version = f"v{score.version}" if score.version else ""
        words = [" ".join(filter(None, (score.harness, score.task, version, score.metric)))]
        protocol = score.protocol or "; ".join(
            [*(words if score.metric else ()), *score.conditions]
        )
        result = Result(
            key=_key(digest, name, [score]),
            model=score.model,
            revision=score.revision,
            benchmark=name,
            score=score.score,
            stderr=score.stderr,
            n_items=score.n_items,
            n_shot=score.n_shot,
            protocol=protocol,
            source="; ".join(filter(None, (origin, score.source))),
            comparable=name in self._tasks,
            identity=_identity(digest, [score]),
            tasks=(_task_record(score),),
        )
        return _with_samples(result, [score], store)


def _agreeing(brought: list[Result], kept: list[Result], notes: Counter[str]) -> list[Result]:
    """Return the new results that neither each other nor the store contradicts."""
    stated: dict[tuple[object, ...], set[float]] = {}
    for result in [*kept, *brought]:
        stated.setdefault(_cell(result), set()).add(round(result.score, 9))
    agreeing = []
    for result in brought:
        values = stated[_cell(result)]
        if len(values) == 1:
            agreeing.append(result)
            continue
        said = " and ".join(f"{value:g}" for value in sorted(values))
        notes[f"left out: {result.model} {result.revision} {result.benchmark} is both {said}"] += 1
    return agreeing


def _cell(result: Result) -> tuple[object, ...]:
    """Return what a score table tells results apart by."""
    return result.model, result.revision, result.benchmark, result.n_shot, result.protocol


def _find(scores: Iterable[ForeignScore], task: str, benchmark: Benchmark) -> ForeignScore | None:
    """Return the score of a task that is nearest to what the panel asks for."""
    of_task = [score for score in scores if score.task == task and score.metric]
    return min(
        of_task,
        key=lambda s: (
            s.metric != benchmark.metric,
            s.filter != benchmark.filter,
            s.n_shot != benchmark.n_shot,
        ),
        default=None,
    )


def _differences(
    benchmark: Benchmark, tasks: tuple[TaskIdentity, ...], parts: list[ForeignScore]
) -> str:
    """Return in words how scores differ from the panel's protocol, or ""."""
    told = []
    if len(parts) != len(tasks):
        told.append(f"{len(parts)} of {len(tasks)} tasks are there")
    versions = {task.name: task.version for task in tasks}
    for part in parts:
        version = versions[part.task]
        for what, stated, wanted, same in (
            ("metric", part.metric, benchmark.metric, part.metric == benchmark.metric),
            ("filter", part.filter, benchmark.filter, part.filter == benchmark.filter),
            ("shots", part.n_shot, benchmark.n_shot, part.n_shot == benchmark.n_shot),
            ("task version", part.version, version, _same_version(part.version, version)),
        ):
            if stated in (None, ""):
                told.append(f"{what} not stated (the panel's is {wanted})")
            elif not same:
                told.append(f"{what} {stated}, not {wanted}")
        told += part.conditions
    return ", ".join(dict.fromkeys(told))


def _same_version(stated: str, wanted: str) -> bool:
    try:
        return float(stated) == float(wanted)
    except ValueError:
        return stated == wanted


def _same_words(score: ForeignScore, benchmark: Benchmark, tasks: tuple[TaskIdentity, ...]) -> bool:
    """Return whether a table's words are those that our own results of this benchmark carry."""
    versions = "/".join(sorted({f"v{task.version}" for task in tasks if task.version}))
    words = f"{harness_version()} {'+'.join(benchmark.tasks)} {versions} {benchmark.metric}"
    if benchmark.filter != "none":
        words += f" ({benchmark.filter})"
    stated = score.protocol.split("; ")
    # After the task's own words comes the backend; anything behind it is a further condition.
    return stated[0] == words and len(stated) <= 2 and score.n_shot == benchmark.n_shot


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob("results*.json"))
        else:
            yield path


def _with_samples(result: Result, parts: list[ForeignScore], store: Store) -> Result:
    files = [(part.task, part.samples) for part in parts if part.samples is not None]
    if files:
        write_samples(
            store.samples_file(result.key),
            ({"task": task, **record} for task, file in files for record in _records(file)),
        )
    return result


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ImportFileError(f"{path}: line {number} is not JSON ({error})") from None


def _task_record(score: ForeignScore) -> dict[str, object]:
    return {
        "task": score.task,
        "score": score.score,
        "stderr": score.stderr,
        "n_items": score.n_items,
    }


def _identity(digest: str, parts: list[ForeignScore]) -> str:
    stated = [
        {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in vars(part).items()
            if name != "samples"
        }
        for part in parts
    ]
    return canonical_json({"imported": digest, "scores": stated})


def _key(digest: str, name: str, parts: list[ForeignScore]) -> str:
    text = canonical_json([name, _identity(digest, parts)])
    return hashlib.sha256(text.encode()).hexdigest()

"""Holding scores of others against a panel's protocol, and naming them accordingly."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator

from capspace.collect.errors import ImportFileError
from capspace.collect.foreign import ForeignScore
from capspace.collect.harness import Harness, harness_version
from capspace.collect.identity import TaskIdentity, canonical_json
from capspace.collect.result import Result
from capspace.tasks.panel import Benchmark, Panel

__all__ = ["Brought", "Protocols"]

Brought = tuple[Result, list[ForeignScore]]
"""A result, and the scores of the file that it is made of."""

_SHARES = {"acc", "acc_norm", "mc1", "mc2"}


class Protocols:
    """The panel's protocols as this lm-eval has them, to hold foreign scores against."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        harness = Harness(panel.benchmarks)
        self._tasks = {b.name: harness.tasks(b) for b in panel.benchmarks}

    def require_shares(self, scores: Iterable[ForeignScore]) -> None:
        """Refuse what is no share of the items where only a share can be.

        Raises
        ------
        ImportFileError
            A score outside [0, 1]; where it looks like a percentage, the message says so.

        """
        metrics = {
            (task.name, benchmark.metric)
            for benchmark in self._panel.benchmarks
            for task in self._tasks[benchmark.name]
        }
        for score in scores:
            named = (score.task, score.metric) in metrics or score.metric in _SHARES
            label = not score.metric and score.task in self._tasks
            if (named or label) and not 0 <= score.score <= 1:
                percent = 1 < score.score <= 100
                raise ImportFileError(
                    f"{score.model}: {score.task} {score.metric}".rstrip()
                    + f" is {score.score:g}, outside [0, 1]; "
                    + ("it looks like a percentage: divide by 100" if percent else "check the file")
                )

    def results(
        self,
        scores: list[ForeignScore],
        origin: str,
        digest: str,
        notes: Counter[str],
    ) -> Iterator[Brought]:
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
            yield self._panel_result(benchmark, tasks, stated, origin, digest), stated
        for score in left:
            yield self._own_result(score, origin, digest, notes), [score]

    def _panel_result(
        self,
        benchmark: Benchmark,
        tasks: tuple[TaskIdentity, ...],
        parts: list[ForeignScore],
        origin: str,
        digest: str,
    ) -> Result:
        first = parts[0]
        counts = [part.n_items for part in parts]
        versions = "/".join(sorted({f"v{task.version}" for task in tasks if task.version}))
        words = f"{first.harness} {'+'.join(benchmark.tasks)} {versions} {benchmark.metric}"
        if benchmark.filter != "none":
            words += f" ({benchmark.filter})"
        words = "; ".join(filter(None, (words, first.setup)))
        return Result(
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
            provenance=_setup(first),
        )

    def _own_result(
        self,
        score: ForeignScore,
        origin: str,
        digest: str,
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
            [*(words if score.metric else ()), *filter(None, [score.setup]), *score.conditions]
        )
        return Result(
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
            provenance=_setup(score),
        )


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


def _task_record(score: ForeignScore) -> dict[str, object]:
    return {
        "task": score.task,
        "score": score.score,
        "stderr": score.stderr,
        "n_items": score.n_items,
    }


def _setup(score: ForeignScore) -> dict[str, str]:
    """Return how the model was run; a key need not say it, as one file has one of it."""
    backend, _, dtype = score.setup.rpartition(" ")
    return {"backend": backend, "dtype": dtype} if score.setup else {}


def _identity(digest: str, parts: list[ForeignScore]) -> str:
    stated = [
        {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in vars(part).items()
            if name not in {"samples", "setup"}
        }
        for part in parts
    ]
    return canonical_json({"imported": digest, "scores": stated})


def _key(digest: str, name: str, parts: list[ForeignScore]) -> str:
    text = canonical_json([name, _identity(digest, parts)])
    return hashlib.sha256(text.encode()).hexdigest()

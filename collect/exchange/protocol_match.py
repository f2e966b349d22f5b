"""Imported scores are matched against a panel's protocol, and named accordingly."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from capspace.fit._json import json_safe
from capspace.tasks.panel import Benchmark, Panel

from ..errors import ImportFileError
from ..harness.harness import Harness
from ..storage.digests import canonical_json, sha256
from ..storage.identity import TaskIdentity
from ..storage.protocol import Protocol
from ..storage.result import Result
from .external_score import ExternalFile, ExternalScore

__all__ = ["Brought", "PanelProtocols"]

Brought = tuple[Result, list[ExternalScore]]
"""A result, and the scores of the file that it is made of."""

_ROUNDING = 1e-6  # of a mean of ones
_SHARES = {"acc", "acc_norm", "mc1", "mc2"}


class PanelProtocols:
    """The panel's protocols as this lm-eval has them, to hold external scores against."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        harness = Harness(panel.benchmarks)
        self._tasks = {b.name: harness.tasks(b) for b in panel.benchmarks}

    def shares(self, file: ExternalFile) -> ExternalFile:
        """Return a file without what is no share of the items where only a share can be.

        Raises
        ------
        ImportFileError
            Scores look like percentages, and none beside them is a fraction for certain: then the
            scale of all is in doubt.

        """
        is_fractions = any(self._is_share(s) and 0 < s.score < 1 for s in file.scores)
        scores: list[ExternalScore] = []
        left_out = list(file.left_out)
        for score in file.scores:
            label = f"{score.model}: {score.task} {score.metric}".rstrip()
            if not self._is_share(score) or 0 <= score.score <= 1:
                scores.append(score)
            elif 1 < score.score <= 1 + _ROUNDING:
                scores.append(replace(score, score=1.0))
            elif 1 < score.score <= 100 and not is_fractions:
                raise ImportFileError(
                    f"{label} is {score.score:g}, outside [0, 1]; "
                    "it looks like a percentage: divide by 100"
                )
            else:
                left_out.append(f"{label} is {score.score:g}, outside [0, 1]")
        return replace(file, scores=tuple(scores), left_out=tuple(left_out))

    def _is_share(self, score: ExternalScore) -> bool:
        of_panel = any(
            benchmark.metric == score.metric and task.name == score.task
            for benchmark in self._panel.benchmarks
            for task in self._tasks[benchmark.name]
        )
        is_label = score.task in self._tasks and (not score.metric or bool(score.protocol))
        return of_panel or is_label or score.metric in _SHARES

    def results(
        self,
        scores: list[ExternalScore],
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
        parts: list[ExternalScore],
        origin: str,
        digest: str,
    ) -> Result:
        first = parts[0]
        counts = [part.n_items for part in parts]
        backend, _, dtype = first.setup.rpartition(" ")
        protocol = replace(
            Protocol.of(benchmark, tasks), harness=first.harness, backend=backend, dtype=dtype
        )
        return Result(
            key=_key(digest, benchmark.name, parts),
            model=first.model,
            revision=first.revision,
            benchmark=benchmark.name,
            score=math.fsum(part.score for part in parts) / len(parts),
            stderr=math.sqrt(math.fsum(part.stderr**2 for part in parts)) / len(parts),
            n_items=None if None in counts else sum(n for n in counts if n is not None),
            n_shot=benchmark.n_shot,
            protocol=str(protocol),
            source=origin,
            comparable=benchmark.comparable,
            identity=_identity(digest, parts),
            tasks=tuple(_task_record(part) for part in parts),
            provenance=_provenance(first),
            measured_at=first.run_date,
        )

    def _own_result(
        self,
        score: ExternalScore,
        origin: str,
        digest: str,
        notes: Counter[str],
    ) -> Result:
        is_label = bool(score.protocol) or not score.metric  # and no task of lm-eval
        name = score.task if is_label else f"{score.task} {score.metric}"
        if score.filter != "none" and not is_label:
            name += f" ({score.filter})"
        if score.task in self._tasks and is_label:
            benchmark = self._panel[score.task]
            if _is_the_panels(score, benchmark, self._tasks[score.task]):
                name = benchmark.name
            else:
                name = f"{score.task} (imported)"
                notes[
                    f"{score.task}: kept as {name!r}, "
                    + (f"its protocol is {score.protocol!r}" if score.protocol
                       else "the file does not state its protocol")
                ] += 1  # fmt: skip
        return Result(
            key=_key(digest, name, [score]),
            model=score.model,
            revision=score.revision,
            benchmark=name,
            score=score.score,
            stderr=score.stderr,
            n_items=score.n_items,
            n_shot=score.n_shot,
            protocol=score.protocol or _sentence(score),
            source="; ".join(filter(None, (origin, score.source))),
            comparable=name in self._tasks,
            identity=_identity(digest, [score]),
            tasks=(_task_record(score),),
            provenance=_provenance(score),
            measured_at=score.run_date,
        )


def _find(scores: Iterable[ExternalScore], task: str, benchmark: Benchmark) -> ExternalScore | None:
    """Return the score of a task that is nearest to what the panel asks for."""
    of_task = [s for s in scores if s.task == task and s.metric and not s.protocol]
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
    benchmark: Benchmark, tasks: tuple[TaskIdentity, ...], parts: list[ExternalScore]
) -> str:
    """Return in words how scores differ from the panel's protocol, or ""."""
    differences = []
    if len(parts) != len(tasks):
        differences.append(f"{len(parts)} of {len(tasks)} tasks are there")
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
                differences.append(f"{what} not stated (the panel's is {wanted})")
            elif not same:
                differences.append(f"{what} {stated}, not {wanted}")
        differences += part.conditions
    return ", ".join(dict.fromkeys(differences))


def _same_version(stated: str, wanted: str) -> bool:
    try:
        return float(stated) == float(wanted)
    except ValueError:
        return stated == wanted


def _is_the_panels(
    score: ExternalScore, benchmark: Benchmark, tasks: tuple[TaskIdentity, ...]
) -> bool:
    """Return whether a table's protocol is the one that our own results of a benchmark carry."""
    stated = Protocol.parse(score.protocol)
    return (
        stated is not None
        and stated.task == Protocol.of(benchmark, tasks).task
        and not stated.conditions
        and score.n_shot == benchmark.n_shot
    )


def _sentence(score: ExternalScore) -> str:
    """Return what a score of no panel states of its protocol."""
    if not score.metric:
        return "; ".join(filter(None, (score.setup, *score.conditions)))
    backend, _, dtype = score.setup.rpartition(" ")
    return str(
        Protocol(
            tasks=(score.task,),
            metric=score.metric,
            version=f"v{score.version}" if score.version else None,
            harness=score.harness or None,
            backend=backend,
            dtype=dtype,
            further=score.conditions,
        )
    )


def _task_record(score: ExternalScore) -> dict[str, object]:
    return {
        "task": score.task,
        "score": score.score,
        "stderr": score.stderr,
        "n_items": score.n_items,
    }


def _provenance(score: ExternalScore) -> dict[str, str]:
    """Return how and when the model was run; a key need not say it, as one file has one of it."""
    backend, _, dtype = score.setup.rpartition(" ")
    setup = {"backend": backend, "dtype": dtype} if score.setup else {}
    return setup | {"run_date": score.run_date}


def _identity(digest: str, parts: list[ExternalScore]) -> str:
    unidentifying = {"samples", "setup", "run_date"}
    stated = [{k: v for k, v in vars(part).items() if k not in unidentifying} for part in parts]
    return canonical_json({"imported": digest, "scores": json_safe(stated)})


def _key(digest: str, name: str, parts: list[ExternalScore]) -> str:
    text = canonical_json([name, _identity(digest, parts)])
    return sha256(text)

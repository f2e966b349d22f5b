"""Imported sample records are checked against the scores that come with them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import ImportFileError
from .external_samples import log_likelihoods, read_external_samples
from .external_score import ExternalFile, ExternalScore

__all__ = ["checked_samples"]

# Their score is the mean over the items; of other metrics only their task knows how they add up.
_MEANS = {"acc", "acc_bytes", "acc_mutual_info", "acc_norm", "exact_match", "mc1", "mc2"}
_FINEST = 1e-6


@dataclass
class _Samples:
    """What a file of samples says of its scores."""

    problem: str = ""
    n_items: Counter[str] = field(default_factory=Counter)
    """By filter."""

    n_broken: Counter[str] = field(default_factory=Counter)
    """Items whose log-likelihoods choose nothing, by filter."""

    values: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    """Of every item, by metric and filter."""


def checked_samples(file: ExternalFile) -> ExternalFile:
    """Return a file without the scores that its samples make void.

    Samples that cannot be read are left out, and the scores beside them taken; samples that
    contradict their score are noted.
    """
    read: dict[Path, _Samples] = {}
    scores: list[ExternalScore] = []
    left_out, notes = list(file.left_out), list(file.notes)
    for score in file.scores:
        if score.samples is None:
            scores.append(score)
            continue
        if score.samples not in read:
            read[score.samples] = _read(score.samples)
            if problem := read[score.samples].problem:
                notes.append(f"samples left out, their scores are taken: {problem}")
        samples = read[score.samples]
        if samples.problem:
            scores.append(replace(score, samples=None))
        elif n := _of_filter(samples.n_broken, score.filter):
            left_out.append(
                f"{score.task} {score.metric}: {n} of {_of_filter(samples.n_items, score.filter)} "
                f"items have log-likelihoods that are no numbers ({score.samples.name})"
            )
        else:
            scores.append(score)
            notes += _contradictions(score, samples, score.samples.name)
    return replace(file, scores=tuple(scores), left_out=tuple(left_out), notes=tuple(notes))


def _read(path: Path) -> _Samples:
    samples = _Samples()
    try:
        for record in read_external_samples(path):
            _count(record, samples)
    except ImportFileError as error:
        return _Samples(problem=str(error))
    return samples


def _count(record: dict[str, Any], samples: _Samples) -> None:
    chosen = str(record.get("filter", ""))
    samples.n_items[chosen] += 1
    values = log_likelihoods(record)
    # One continuation may have no probability at all, but one of them has to have some.
    if values and (any(math.isnan(v) or v == math.inf for v in values) or max(values) == -math.inf):
        samples.n_broken[chosen] += 1
    for metric in _MEANS & record.keys():
        value = record[metric]
        is_number = isinstance(value, (bool, int, float))
        samples.values[metric, chosen].append(float(value) if is_number else math.nan)


def _of_filter(counts: Counter[str], chosen: str) -> int:
    """Return a count of one filter; where records do not name theirs, they are of all."""
    return counts[chosen] or counts[""]


def _contradictions(score: ExternalScore, samples: _Samples, name: str) -> Iterator[str]:
    where = f"{name} contradicts its score"
    n = _of_filter(samples.n_items, score.filter)
    if score.n_items is not None and n != score.n_items:
        yield f"{where}: {score.task} has {score.n_items} items, and there are {n} samples"
        return
    values = _values(samples, score)
    if len(values) != n or not n:
        return
    mean = math.fsum(values) / n
    if not abs(mean - score.score) <= _rounding(score.score):
        yield (
            f"{where}: {score.task} {score.metric} is {score.score:g}, and its {n} samples "
            f"give {mean:g}"
        )


def _values(samples: _Samples, score: ExternalScore) -> list[float]:
    of_filter = samples.values.get((score.metric, score.filter))
    return of_filter or samples.values.get((score.metric, ""), [])


def _rounding(score: float) -> float:
    """Return by how much a mean may differ from a score that may have been rounded."""
    decimals = len(repr(score).partition(".")[2]) if "e" not in repr(score) else 17
    return max(_FINEST, 0.5 * 10.0 ** -max(decimals, 2))

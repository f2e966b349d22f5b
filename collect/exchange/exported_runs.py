"""Results are grouped into the runs that are exported, and the runs get file names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..storage.digests import canonical_json, sha256
from ..storage.protocol import Protocol
from ..storage.result import Result, metric_and_filter
from ..storage.run_dates import run_date
from ..storage.score_table import mode_suffixes

__all__ = ["Run", "file_name", "runs", "versions_of", "without_collisions"]

_LONGEST_NAME = 150


@dataclass(frozen=True)
class Run:
    """Results of one model under one set of conditions.

    Attributes
    ----------
    model, revision : str
        As of each result.
    is_measured : bool
        False where others measured.
    harness : str
        ``"lm-eval <version>"``; "" where nobody states it.
    model_identity : dict
        How the model was run: backend, dtype, settings; what others state of it.
    seeds : dict
        lm-eval's seeds by their short names; empty where others ran it.
    limit : int, or None
        How many items per task were asked for; None is all, or as the conditions say.
    conditions : tuple of str
        What else was out of the ordinary, in words.
    protocol : str
        The protocol in the words of the table or record that a score came from; "" for others.
    is_dated : bool
        False where nobody states when it was run, and the results' dates are those of an import.
    name : str
        The model's, with its mode where it thinks: a model's modes are models of their own.
    results : list of Result

    """

    model: str
    revision: str
    is_measured: bool
    harness: str
    model_identity: dict[str, Any]
    seeds: dict[str, int]
    limit: int | None
    conditions: tuple[str, ...]
    protocol: str
    is_dated: bool
    name: str
    results: list[Result]

    @property
    def digest(self) -> bytes:
        """SHA-256 of what tells this run from others of the same model."""
        other = ("name", "results")  # which the rest decides
        described = {name: value for name, value in vars(self).items() if name not in other}
        return bytes.fromhex(sha256(canonical_json(described).encode("utf-8", "surrogatepass")))


def runs(results: Iterable[Result]) -> list[Run]:
    """Return results grouped by all that is said of a run as a whole."""
    groups: dict[bytes, Run] = {}
    rows = list(results)
    for result, suffix in zip(rows, mode_suffixes(rows, thinking_alone=True), strict=True):
        run = _run_of(result, name=f"{result.model}{suffix}")
        groups.setdefault(run.digest, run).results.append(result)
    return list(groups.values())


def _run_of(result: Result, *, name: str) -> Run:
    """Return the run that a result is of, still without results."""
    identity = json.loads(result.identity)
    scores = identity.get("scores")
    protocol = ""
    conditions: Sequence[str]
    if scores is None:
        harness, model = identity.get("harness", ""), identity.get("model", {})
        measured = Protocol.parse(result.protocol)
        conditions = () if measured is None else measured.conditions
    else:
        harness = scores[0].get("harness", "")
        model = {n: result.provenance[n] for n in ("backend", "dtype") if n in result.provenance}
        conditions = scores[0].get("conditions") or []
        protocol = scores[0].get("protocol", "")
    return Run(
        model=result.model,
        revision=result.revision,
        is_measured=scores is None,
        harness=harness,
        model_identity=model,
        seeds=identity.get("seeds", {}),
        limit=identity.get("limit"),
        conditions=tuple(conditions),
        protocol=protocol,
        is_dated=scores is None or bool(run_date(result)),
        name=name,
        results=[],
    )


def without_collisions(results: Iterable[Result]) -> list[list[Result]]:
    """Return results in as many parts as lm-eval's layout needs to hold them all.

    A file of it has one version, number of shots and of items per task, and one score per task,
    metric and filter.
    """
    parts: list[tuple[dict[object, object], list[Result]]] = []
    for result in results:
        stated = _stated(result)
        for described, own in parts:
            if all(described.get(place, value) == value for place, value in stated.items()):
                described.update(stated)
                own.append(result)
                break
        else:
            parts.append((dict(stated), [result]))
    return [own for _, own in parts]


def _stated(result: Result) -> dict[object, object]:
    """Return what a result says in lm-eval's layout, by the place where it says it."""
    metric_filter = metric_and_filter(result)
    versions = versions_of(result)
    stated: dict[object, object] = {}
    for task in result.tasks:
        name = str(task["task"])
        stated[file_name(name)] = name, versions.get(name, ""), result.n_shot, task["n_items"]
        stated[name, metric_filter] = result.key
    return stated


def versions_of(result: Result) -> dict[str, str]:
    """Return the version of each of a result's tasks, as far as it is known."""
    identity = json.loads(result.identity)
    stated = [
        (str(part.get("task", "")), str(part.get("version", "")))
        for part in identity.get("scores", ())
    ]
    own = [(str(task["name"]), str(task["version"])) for task in identity.get("tasks", ())]
    return dict(stated + own)


def file_name(name: str) -> str:
    """Return a name as a single file name: no name leads out of the folder."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "__", name).lstrip(".")
    if len(plain) > _LONGEST_NAME:
        digest = sha256(name.encode("utf-8", "surrogatepass"))
        plain = f"{plain[: _LONGEST_NAME - 13]}-{digest[:12]}"
    return plain or "model"

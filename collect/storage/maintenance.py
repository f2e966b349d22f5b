"""Store maintenance: what a store holds, whether it is intact, and what may be removed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capspace.fit._json import json_dict
from capspace.fit.errors import near_matches

from ..errors import CollectError, StoreError
from .journal import JournalInfo, inspect_journal, open_journal
from .response_identity import recorded_identity
from .result import Result
from .store import Store

__all__ = ["Removed", "StoreInfo", "check_store", "compact_store", "remove_model", "store_info"]

_JOURNAL = "journal"
_SAMPLES = ".jsonl.gz"
_SETTLED_SECONDS = 3600.0  # samples are written a little before the score that they belong to


@dataclass(frozen=True)
class StoreInfo:
    """What a store holds.

    Attributes
    ----------
    path : Path
    n_results : mapping of model to number of scores
    n_responses : mapping of model to number of stored responses
        Responses of a model without a score count under the checkpoint they name.
    n_bytes : mapping of part to bytes
        "scores", "samples", "responses" and "logs".
    n_quarantined : int
        Damaged files of responses in quarantine.
    n_without_response : int
        Requests that got no response.
    longest_without_response : int, or None
        Characters of the longest of them.
    notices : tuple of str
        What reading the responses had to repair, or could not.

    """

    path: Path
    n_results: dict[str, int]
    n_responses: dict[str, int]
    n_bytes: dict[str, int]
    n_quarantined: int
    n_without_response: int
    longest_without_response: int | None
    notices: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values, three of them also under the names of 0.1.0."""
        former = {
            "n_answers": self.n_responses,
            "n_unanswered": self.n_without_response,
            "longest_unanswered": self.longest_without_response,
        }
        return json_dict({**vars(self), **former})


@dataclass(frozen=True)
class Removed:
    """How much was removed."""

    n_scores: int
    n_responses: int
    n_failures: int


def store_info(store: Store) -> StoreInfo:
    """Return what a store holds, and how much room each part takes."""
    info, notices = JournalInfo({}, {}, {}, [], 0, 0, 0), list[str]()
    if (store.path / _JOURNAL).exists():
        with open_journal(store.path, must_write=False) as journal:
            info = journal.info()
            notices = journal.take_notices()
    results = store.results()
    names = {recorded_identity(r.identity): r.model for r in results}
    responses: Counter[str] = Counter()
    for identity, n in info.n_responses.items():
        responses[names.get(identity) or _checkpoint(info, identity)] += n
    for failure in info.without_response:
        responses[names.get(failure.identity) or _checkpoint(info, failure.identity)] += 0
    return StoreInfo(
        path=store.path,
        n_results=dict(Counter(r.model for r in results)),
        n_responses=dict(responses),
        n_bytes={
            "scores": sum(p.stat().st_size for p in store.path.glob("store.sqlite*")),
            "samples": _size(store.samples_path),
            "responses": _size(store.path / _JOURNAL),
            "logs": _size(store.logs_path),
        },
        n_quarantined=info.n_quarantined,
        n_without_response=len(info.without_response),
        longest_without_response=max((f.characters for f in info.without_response), default=None),
        notices=tuple(notices),
    )


def check_store(store: Store) -> list[str]:
    """Read everything and return one line for each thing that is not whole.

    Raises
    ------
    CollectError
        There is no store.

    """
    _require_store(store)
    problems = [result.problem for result in store.damaged()]
    for result in store.results():
        imported = not recorded_identity(result.identity)
        if imported and not store.samples_file(result.key).exists():
            continue  # a score may be imported without its samples
        try:
            n_items = sum(1 for _ in store.samples(result.key))
        except StoreError as error:
            problems.append(str(error))
            continue
        if result.n_items is not None and n_items < result.n_items:
            path = store.samples_file(result.key)
            problems.append(f"{path}: {n_items} of {result.n_items} items")
    problems += [
        f"{path}: belongs to no score (a stopped run left it); 'capspace store compact' deletes it"
        for path in _left_behind(store)
    ]
    # Opening the journal would repair what a check is to report.
    return problems + inspect_journal(store.path / _JOURNAL).problems


def compact_store(store: Store) -> tuple[int, int]:
    """Give back room that is not used; return bytes before and after.

    Samples that belong to no score and quarantined files are deleted.

    Raises
    ------
    CollectError
        There is no store.

    """
    _require_store(store)
    before = _size(store.path)
    for path in _left_behind(store):
        path.unlink(missing_ok=True)
    store.compact()
    with open_journal(store.path) as journal:
        journal.compact()
    return before, _size(store.path)


def remove_model(store: Store, model: str, *, benchmark: str | None = None) -> Removed:
    """Remove a model's scores, samples and failures, and responses that no other score rests on.

    Parameters
    ----------
    store : Store
        Where they are.
    model : str
        Name as ``capspace store info`` shows it: of responses without a score, their checkpoint. Or
        the name of a damaged score, as ``capspace store check`` tells it.
    benchmark : str, optional
        Only this score; responses stay, as other benchmarks may share them.

    Raises
    ------
    CollectError
        There is nothing of this name; near matches are named.
    JournalError
        The model is being measured.

    """

    def is_meant(named: str, of: str) -> bool:
        return named == model and benchmark in (None, of)

    if not store.file.exists():
        raise CollectError(f"{store.path} has nothing of {model!r}: there is no store")
    damaged = [d for d in store.damaged() if is_meant(d.model, d.benchmark) or d.name == model]
    everything, failed = store.results(), store.failures()
    own = [r for r in everything if is_meant(r.model, r.benchmark)]
    failures = [f for f in failed if is_meant(f.model, f.benchmark)]
    n_responses = 0
    with open_journal(store.path) as journal:
        info = journal.info()
        identities, unscored = _identities(model, own, everything, info)
        if benchmark is None and identities:
            n_responses = sum(info.n_responses.get(identity, 0) for identity in identities)
            journal.remove(identities)
        elif not (own or failures or damaged):
            cells = [(r.model, r.benchmark) for r in everything]
            cells += [(f.model, f.benchmark) for f in failed]
            known = dict.fromkeys([*(name for name, _ in cells), *unscored])
            its = dict.fromkeys(of for name, of in cells if name == model)
            if benchmark is None or not its:
                near = near_matches(model, known)
                raise CollectError(f"{store.path} has nothing of {model!r}{near}")
            near = near_matches(benchmark, its) or f"; it has {', '.join(its)}"
            raise CollectError(f"{store.path} has nothing of {model!r} on {benchmark!r}{near}")
    store.remove(r.key for r in own)
    store.remove_damaged(damaged)
    store.remove_failures(failures)
    return Removed(len(own) + len(damaged), n_responses, len(failures))


def _identities(
    model: str, own: list[Result], everything: Iterable[Result], info: JournalInfo
) -> tuple[set[str], set[str]]:
    """Return whose responses are the model's alone, and all checkpoints that have no score."""
    keys = {r.key for r in own}
    others = {recorded_identity(r.identity) for r in everything if r.key not in keys}
    scored = {recorded_identity(r.identity) for r in own}
    recorded = info.n_responses.keys() | {failure.identity for failure in info.without_response}
    named = {i: _checkpoint(info, i) for i in recorded - scored - others}
    identities = {i for i, checkpoint in named.items() if checkpoint == model}
    return identities | (scored - others - {""}), set(named.values())


def _require_store(store: Store) -> None:
    if not (store.file.exists() or (store.path / _JOURNAL).exists()):
        raise CollectError(f"{store.path}: there is no store")


def _left_behind(store: Store) -> list[Path]:
    """Return the files of samples that a run which is over left without a score."""
    paths = sorted(store.samples_path.glob("*"))
    # Workers of a zoo write samples; their scores come into the store when its driver next runs.
    in_zoos = {path.stem for path in store.path.glob("zoo/*/cells/*.json")}
    keys = store.keys() | in_zoos
    left_behind = []
    for path in paths:
        is_part = path.name.startswith(".") and path.name.endswith(".part")
        of_none = path.name.endswith(_SAMPLES) and path.name.removesuffix(_SAMPLES) not in keys
        try:
            age = time.time() - path.stat().st_mtime
        except FileNotFoundError:  # its writer has finished it meanwhile
            continue
        if (is_part or of_none) and age > _SETTLED_SECONDS:
            left_behind.append(path)
    return left_behind


def _checkpoint(info: JournalInfo, identity: str) -> str:
    """Return the checkpoint that responses without a score name."""
    described = info.descriptions.get(identity, {}).get("model", {})
    return str(described.get("checkpoint", identity[:12]))


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())

"""Looking after a store: what it holds, whether it is whole, and what may go."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capspace.collect.errors import CollectError, StoreError
from capspace.collect.journal import Journal, JournalInfo
from capspace.collect.recording import open_journal, recorded_identity
from capspace.collect.store import Store
from capspace.fit.errors import near_matches

__all__ = ["StoreInfo", "check_store", "compact_store", "remove_model", "store_info"]


@dataclass(frozen=True)
class StoreInfo:
    """What a store holds.

    Attributes
    ----------
    path : Path
    n_results : mapping of model to number of scores
    n_answers : mapping of model to number of kept answers
        Answers of a model without a score count under the checkpoint they name.
    n_bytes : mapping of part to bytes
        "scores", "samples", "answers" and "logs".
    n_quarantined : int
        Damaged files of answers that were put aside.
    notices : tuple of str
        What reading the answers had to mend, or could not.

    """

    path: Path
    n_results: dict[str, int]
    n_answers: dict[str, int]
    n_bytes: dict[str, int]
    n_quarantined: int
    notices: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        return {**vars(self), "path": str(self.path)}


def store_info(store: Store) -> StoreInfo:
    """Return what a store holds, and how much room each part takes."""
    with open_journal(store.path, must_write=False) as journal:
        kept = journal.info()
        notices = journal.take_notices()
    results = store.results()
    names = {recorded_identity(r.identity): r.model for r in results}
    answers: Counter[str] = Counter()
    for identity, n in kept.n_answers.items():
        answers[names.get(identity) or _checkpoint(kept, identity)] += n
    return StoreInfo(
        path=store.path,
        n_results=dict(Counter(r.model for r in results)),
        n_answers=dict(answers),
        n_bytes={
            "scores": sum(p.stat().st_size for p in store.path.glob("store.sqlite*")),
            "samples": _size(store.samples_path),
            "answers": _size(store.path / "journal"),
            "logs": _size(store.logs_path),
        },
        n_quarantined=kept.n_quarantined,
        notices=tuple(notices),
    )


def check_store(store: Store) -> list[str]:
    """Read everything and return one line for each thing that is not whole."""
    problems = []
    for result in store.results():
        if not math.isfinite(result.score):
            problems.append(f"{result.model} {result.benchmark}: its score is {result.score}")
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
    # Opening the journal would mend what a check is to tell of.
    return problems + Journal.inspect(store.path / "journal").problems


def compact_store(store: Store) -> tuple[int, int]:
    """Give back room that is not used; return bytes before and after."""
    before = _size(store.path)
    store.compact()
    with open_journal(store.path) as journal:
        journal.compact()
    return before, _size(store.path)


def remove_model(store: Store, model: str, *, benchmark: str | None = None) -> tuple[int, int]:
    """Remove a model's scores and samples, and its answers where no other score rests on them.

    Parameters
    ----------
    store : Store
        Where they are.
    model : str
        Name as ``capspace store info`` shows it: of answers without a score, their checkpoint.
    benchmark : str, optional
        Only this score; answers stay, as other benchmarks may share them.

    Returns
    -------
    tuple of int
        Scores and answers removed.

    Raises
    ------
    CollectError
        There is nothing of this name; near matches are named.
    JournalError
        The model is being measured.

    """
    everything = store.results()
    own = [r for r in everything if r.model == model and benchmark in (None, r.benchmark)]
    keys = {r.key for r in own}
    others = {recorded_identity(r.identity) for r in everything if r.key not in keys}
    with open_journal(store.path) as journal:
        kept = journal.info()
        scored = others | {recorded_identity(r.identity) for r in own}
        named = {i: _checkpoint(kept, i) for i in kept.n_answers.keys() - scored}
        identities = {i for i, checkpoint in named.items() if checkpoint == model}
        if not own and not (identities and benchmark is None):
            known = dict.fromkeys([*(r.model for r in everything), *named.values()])
            what = model if benchmark is None else f"{model} {benchmark}"
            raise CollectError(f"{store.path} has nothing of {what!r}{near_matches(model, known)}")
        n_answers = 0
        if benchmark is None:
            identities |= {recorded_identity(r.identity) for r in own} - others
            n_answers = sum(kept.n_answers.get(identity, 0) for identity in identities)
            journal.remove(identities)
    store.remove(keys)
    return len(own), n_answers


def _checkpoint(kept: JournalInfo, identity: str) -> str:
    """Return the checkpoint that answers without a score name."""
    described = kept.descriptions.get(identity, {}).get("model", {})
    return str(described.get("checkpoint", identity[:12]))


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())

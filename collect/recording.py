"""Recording for the runner: which journal, under which identity, and whose turn it is."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from capspace.collect.identity import Measurement, ModelIdentity, canonical_json
from capspace.collect.journal import Journal

if TYPE_CHECKING:
    from lm_eval.api.model import LM

    from capspace.collect.recorder import Recorder

__all__ = [
    "answers_identity",
    "in_turn",
    "open_journal",
    "recorded",
    "recorded_answers",
    "recorded_identity",
]

_POLL_SECONDS = 1.0
T = TypeVar("T")


def open_journal(store: Path, *, must_write: bool = True) -> Journal:
    """Return the journal that lies in a store's folder."""
    return Journal(store / "journal", must_write=must_write)


def answers_identity(measurement: Measurement) -> str:
    """Return the key of what decides a model's answer to a given request.

    The task, its shots and the limit are not in it: they are in the requests themselves. So a
    larger limit, or another task with the same prompts, asks only what is new.
    """
    return _digest(_answering(measurement.model, measurement.harness, measurement.seeds.torch))


def recorded_identity(canonical: str) -> str:
    """Return ``answers_identity`` of a measurement that is kept as canonical JSON."""
    kept = json.loads(canonical)
    if "model" not in kept:  # imported: no answers of ours lie behind it
        return ""
    return _digest(
        {"model": kept["model"], "harness": kept["harness"], "seed": kept["seeds"]["torch"]}
    )


def recorded(lm: LM, measurement: Measurement, *, journal: Journal, label: str) -> Recorder:
    """Return the model behind a recorder."""
    return recorded_answers(
        lm,
        measurement.model,
        seed=measurement.seeds.torch,
        harness=measurement.harness,
        journal=journal,
        label=label,
    )


def recorded_answers(
    lm: LM,
    model: ModelIdentity,
    *,
    seed: int,
    harness: str,
    journal: Journal,
    label: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> Recorder:
    """Return a model of this identity behind a recorder, whatever it is asked."""
    from capspace.collect.recorder import Recorder

    answering = _answering(model, harness, seed)
    return Recorder(
        lm,
        journal=journal,
        identity=_digest(answering),
        label=label,
        description=answering,
        on_progress=on_progress,
    )


def in_turn(
    items: Sequence[T],
    *,
    key: Callable[[T], str],
    is_done: Callable[[T], bool],
    journal: Journal,
) -> Iterator[T]:
    """Yield each item that is not done, claimed for as long as the caller works on it.

    Items that another process works on come last, once that process is done with them or dead.
    """
    waiting = list(items)
    while waiting:
        busy = []
        for item in waiting:
            with journal.claims.hold(key(item)) as claim:
                if claim is None:
                    busy.append(item)
                elif not is_done(item):
                    yield item
        waiting = busy
        if waiting:
            time.sleep(_POLL_SECONDS)


def _answering(model: ModelIdentity, harness: str, seed: int) -> dict[str, object]:
    return {"model": asdict(model), "harness": harness, "seed": seed}


def _digest(answering: dict[str, object]) -> str:
    return hashlib.sha256(canonical_json(answering).encode()).hexdigest()

"""Notes on the report say how the scores were measured, and how uncertain they are."""

from __future__ import annotations

import json
from collections.abc import Iterable

from capspace.fit.decide import ScoreAlarm
from capspace.fit.decide._stopping import StoppingPlan
from capspace.fit.table.comparable import not_comparable_note

from ..endpoint.address import NOTHING_TELLS, served_name
from ..recorder.thoughts import MOST_UNFINISHED
from ..storage.result import Result
from .collection import Collection

__all__ = [
    "foot_notes",
    "further_note",
    "measurement_notes",
    "page_data",
    "subtitle",
    "unfinished_shares",
]


def subtitle(collection: Collection) -> list[str]:
    """Return what tells this measurement from others, for headings."""
    (checkpoint,) = collection.checkpoints
    panel = collection.panel
    return [f"revision {checkpoint.revision[:12]}", f"panel {panel.name} v{panel.version}"]


def measurement_notes(collection: Collection) -> list[str]:
    """Return what a reader of the measured scores must know, in sentences."""
    notes = []
    (checkpoint,) = collection.checkpoints
    if checkpoint.kind == "endpoint":
        url, model = served_name(checkpoint)
        notes.append(f"Measured as {model} behind {url}: {NOTHING_TELLS}.")
    odd = [r.benchmark for r in collection.results if not r.comparable]
    if odd:
        notes.append(not_comparable_note(odd))
    notes += [
        f"{name}: {n:.1%} of the answers did not end their thought and count as wrong."
        for name, n in unfinished_shares(collection.results).items()
    ]
    limits = [
        result.benchmark
        for result in collection.results
        if json.loads(result.identity).get("limit") is not None
    ]
    if limits:
        notes.append(
            f"Only the first items of each task were measured ({', '.join(limits)}). The standard "
            "errors state the resulting uncertainty."
        )
    return notes + [_stopping_note(plan) for plan in collection.stopping.values()]


def _stopping_note(plan: StoppingPlan) -> str:
    """Return with how much of the items measuring ended, and what that costs."""
    if plan.is_whole:
        return (
            f"All items are measured, so that none is left out by the tolerance {plan.tolerance}."
        )
    expected = f"expected to be more than {plan.widening:.1%} wider than it would be with all items"
    if not plan.within_budget:
        return (
            f"The budget ended measuring, with {plan.token_share:.1%} of the tokens: no target's "
            f"interval is {expected}, where {plan.tolerance} was wanted."
        )
    return (
        f"Measuring stopped early, with {plan.token_share:.1%} of the tokens: no target's interval "
        f"is {expected}."
    )


def unfinished_shares(results: Iterable[Result]) -> dict[str, float]:
    """Return by benchmark the share of unfinished answers, where it is so large that it matters."""
    shares = {r.benchmark: r.provenance.get("unfinished") for r in results}
    return {
        name: share
        for name, share in shares.items()
        if isinstance(share, float) and share > MOST_UNFINISHED
    }


def further_note(further: Iterable[Result]) -> list[str]:
    """Return in a line which scores come from the store, and where they were measured."""
    sources: dict[str, list[str]] = {}
    for result in further:
        sources.setdefault(result.source, []).append(result.benchmark)
    parts = [f"{', '.join(names)} ({source})" for source, names in sources.items()]
    return [f"Scores also used from the store: {'; '.join(parts)}."] if parts else []


def foot_notes(collection: Collection) -> list[str]:
    """Return what the measurement did without, for the foot of the page."""
    benchmarks: dict[str, list[str]] = {}
    for result in collection.results:
        engine = result.provenance.get("engine") or {}
        if reason := engine.get("unsupported_reason"):
            newer = f"; {engine['newer']}" if engine.get("newer") else ""
            benchmarks.setdefault(f"{reason}{newer}", []).append(result.benchmark)
    return [
        "Measured on lm-eval's own path, without the scoring engine: "
        f"{', '.join(names)} ({reason})."
        for reason, names in benchmarks.items()
    ]


def page_data(collection: Collection, alarms: Iterable[ScoreAlarm]) -> dict[str, object]:
    """Return what the page's JSON says of the measurement."""
    (checkpoint,) = collection.checkpoints
    plans = list(collection.stopping.values())
    return {
        "revision": checkpoint.revision,
        "panel": f"{collection.panel.name} v{collection.panel.version}",
        "n_measured_now": collection.n_measured,
        **({"stopping": plans[0].to_dict()} if plans else {}),
        "alarms": [alarm.to_dict() for alarm in alarms],
        "results": [
            {
                "benchmark": r.benchmark,
                "key": r.key,
                "measured_at": r.measured_at,
                "engine": r.provenance.get("engine"),
                **(
                    {"unfinished": r.provenance["unfinished"]}
                    if "unfinished" in r.provenance
                    else {}
                ),
            }
            for r in collection.results
        ],
    }

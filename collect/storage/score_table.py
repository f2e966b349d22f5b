"""Results become a score table, whatever their checkpoints are called."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from capspace.fit.table import ScoreTable

from .digests import canonical_json
from .mode import Mode
from .protocol import Protocol
from .result import Result

__all__ = [
    "identity_of",
    "measured_model",
    "mode_suffixes",
    "named_rows",
    "single_scores",
    "to_table",
]

# Of a backend's settings, those that say how capspace itself computes and ends texts.
_OWN_SETTINGS = ("arithmetic", "ends", "softmax", "texts")


def to_table(
    results: Iterable[Result],
    *,
    longest_revision: int = 12,
    leaves_store: bool = False,
    states_sizes: bool = False,
) -> ScoreTable:
    """Return results as a score table.

    A score that was estimated from some items, drawn or chosen for that, is left out where there is
    one by all items, whichever is newer. Two checkpoints with one name (folders called alike) get a
    short hash behind it. A model that was measured thinking, too, or in two modes on one benchmark,
    has a row for each mode: a score of one says little about another. Where a model did not respond
    in plain mode, that is among its facts.

    Parameters
    ----------
    results : iterable of Result
        What to put into it.
    longest_revision : int
        How many characters of a hash the column ``revision`` holds.
    leaves_store : bool
        Whether a thinking model's name says so where no other mode is there, too: in another table
        it may stand beside one.
    states_sizes : bool
        Whether the facts of models that were measured here have the numbers of their parameters.

    Raises
    ------
    TableError
        Two results that no visible column tells apart disagree.

    """
    named = named_rows(results, leaves_store=leaves_store)
    names, rows = [name for name, _ in named], [row for _, row in named]
    records = [
        {
            "model": name,
            "revision": _short(r.revision, longest_revision),
            "benchmark": r.benchmark,
            "score": r.score,
            "stderr": r.stderr,
            "n_items": r.n_items,
            "n_shot": r.n_shot,
            "protocol": r.protocol,
            "source": r.source,
            "comparable": "yes" if r.comparable else "no",
        }
        for r, name in zip(rows, names, strict=True)
    ]
    if not records:
        return ScoreTable(pd.DataFrame(), pd.DataFrame())
    known = {
        name: label
        for name, label in zip(names, map(_mode, rows), strict=True)
        if label != "plain"  # of a score that was imported, too, nobody may know
    }
    facts: dict[str, dict[str, object]] = {"mode": {**known}} if known else {}
    if states_sizes and (sizes := _sizes(names, rows)):
        facts["parameters"] = {**sizes}
    return ScoreTable.from_records(records, pd.DataFrame(facts) if facts else None)


def named_rows(
    results: Iterable[Result], *, leaves_store: bool = False
) -> list[tuple[str, Result]]:
    """Return the results that ``to_table`` puts into a table, each with its model's name there."""
    rows = _without_estimates(list(results))
    revisions: dict[str, set[str]] = {}
    for row in rows:
        revisions.setdefault(row.model, set()).add(row.revision)
    suffixes = mode_suffixes(rows, thinking_alone=leaves_store)
    names = [
        (r.model if len(revisions[r.model]) == 1 else f"{r.model}@{_short(r.revision, 8)}") + suffix
        for r, suffix in zip(rows, suffixes, strict=True)
    ]
    return list(zip(names, rows, strict=True))


def single_scores(results: Iterable[Result]) -> tuple[list[Result], tuple[str, ...]]:
    """Return results without those that others of the same protocol stand for, and notes on them.

    Where a model was measured several times on a benchmark, and the runs differ in nothing but
    their items, the backend or the release of lm-eval, the score by most items stays, and of
    several the newest. Scores that were imported all stay, and so do those whose protocols, or
    settings of a backend, differ.
    """
    cells = [(_cell_of_any_run(row), row) for row in results]
    chosen: dict[tuple[object, ...], Result] = {}
    several: dict[str, None] = {}
    benchmarks: dict[str, None] = {}
    for cell, row in cells:
        if cell is None:
            continue
        other = chosen.setdefault(cell, row)
        if other is not row:
            several[row.model] = benchmarks[row.benchmark] = None
            chosen[cell] = max(other, row, key=lambda r: (_n_items(r), r.measured_at))
    left = [row for cell, row in cells if cell is None or chosen[cell] is row]
    if not several:
        return left, ()
    first, *others = several
    models = f"{first} and {len(others)} more were" if others else f"{first} was"
    note = (
        f"{models} measured several times on {', '.join(sorted(benchmarks))}: the scores by most "
        "items are used, and of several the newest (capspace scores lists all)"
    )
    return left, (note,)


def _cell_of_any_run(row: Result) -> tuple[object, ...] | None:
    """Return what scores share that stand for each other; None of one that was imported."""
    protocol, model = Protocol.parse(row.protocol), measured_model(row)
    if protocol is None or model is None:
        return None
    pairs = model.get("backend_settings") or ()
    settings = [pair for pair in pairs if pair[0] not in _OWN_SETTINGS]
    alike = canonical_json({**model, "backend": None, "backend_settings": settings})
    return _cell(row, str(protocol.of_any_run)), alike


def _n_items(row: Result) -> float:
    """Return the items of a score, all of them where it does not say."""
    return math.inf if row.n_items is None else row.n_items


def identity_of(result: Result) -> dict[str, Any]:
    """Return the identity of a measurement; empty where there is none."""
    identity: dict[str, Any] = json.loads(result.identity) if result.identity else {}
    return identity


def measured_model(result: Result) -> dict[str, Any] | None:
    """Return what identifies the model; None for a score that was imported."""
    model = identity_of(result).get("model")
    return model if isinstance(model, dict) else None


def _sizes(names: Sequence[str], rows: Sequence[Result]) -> dict[str, float]:
    """Return the parameters of the models that were counted when they were measured."""
    counts = (row.provenance.get("parameters") for row in rows)
    return {name: float(n) for name, n in zip(names, counts, strict=True) if n}


def mode_suffixes(results: Sequence[Result], *, thinking_alone: bool) -> list[str]:
    """Return what a row's name says of its mode, behind the model's, as `` (thinking)``.

    Parameters
    ----------
    results : sequence of n Result
        All rows of a table.
    thinking_alone : bool
        Whether thinking is named also where the model was measured in no other mode.

    """
    labels = [_mode(result) for result in results]
    modes: dict[tuple[str, str], set[str]] = {}
    of_benchmark: dict[tuple[str, str, str], set[str]] = {}
    for result, label in zip(results, labels, strict=True):
        model = result.model, result.revision
        modes.setdefault(model, set()).add(label)
        of_benchmark.setdefault((*model, result.benchmark), set()).add(label)
    twice = {(model, revision) for (model, revision, _), m in of_benchmark.items() if len(m) > 1}
    suffixes = []
    for result, label in zip(results, labels, strict=True):
        model = result.model, result.revision
        thinks = "thinking" in modes[model] and (len(modes[model]) > 1 or thinking_alone)
        suffixes.append(f" ({label})" * (label != "plain" and (thinks or model in twice)))
    return suffixes


def _without_estimates(rows: Sequence[Result]) -> list[Result]:
    """Return the rows but those estimated from some items where another is by all of them."""
    there = {_cell(row, row.protocol) for row in rows}
    left = []
    for row in rows:
        protocol = Protocol.parse(row.protocol)
        by_all = None if protocol is None else str(protocol.by_all_items)
        if by_all in (None, str(protocol)) or _cell(row, str(by_all)) not in there:
            left.append(row)
    return left


def _cell(row: Result, protocol: str) -> tuple[object, ...]:
    return row.model, row.revision, row.benchmark, row.n_shot, protocol


def _mode(result: Result) -> str:
    model = measured_model(result)
    return "plain" if model is None else Mode.label_of(model)


def _short(revision: str, n: int) -> str:
    """Return the first characters of a hash; any other revision whole."""
    return revision[:n] if re.fullmatch("[0-9a-f]{40,}", revision) else revision

"""If several results state different values of one score, the later run's is used."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ..storage.result import Result
from ..storage.run_dates import run_date
from .protocol_match import Brought

__all__ = ["Settled", "settle"]


@dataclass(frozen=True)
class Settled:
    """Results that do not contradict each other.

    Attributes
    ----------
    brought : list of Brought
        The new ones that are kept.
    replaced : list of str
        Keys of stored ones that a later run takes the place of.

    """

    brought: list[Brought]
    replaced: list[str]


def settle(brought: Iterable[Brought], stored: Iterable[Result], notes: Counter[str]) -> Settled:
    """Return which results are kept where some state one score differently.

    What was measured here stays. Else the latest run by its own date is kept, whether it came
    first or last; where nothing says which is the latest, what is stored stays and what is new is
    left out. Each decision is noted. Scores under two protocols do not contradict each other: both
    are kept, and a note says so, since a prediction takes one score per benchmark.
    """
    cells: dict[tuple[object, ...], list[Result]] = {}
    stored_keys: set[str] = set()
    for result in stored:
        stored_keys.add(result.key)
        cells.setdefault(_cell(result), []).append(result)
    new = {result.key: (result, parts) for result, parts in brought}
    touched = dict.fromkeys(_cell(result) for result, _ in new.values())
    for result, _ in new.values():
        if result.key not in stored_keys:
            cells.setdefault(_cell(result), []).append(result)
    dropped: set[str] = set()
    for cell in touched:
        if len({_value(result) for result in cells[cell]}) > 1:
            dropped |= _losers(cells[cell], stored_keys, notes)
    for model, revision, benchmark, *_ in touched:
        among = [r for c in cells if c[:3] == (model, revision, benchmark) for r in cells[c]]
        _note_protocols([r for r in among if r.key not in dropped], notes)
    return Settled(
        [pair for key, pair in new.items() if key not in dropped],
        sorted(dropped & stored_keys),
    )


def _note_protocols(results: list[Result], notes: Counter[str]) -> None:
    """Note where scores of one model and benchmark are kept under several protocols."""
    by_protocol = {_cell(r)[3:]: r for r in results}
    if len(by_protocol) < 2:
        return
    first = results[0]
    cell = " ".join(filter(None, (first.model, first.revision, first.benchmark)))
    each = " and ".join(
        f"{r.score:g} ({'' if r.n_shot is None else f'{r.n_shot}-shot, '}{r.protocol}; {_file(r)})"
        for r in by_protocol.values()
    )
    notes[
        f"kept twice: {cell} was measured under {len(by_protocol)} protocols, {each}; a prediction "
        "takes one of them: leave the other out of the table that it is made from"
    ] = 1


def _losers(results: list[Result], stored: set[str], notes: Counter[str]) -> set[str]:
    """Return the keys of the results that give way."""
    first = results[0]
    cell = " ".join(filter(None, (first.model, first.revision, first.benchmark)))
    here = [result for result in results if "imported" not in json.loads(result.identity)]
    dates = {result.key: run_date(result) for result in results}
    latest = max(dates.values())
    late = [result for result in results if dates[result.key] == latest]
    if here:
        winners, why = here, "measured here"
    elif latest and len({_value(result) for result in late}) == 1:
        winners, why = late, f"the later run, of {latest}"
    else:
        both = " and ".join(f"{value:g}" for value in sorted({_value(r) for r in results}))
        why = "no file says which run is the later" if not latest else f"both runs are of {latest}"
        notes[f"left out: {cell} is both {both}; {why}"] += 1
        return {result.key for result in results} - stored
    best = {_value(result) for result in winners}
    losers = [result for result in results if _value(result) not in best]
    for loser in losers:
        what = "replaced" if loser.key in stored else "left out"
        of = dates[loser.key]
        run = f"of {of}" if of else "without a date"
        notes[
            f"{what}: {cell} is both {_value(winners[0]):g} and {_value(loser):g}; kept is "
            f"{_value(winners[0]):g}, {why} ({_file(winners[0])}); the other is {run} "
            f"({_file(loser)})"
        ] += 1
    return {loser.key for loser in losers}


def _cell(result: Result) -> tuple[object, ...]:
    """Return what a score table tells results apart by."""
    return result.model, result.revision, result.benchmark, result.n_shot, result.protocol


def _value(result: Result) -> float:
    return round(result.score, 9)


def _file(result: Result) -> str:
    return result.source.partition(" (sha256")[0].removeprefix("imported from ")

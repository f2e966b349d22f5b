"""``place`` uses the references that the user names, or those that fit the model's scores."""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import options as o

if TYPE_CHECKING:
    from capspace.fit.reference import Reference
    from capspace.tasks.panel import Panel

    from ..run._place import PlacedModel
    from ..run.collection import Collection
    from ..storage.result import Result

__all__ = ["chosen_references", "placement_document", "require_offered", "with_further"]

Chosen = list[tuple["Reference", str]]
"""References, each with why it answers."""


def chosen_references(
    names: Sequence[str] | None, panel: Panel, targets: Names[str] | None
) -> Chosen:
    """Return the references that are named, or the one that fits a panel, before it is measured.

    Raises
    ------
    FitError
        A reference is named twice, one of several has none of the targets, or none has one.

    """
    from capspace.fit.prediction._several import check_different, targets_of_each
    from capspace.fit.reference import choose_reference, load_reference

    if names:
        every = [load_reference(name) for name in names]
        labels = [known.name or name for name, known in zip(names, every, strict=True)]
        check_different(labels)
        chosen = [
            (known, f"{n}: named by --reference") for n, known in zip(labels, every, strict=True)
        ]
    else:
        choice = choose_reference([b.name for b in panel.benchmarks], targets=targets or ())
        chosen = [(load_reference(choice.name), choice.reason)]
    for wanted, (known, _) in zip(
        targets_of_each([known for known, _ in chosen], targets or None), chosen, strict=True
    ):
        for name in wanted or ():
            known.target(name)
    return chosen


def require_offered(chosen: Chosen, target: str, *, named: bool) -> None:
    """Refuse a run that no reference can judge, whatever is measured.

    Parameters
    ----------
    chosen : list of (Reference, str)
        As ``chosen_references`` returns them.
    target : str
        What would be run.
    named : bool
        The user has named the references; no other packaged one answers.

    Raises
    ------
    RefusedTargetError
        Each reference that has the target refuses it by its back-test.

    """
    from capspace.fit.errors import RefusedTargetError, UnknownNameError
    from capspace.fit.reference import load_reference, reference_names

    own = {known.name: known for known, _ in chosen}
    others = [] if named else [name for name in reference_names() if name not in own]
    reasons: dict[str, str] = {}
    for known in chain(own.values(), map(load_reference, others)):
        try:
            evaluation = known.evaluations.get(known.target(target).name)
        except UnknownNameError:
            continue
        if evaluation is None or evaluation.status != "refused":
            return
        reasons[known.name] = evaluation.reason
    words = [
        f"by {name}: {reason}" if len(reasons) > 1 else reason for name, reason in reasons.items()
    ]
    raise RefusedTargetError(f"{target}: refused by its back-test: {'; '.join(words)}")


def with_further(
    chosen: Chosen,
    collection: Collection,
    store: Path | None,
    *,
    named: bool,
    targets: Names[str] | None,
) -> tuple[Chosen, list[Result]]:
    """Return the references with those that may answer beside them, and what the store adds.

    Parameters
    ----------
    chosen : list of (Reference, str)
        As ``chosen_references`` returns them.
    collection : Collection
        What was measured of the one checkpoint.
    store : path or None
        Where further scores of it may be.
    named : bool
        The user has named the references; no other answers.
    targets : collection of str or None
        What the user wants to know.

    """
    from capspace.fit.errors import TableError
    from capspace.fit.reference import load_reference, reference_names
    from capspace.fit.reference._packaged import packaged_benchmarks
    from capspace.fit.reference.choice import further_references, refuse_other_protocols

    from ..run._stored_scores import further_results
    from ..storage.score_table import to_table

    known = [set(reference.benchmarks) for reference, _ in chosen]
    if not named:
        known += [set(packaged_benchmarks(name)) for name in reference_names()]
    with o.open_store(store, must_write=False) as opened:
        stored = opened.results(model=collection.checkpoints[0].name)
    further = further_results(stored, collection, set().union(*known))
    if not named:
        columns = [result.benchmark for result in (*collection.results, *further)]
        table = to_table((*collection.results, *further))
        for choice in further_references(columns, chosen[0][0].name, targets=targets or ()):
            reference = load_reference(choice.name)
            try:
                refuse_other_protocols(table, reference)
            except TableError:
                continue  # its benchmarks were measured by another protocol than it knows them by
            chosen = [*chosen, (reference, choice.reason)]
    used = set().union(*(reference.benchmarks for reference, _ in chosen))
    return chosen, [result for result in further if result.benchmark in used]


def placement_document(placed: PlacedModel, reasons: Sequence[str]) -> dict[str, Any]:
    """Return placements as JSON: the first, and ``others`` where further references answer."""
    from capspace.fit.report._next_section import next_dict

    from .chosen_reference import reference_dict

    first, *others = [
        {**each.to_dict(), "reference": reference_dict(each.reference, reason)}
        for each, reason in zip((placed.placement, *placed.others), reasons, strict=True)
    ]
    for entry, advice in zip((first, *others), placed.following, strict=False):
        entry["next_evaluations"] = next_dict(advice)
    first["lifts"] = [lift.to_dict() for lift in placed.lifts]
    first["alarms"] = [alarm.to_dict() for alarm in placed.alarms]
    if plans := list(placed.collection.stopping.values()):
        first["stopping"] = plans[0].to_dict()
    return {**first, "others": others} if others else first

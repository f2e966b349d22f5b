"""Use the reference that the user names, or choose one that fits the columns of the scores."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .tables import panel_benchmarks

if TYPE_CHECKING:
    from capspace.fit.reference import Reference
    from capspace.fit.table import ScoreTable

__all__ = [
    "reference_dict",
    "scores_and_reference",
    "scores_and_references",
]


def scores_and_reference(
    file: Path, name: str | None, targets: Collection[str] | None
) -> tuple[ScoreTable, Reference, str]:
    """Read scores, and load the reference that predicts from them; return why it is this one too.

    Columns that only packaged panels and other packaged references know are left out, as the
    table's notes say.
    """
    from capspace.fit.reference import choose_reference, load_reference
    from capspace.fit.reference.choice import refuse_other_protocols
    from capspace.fit.table.readers import read_benchmarks

    if name is None:
        choice = choose_reference(read_benchmarks(file), targets=targets or ())
        known, reason = load_reference(choice.name), choice.reason
    else:
        known = load_reference(name)
        reason = f"{known.name or name}: named by --reference"
    table = _read(file, known)
    refuse_other_protocols(table, known)
    return table, known, reason


def _read(file: Path, known: Reference, others: Collection[str] = ()) -> ScoreTable:
    """Read the scores on what a reference knows; leave out what is known elsewhere, with a note.

    ``others`` are left out without a note, as another reference answers by them.
    """
    from capspace.fit.errors import close_names
    from capspace.fit.reference.choice import known_elsewhere, packaged_columns
    from capspace.fit.table.readers import canonical_benchmark, read_benchmarks, read_table

    own = [*known.benchmarks, *known.targets]
    usable = [*own, *sorted(others)]
    columns = [
        column.strip()
        for column in read_benchmarks(file)
        if canonical_benchmark(column, usable) not in usable
    ]
    more = known_elsewhere(columns, known)
    if len(more) < len(columns):
        panels = [benchmark.name for benchmark in panel_benchmarks()]
        more = known_elsewhere(columns, known, also=panels)
        every = [*usable, *packaged_columns(), *panels]
        # The table is refused; the names that were meant belong into the message.
        more += [str(n) for c in columns if c not in more for n in close_names(c, every)]
    table = read_table(file, benchmarks=[*usable, *more])
    left_out = [b for b in table.benchmarks if b in more]
    remaining = [b for b in table.benchmarks if b in own]
    if len(remaining) == len(table.benchmarks):
        return table
    name = known.name or "the reference"
    notes = [f"not known to {name}, left out: {', '.join(left_out)}"] if left_out else []
    selected = table.select(benchmarks=remaining)
    return replace(selected, notes=(*selected.notes, *notes))


def scores_and_references(
    file: Path, names: Sequence[str] | None, targets: Collection[str] | None
) -> list[tuple[ScoreTable, Reference, str]]:
    """Return ``scores_and_reference`` for each reference that is named, or for the one that fits.

    Of several references each sees the columns that it knows.

    Raises
    ------
    FitError
        A reference is named twice, or one of several knows none of the columns.

    """
    from capspace.fit.errors import TableError
    from capspace.fit.prediction._several import check_different
    from capspace.fit.reference import load_reference
    from capspace.fit.reference.choice import refuse_other_protocols

    if not names or len(names) == 1:
        return [scores_and_reference(file, names[0] if names else None, targets)]
    every = [load_reference(name) for name in names]
    labels = [known.name or name for name, known in zip(names, every, strict=True)]
    check_different(labels)
    answers = []
    for name, known in zip(labels, every, strict=True):
        own = {*known.benchmarks, *known.targets}
        others = {b for each in every for b in (*each.benchmarks, *each.targets)} - own
        table = _read(file, known, others)
        if not set(known.benchmarks) & set(table.benchmarks):
            raise TableError(
                f"{file}: no benchmark of {name}, which predicts from "
                f"{', '.join(known.benchmarks)}; leave out --reference {name}"
            )
        refuse_other_protocols(table, known)
        answers.append((table, known, f"{name}: named by --reference"))
    return answers


def reference_dict(reference: Reference, reason: str = "") -> dict[str, Any]:
    """Return what a reference is, as JSON, and why it was chosen where that is known."""
    return {
        "name": reference.name,
        "title": reference.title,
        "kind": reference.kind,
        "date": None if reference.date is None else reference.date.isoformat(),
        "version": reference.version,
        "licence": reference.licence,
        "attribution": reference.attribution,
        **({"reason": reason} if reason else {}),
    }

"""A reference is the one that the user names, or the one that fits the columns of the scores."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capspace.fit.reference import Reference
    from capspace.fit.table import ScoreTable

__all__ = ["reference_dict", "scores_and_reference"]


def scores_and_reference(
    file: Path, name: str | None, targets: Collection[str] | None
) -> tuple[ScoreTable, Reference, str]:
    """Read scores, and load the reference that predicts from them; return why it is this one too.

    Columns that only other packaged references know are left out, as the table's notes say.
    """
    from capspace.fit.reference import choose_reference, load_reference
    from capspace.fit.reference.choice import known_elsewhere, refuse_other_protocols
    from capspace.fit.table.readers import read_benchmarks, read_table

    columns = read_benchmarks(file)
    if name is None:
        choice = choose_reference(columns, targets=targets or ())
        known, reason = load_reference(choice.name), choice.reason
    else:
        known = load_reference(name)
        reason = f"{known.name or name}: named by --reference"
    others = known_elsewhere(columns, known)
    table = read_table(file, benchmarks=[*known.benchmarks, *known.targets, *others])
    refuse_other_protocols(table, known)
    return table, known, reason


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

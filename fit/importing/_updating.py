"""To update a reference, it becomes the last of the tables that the new one is built from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from ..errors import TableError
from ..reference import About, Reference, Source
from ..table._table import ScoreTable
from ._building import BuiltReference, build_reference, credit
from ._imported import ImportedTable

__all__ = ["update_reference"]


def update_reference(
    reference: Reference,
    tables: Sequence[ImportedTable],
    *,
    name: str,
    licence: str = "",
) -> BuiltReference:
    """Build a reference anew from one that is there and from newer tables.

    Its benchmarks and targets keep their descriptions. Scores of a source of which a newer copy
    is among ``tables`` are replaced by it; all others come first, and a new source adds to a
    column as ``build_reference`` says.

    Parameters
    ----------
    reference : Reference
        Packaged or one's own; it states date and licence.
    tables : sequence of ImportedTable
        The newer ones.
    name : str
        Of the new reference.
    licence : str, optional
        Of the new reference; that of ``reference`` and those of the tables by default.

    Raises
    ------
    TableError
        The reference states no licence, or a table is older than the copy that it would replace.

    See Also
    --------
    build_reference : Builds one from tables alone.
    write_reference : Writes it.

    Examples
    --------
    >>> from datetime import date
    >>> from pathlib import Path
    >>> from capspace.fit import SourceTerms, load_reference, read_published, update_reference
    >>> size = Path("board.csv").write_text("Model,agent/board" + chr(10) + "a-1b,0.1")
    >>> board = read_published("board.csv", SourceTerms("CC-BY 4.0", date(2026, 11, 1)))
    >>> built = update_reference(load_reference("epoch-2026"), [board], name="mine")
    >>> "agent/board" in [target.name for target in built.targets]
    True

    """
    about = reference.about
    if about is None:
        raise TableError("the reference states neither date nor licence; build it anew instead")
    former = _as_table(reference, about)
    dates = {source.title: source.date for source in former.sources.values()}
    for table in tables:
        for source in table.sources.values():
            if source.title in dates and source.date < dates[source.title]:
                raise TableError(
                    f"{source.title}: the copy of {source.date} is older than that of "
                    f"{dates[source.title]} in the reference"
                )
    newer = {source.title for table in tables for source in table.sources.values()}
    replaced = [text for text, source in former.sources.items() if source.title in newer]
    rest = former.table.scores[~former.table.scores["source"].isin(replaced)]
    parts = list(tables)
    if len(rest):
        parts.insert(0, replace(former, table=ScoreTable(rest, former.table.models)))
    licences = [s.licence for table in tables for s in table.sources.values()]
    built = build_reference(
        parts,
        name=name,
        licence=licence or "; ".join(dict.fromkeys((about.licence, *licences))),
        known_benchmarks=reference.benchmarks,
        known_targets=reference.targets,
        weights=reference.model_weights,
        chance={
            b.name: b.chance
            for b in reference.benchmarks.values()
            if any(b.name in part.table.benchmarks for part in parts)
        },
    )
    return replace(built, about=_with_former(built.about, about, newer))


def _with_former(about: About, former: About, replaced: Collection[str]) -> About:
    """Return what a new reference says of itself, its former sources and attribution included."""
    earlier = {s.title: s for s in former.sources if s.title not in replaced}
    added = {s.title: s for s in about.sources if s.title not in {*earlier, former.title}}
    return about.model_copy(
        update={
            "title": former.title,
            "kind": former.kind,
            "attribution": "; ".join(filter(None, (former.attribution, credit(added.values())))),
            "sources": (*earlier.values(), *added.values()),
        }
    )


def _as_table(reference: Reference, about: About) -> ImportedTable:
    """Return a reference as an imported table; cells that name no source of it have its terms."""
    stated = {source.title: source for source in about.sources}
    whole = Source(title=about.title, date=about.date, licence=about.licence)
    texts = [text or about.title for text in reference.table.scores["source"]]
    table = ScoreTable(reference.table.scores.assign(source=texts), reference.table.models)
    return ImportedTable("reference", table, {text: stated.get(text, whole) for text in texts})

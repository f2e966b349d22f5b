"""Choose the packaged reference that fits the user's columns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..errors import TableError
from ..table._table import ScoreTable
from ..table.readers import canonical_benchmark
from ._load import DEFAULT_REFERENCE
from ._packaged import packaged_about, packaged_benchmarks, packaged_targets, reference_names
from ._reference import Reference
from ._training_arguments import has_anchor

__all__ = [
    "ReferenceChoice",
    "choose_reference",
    "further_references",
    "known_elsewhere",
    "packaged_columns",
    "refuse_other_protocols",
]

_FEWEST = 2
"""Of fewer benchmarks this year's references predict nothing."""


@dataclass(frozen=True)
class ReferenceChoice:
    """A packaged reference, and why it was chosen.

    Attributes
    ----------
    name : str
        What ``load_reference`` takes.
    reason : str
        One line, for the user.
    benchmarks : tuple of str
        The benchmarks of the reference that are among the columns.

    See Also
    --------
    choose_reference : Makes one.
    load_reference : Loads the reference by its name.

    Examples
    --------
    >>> from capspace.fit import choose_reference
    >>> choose_reference(["MMLU", "GSM8K", "HellaSwag"]).benchmarks
    ('MMLU', 'HellaSwag', 'GSM8K')

    """

    name: str
    reason: str
    benchmarks: tuple[str, ...]


def choose_reference(columns: Collection[str], *, targets: Collection[str] = ()) -> ReferenceChoice:
    """Choose the packaged reference that knows most of the benchmarks of a user's scores.

    Parameters
    ----------
    columns : collection of str
        Names of the benchmarks that were measured; neither case nor separators count.
    targets : collection of str, default ()
        Targets that the user wants; a reference that has all of them comes before one that lacks
        one.

    Returns
    -------
    ReferenceChoice
        The one that knows most of them; of several that know as many "study-2024", else the one
        with the newest models. "study-2024" where none knows any.

    See Also
    --------
    load_reference : Loads the one that was chosen.
    reference_names : All that there are.

    Examples
    --------
    >>> from capspace.fit import choose_reference
    >>> choose_reference(["GPQA-diamond", "MMLU-Pro", "IFEval", "AIME 2025"]).name
    'frontier-2026'
    >>> choose_reference(["MMLU", "GSM8K", "HellaSwag"]).name
    'study-2024'

    """
    labels = {name: _known(columns, packaged_benchmarks(name)) for name in reference_names()}
    able = [n for n in labels if _has(n, targets) and labels[n]] or list(labels)
    # Of equals the first, which has the newest models.
    best = max(able, key=lambda name: (len(labels[name]), name == DEFAULT_REFERENCE))
    if len(labels[best]) < _FEWEST and _known(columns, packaged_targets(DEFAULT_REFERENCE)):
        best = DEFAULT_REFERENCE  # these are scores on its targets
    until, benchmarks = packaged_about(best).date, labels[best]
    reason = (
        f"{best} (models until {until}): it knows {len(benchmarks)} of {len(set(columns))} "
        f"benchmarks, {', '.join(benchmarks)}"
        if benchmarks
        else f"{best} (models until {until}): no packaged reference knows any of the benchmarks"
    )
    return ReferenceChoice(best, reason, benchmarks)


def further_references(
    columns: Collection[str], chosen: str, *, targets: Collection[str] = ()
) -> list[ReferenceChoice]:
    """Return the packaged references that could answer beside the chosen one, the newest first.

    Each knows at least two benchmarks that none before it knows, those that its predictions cannot
    do without among them, and one of the targets, if any are named.

    Parameters
    ----------
    columns : collection of str
        Names of the benchmarks that were measured.
    chosen : str
        What ``choose_reference`` chose.
    targets : collection of str, default ()
        Targets that the user wants.

    """
    further: list[ReferenceChoice] = []
    seen = set(_known(columns, packaged_benchmarks(chosen)))
    for name in reference_names():
        about, benchmarks = packaged_about(name), packaged_benchmarks(name)
        known = _known(columns, benchmarks)
        wanted = not targets or any(_has(name, [target]) for target in targets)
        is_enough = about.kind == "study" or has_anchor(known, benchmarks)
        if name == chosen or len(set(known) - seen) < _FEWEST or not is_enough or not wanted:
            continue
        seen.update(known)
        reason = f"{name} (models until {about.date}): it knows {', '.join(known)}"
        further.append(ReferenceChoice(name, reason, known))
    return further


def known_elsewhere(
    columns: Collection[str], reference: Reference, *, also: Collection[str] = ()
) -> list[str]:
    """Return the columns that a reference does not know, but another packaged one does.

    A column counts as known where it is a benchmark or a target, or among ``also``.
    """
    own = [*reference.benchmarks, *reference.targets]
    others = {*packaged_columns(), *also}
    return [
        column
        for column in columns
        if canonical_benchmark(column, own) not in own
        and canonical_benchmark(column, others) in others
    ]


def packaged_columns() -> list[str]:
    """Return the names of the benchmarks and targets of every packaged reference."""
    named = [f(name) for name in reference_names() for f in (packaged_benchmarks, packaged_targets)]
    return [column for columns in named for column in columns]


def refuse_other_protocols(table: ScoreTable, reference: Reference) -> None:
    """Refuse scores that state another protocol than the reference knows their benchmark by.

    Raises
    ------
    TableError
        A row of a benchmark states the protocol by which another packaged reference puts the same
        questions, so that its score is on another scale.

    """
    by_questions = {b.measures or b.name: b for b in reference.benchmarks.values()}
    columns = (table.rows[name].tolist() for name in ("model", "benchmark", "protocol"))
    rows = list(dict.fromkeys(zip(*columns, strict=True)))
    for name in reference_names():
        if name == reference.name:
            continue
        for other in packaged_benchmarks(name).values():
            same = by_questions.get(other.measures or other.name)
            if same is None or not other.protocol or same.protocol == other.protocol:
                continue
            for model, benchmark, protocol in rows:
                is_stated = other.name in protocol.split() or protocol == other.protocol
                if benchmark == same.name and is_stated:
                    raise TableError(
                        f"{model}: {benchmark} was measured by another protocol ({other.protocol}) "
                        f"than {reference.name or 'the reference'} knows {same.name} by "
                        f"({same.protocol or 'not stated'}), on another scale; leave it out, or "
                        f"use --reference {name}"
                    )


def _has(name: str, targets: Collection[str]) -> bool:
    if not targets:
        return True
    known = packaged_targets(name).values()
    named = {text.lower() for target in known for text in (target.name, target.label)}
    return all(target.lower() in named for target in targets)


def _known(columns: Collection[str], benchmarks: Collection[str]) -> tuple[str, ...]:
    labels = {canonical_benchmark(str(column), benchmarks) for column in columns}
    return tuple(b for b in benchmarks if b in labels)

"""Which packaged reference fits the scores at hand is told by their columns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..errors import TableError
from ..table.readers import canonical_benchmark
from ._entries import Benchmark
from ._load import DEFAULT_REFERENCE, packaged_about, packaged_benchmarks, reference_names

__all__ = ["ReferenceChoice", "choose_reference", "refuse_other_protocols"]


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

    """

    name: str
    reason: str
    benchmarks: tuple[str, ...]


def choose_reference(columns: Collection[str]) -> ReferenceChoice:
    """Choose the packaged reference that knows most of the benchmarks of a user's scores.

    Parameters
    ----------
    columns : collection of str
        Names of the benchmarks that were measured; neither case nor separators count.

    Returns
    -------
    ReferenceChoice
        The one that knows most of them; of several that know as many "study-2024", else the one
        with the newest models. "study-2024" where none knows any.

    Examples
    --------
    >>> from capspace.fit import choose_reference
    >>> choose_reference(["GPQA-diamond", "MMLU-Pro", "IFEval", "AIME 2025"]).name
    'frontier-2026'
    >>> choose_reference(["MMLU", "GSM8K", "HellaSwag"]).name
    'study-2024'

    """
    known = {name: _known(columns, packaged_benchmarks(name)) for name in reference_names()}
    best = max(
        known, key=lambda name: (len(known[name]), name == DEFAULT_REFERENCE)
    )  # the first of equals, the newest
    about, benchmarks = packaged_about(best), known[best]
    if not benchmarks:
        reason = f"{best}: no column is a benchmark of a packaged reference"
    else:
        reason = (
            f"{best} (models until {about.date}): it knows {len(benchmarks)} of the "
            f"{len(set(columns))} columns, {', '.join(benchmarks)}"
        )
    return ReferenceChoice(best, reason, benchmarks)


def refuse_other_protocols(
    columns: Collection[str], benchmarks: Collection[Benchmark], reference: str
) -> None:
    """Refuse columns whose questions a reference knows by another protocol, on another scale.

    Raises
    ------
    TableError
        A column is a benchmark of another packaged reference that puts the same questions by
        another protocol.

    """
    own = {b.name: b for b in benchmarks}
    by_questions = {b.measures or b.name: b for b in benchmarks}
    for name in reference_names():
        if name == reference:
            continue
        theirs = packaged_benchmarks(name)
        for column in columns:
            label = canonical_benchmark(column, theirs)
            other = theirs.get(label)
            if other is None or canonical_benchmark(column, own) in own:
                continue
            same = by_questions.get(other.measures or other.name)
            if same is not None and same.protocol != other.protocol:
                raise TableError(
                    f"{column}: {reference or 'the reference'} knows {same.name} by another "
                    f"protocol ({same.protocol or 'not stated'}) than this column's "
                    f"({other.protocol or 'not stated'}), on another scale; measure {same.name}, "
                    f"or use --reference {name}"
                )


def _known(columns: Collection[str], benchmarks: Collection[str]) -> tuple[str, ...]:
    labels = {canonical_benchmark(str(column), benchmarks) for column in columns}
    return tuple(b for b in benchmarks if b in labels)

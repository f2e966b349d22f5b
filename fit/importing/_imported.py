"""An importer returns a score table in which every cell names its source, date and licence."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import BaseModel, ValidationError

from .._display import counted
from ..errors import TableError
from ..reference import Source
from ..table._table import ScoreTable
from ..table.facts import last_day, read_date

__all__ = [
    "Cell",
    "ImportedTable",
    "SourceTerms",
    "imported",
    "parse_json",
    "read_text",
    "some",
    "validated",
]

Record = TypeVar("Record", bound=BaseModel)

_SHOWN = 3


@dataclass(frozen=True)
class SourceTerms:
    """What a user states about a file: its licence, and its date where it does not state that.

    Attributes
    ----------
    licence : str
        On which terms its numbers may be used.
    date : date or None
        When the copy was published or fetched.

    See Also
    --------
    read_published : Takes them.
    Source : What becomes of them.

    Examples
    --------
    >>> from datetime import date
    >>> from capspace.fit import SourceTerms
    >>> SourceTerms("CC-BY 4.0", date(2026, 11, 1)).licence
    'CC-BY 4.0'

    """

    licence: str
    date: date | None = None

    def source(self, where: str | Path, title: str, *, url: str = "", stated: str = "") -> Source:
        """Return the source of a file's cells.

        Parameters
        ----------
        where : str or path
            The file, for messages.
        title : str
            Who published it.
        url : str
            Where.
        stated : str
            The date that the file itself states, which counts; "" for none.

        Raises
        ------
        TableError
            Neither the file nor the user states a date, it is none, or the licence is empty.

        """
        if not self.licence.strip():
            raise TableError(f"{where}: no licence is given; state it with --licence")
        iso = read_date(stated, f"{where}: its date")
        day = last_day(iso) if iso else self.date
        if day is None:
            raise TableError(
                f"{where}: it states no date; give the date of this copy with --date 2026-11-28"
            )
        return Source(title=title, url=url, date=day, licence=self.licence.strip())


@dataclass(frozen=True)
class Cell:
    """One score that a source publishes, a fraction.

    Attributes
    ----------
    model, benchmark : str
    score, stderr : float
        ``stderr`` is NaN where it is unknown.
    n_items, n_shot : float
        NaN where unknown.
    protocol : str
        How it was measured, in a few words.
    source : str
        Title of its source.

    """

    model: str
    benchmark: str
    score: float
    source: str
    stderr: float = math.nan
    n_items: float = math.nan
    n_shot: float = math.nan
    protocol: str = ""


@dataclass(frozen=True)
class ImportedTable:
    """Scores that somebody else published, and on which terms they may be used.

    Attributes
    ----------
    kind : str
        The format it was read from.
    table : ScoreTable
        Fractions.
    sources : mapping of str to Source
        Title, address, date and licence for each text in the column ``source`` of the table.
    notes : tuple of str
        What was left out, and why.

    See Also
    --------
    read_published : Makes one from a published file.
    build_reference : Builds a reference of several.

    """

    kind: str
    table: ScoreTable
    sources: Mapping[str, Source]
    notes: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        titles = ", ".join(dict.fromkeys(source.title for source in self.sources.values()))
        return f"ImportedTable({titles}: {counted(len(self.table), 'score')})"

    def provenance(self) -> pd.DataFrame:
        """Return model, benchmark, source, date and licence of each score (n rows)."""
        rows = self.table.scores[["model", "benchmark", "source"]].copy()
        rows["date"] = [self.sources[text].date.isoformat() for text in rows["source"]]
        rows["licence"] = [self.sources[text].licence for text in rows["source"]]
        return rows


def imported(
    kind: str,
    where: str | Path,
    cells: Iterable[Cell],
    sources: Iterable[Source],
    *,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
    notes: Sequence[str] = (),
) -> ImportedTable:
    """Return cells as an imported table; those outside [0, 1] are left out and counted.

    Raises
    ------
    TableError
        No score is left, or two cells contradict each other; the message names the file.

    """
    rows = list(cells)
    usable = [cell for cell in rows if 0 <= cell.score <= 1]
    outside = [f"{c.model}: {c.benchmark}" for c in rows if not 0 <= c.score <= 1]
    if outside:
        notes = (*notes, f"outside [0, 1] and left out: {some(outside)}")
    if not usable:
        raise TableError(f"{where}: it holds no score that can be used")
    frame = pd.DataFrame([vars(cell) for cell in usable])
    named = frame["model"].unique()
    models = pd.DataFrame.from_dict(
        {name: dict((facts or {}).get(name, {})) for name in named}, orient="index"
    )
    try:
        table = ScoreTable(frame, models)
    except TableError as error:
        raise TableError(f"{where}: {error}") from None
    used = {source.title: source for source in sources if source.title in set(frame["source"])}
    return ImportedTable(kind, table, used, tuple(notes))


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises
    ------
    TableError
        It cannot be read, or is no text in UTF-8.

    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise TableError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror or error})") from None


def parse_json(text: str, where: str) -> Any:
    """Return what a JSON text holds; raise TableError naming ``where`` if it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        first = str(error).partition("\n")[0] if isinstance(error, ValueError) else "nested too far"
        raise TableError(f"{where}: not JSON ({first})") from None


def validated(kind: type[Record], value: object, where: str) -> Record:
    """Return a value as a record; raise TableError naming ``where`` and the field."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise TableError(f"{where}: {place + ': ' if place else ''}{first['msg']}") from None


def some(texts: Sequence[str]) -> str:
    """Return the first of some texts, and how many more there are."""
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return ", ".join([*texts[:_SHOWN], *more])

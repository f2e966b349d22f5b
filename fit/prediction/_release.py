"""A model without a release date is assumed to be released today, and a note says so."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from ..reference import Reference
from ..reference.overlap import overlap_of_rows
from ..table._table import ScoreTable

__all__ = ["Release", "known_release_dates", "release_of"]

_HOW = "give the date in a column release_date or with --release-date"


@dataclass(frozen=True)
class Release:
    """When a model was released, and where the date is from.

    Attributes
    ----------
    model : str
    day : str
        ISO date.
    origin : {"stated", "given", "reference", "today"}
        The model's own facts, the caller's date for models that state none, the same model of the
        reference, or the day of the call.

    """

    model: str
    day: str
    origin: Literal["stated", "given", "reference", "today"]

    def reason(self, reason: str, late: str) -> str:
        """Return why there is no number; ``late`` is the reason of a model that is too new."""
        if not reason or reason != late or self.origin == "stated":
            return reason
        if self.origin == "given":
            return f"with the given release date, {self.day}, {late}"
        return f"no release date is given and {self._assumed}, so {late}; {_HOW}"

    def note(self, reasons: Collection[str], late: str) -> str:
        """Return in a line that the date is assumed; "" where it is not, or a reason says so."""
        if self.origin in ("stated", "given") or late in reasons:
            return ""
        return f"{self.model}: no release date is given, {self._assumed}; {_HOW}"

    @property
    def _assumed(self) -> str:
        if self.origin == "today":
            return f"{self.day} is assumed"
        return f"{self.day} is assumed, as the reference states for this model"


def release_of(
    table: ScoreTable, model: str, reference: Reference, same: Iterable[str], today: date | None
) -> Release:
    """Return the release of a model.

    Where it states none, it has that of the models of the reference that it is, or today's.
    """
    stated = str(table.fact(model, "release_date"))
    dated = [str(reference.table.fact(name, "release_date")) for name in same]
    if stated:
        return Release(model, stated, "stated")
    if published := max(dated, default=""):
        return Release(model, published, "reference")
    if today is not None:
        return Release(model, today.isoformat(), "given")
    return Release(model, date.today().isoformat(), "today")


def known_release_dates(
    table: ScoreTable, reference: Reference, today: date | None = None
) -> dict[str, str]:
    """Return the releases of a table's models by ``release_of``, but none that is only assumed.

    If the reference states no date at all, the result is empty: dates could not be used.

    Parameters
    ----------
    table : ScoreTable
        Scores of the models, and their facts.
    reference : Reference
        Its dates are those of the same models in it.
    today : date, optional
        The release of models that state none, and are none of the reference.

    """
    if not any(reference.table.facts["release_date"].tolist()):
        return {}
    shared = [b for b in reference.table.benchmarks if b in table.benchmarks]
    scores, published = table.array(shared), reference.table.array(shared)
    names = reference.table.facts["model"].tolist()
    dates = {}
    for model, row in zip(table.facts["model"].tolist(), scores, strict=True):
        same = overlap_of_rows(model, row, names, published).sure
        release = release_of(table, model, reference, same, today)
        if release.origin != "today":
            dates[str(model)] = release.day
    return dates

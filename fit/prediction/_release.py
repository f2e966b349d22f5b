"""A model without a release date is assumed to be released today, and a note says so."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from ..reference import Reference
from ..table._table import ScoreTable

__all__ = ["Release", "release_of"]

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

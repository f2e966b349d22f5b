"""A new model without a release date is taken to be as new as today, which is stated."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from ..reference import Reference
from ..table._table import ScoreTable

__all__ = ["Release", "release_of"]

_HOW = "give the date in a column release_date or by --release-date"


@dataclass(frozen=True)
class Release:
    """When a model was released, and where the date is from.

    Attributes
    ----------
    model : str
    day : str
        ISO date.
    is_stated : bool
        The model's own facts state it.
    is_given : bool
        The caller has given the date of models that state none.

    """

    model: str
    day: str
    is_stated: bool
    is_given: bool

    def reason(self, reason: str, late: str) -> str:
        """Return why there is no number; ``late`` is the reason of a model that is too new."""
        if not reason or reason != late or self.is_stated:
            return reason
        return f"no release date is given and {self.day} is assumed, so {late}; {_HOW}"

    def note(self, reasons: Collection[str], late: str) -> str:
        """Return in a line that the date is assumed; "" where it is not, or a reason says so."""
        if self.is_stated or self.is_given or late in reasons:
            return ""
        return f"{self.model}: no release date is given, {self.day} is assumed; {_HOW}"


def release_of(
    table: ScoreTable, model: str, reference: Reference, same: Iterable[str], today: date | None
) -> Release:
    """Return the release of a model.

    Where it states none, it has that of the models of the reference that it is, or today's.
    """
    stated = str(table.fact(model, "release_date"))
    dated = [str(reference.table.fact(name, "release_date")) for name in same]
    day = stated or max(filter(None, dated), default=(today or date.today()).isoformat())
    return Release(model, day, bool(stated), today is not None)

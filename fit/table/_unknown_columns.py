"""Unknown columns and names in a score table are refused with one readable line."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..errors import TableError, near_matches

__all__ = ["header_words", "listed", "refuse_unknown"]

_MOST_LISTED = 16


def refuse_unknown(unknown: list[str], known: Collection[str], what: str = "column") -> None:
    """Raise TableError for the first of names that are not known, with what is near it."""
    if unknown:
        others = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        raise TableError(
            f"unknown {what} {unknown[0]!r}{others}{near_matches(unknown[0], known)}; known are "
            f"{listed(known)}"
        )


def listed(names: Collection[str]) -> str:
    """Return names divided by commas, of many the first ones."""
    every = list(dict.fromkeys(names))
    if len(every) <= _MOST_LISTED + 4:
        return ", ".join(every)
    return f"{', '.join(every[:_MOST_LISTED])} and {len(every) - _MOST_LISTED} more"


def header_words(columns: Iterable[str]) -> str:
    """Return what the columns of a table without models are, and how they seem to be divided."""
    names = list(columns)
    for mark, how in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and mark in names[0]:
            inside = ", ".join(name.strip() for name in names[0].split(mark)[:6])
            return f"its columns, divided by {how}, are {inside}"
    return f"its columns are {', '.join(names[:6])}"

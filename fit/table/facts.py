"""Facts about models are text: families in one spelling, and dates that can be compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from ..errors import TableError
from .cells import Cells, is_missing

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MODES",
    "clean_facts",
    "family_key",
    "family_of_each",
    "last_day",
    "one_spelling",
    "read_date",
    "read_mode",
    "read_release_date",
]

MODES = ("plain", "chat", "thinking")
"""How a model may answer: without a chat template, with one, or after reasoning."""

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)(?:[T ]\d\d:\d\d.*)?)?)?(?:\.0)?",
    re.ASCII,
)
_LAST_YEAR = 2100
_HOW = "write dates as 2024-04-18, or 2024-04 or 2024 where the day is not known"


def clean_facts(models: Sequence[str], facts: Cells) -> dict[str, Any]:
    """Return facts (n,) of n models, each family under one spelling and dates as ISO has them.

    What is not known is None in these columns.

    Raises
    ------
    TableError
        A date is not ISO, or a mode is not a single known mode.

    """
    clean: dict[str, Any] = dict(facts)
    if "family" in clean:
        clean["family"] = [family or None for family in one_spelling(clean["family"])]
    if "tuning" in clean:
        clean["tuning"] = [
            None if is_missing(t) else str(t).strip().lower() for t in clean["tuning"]
        ]
    if "mode" in clean:
        clean["mode"] = [read_mode(m, of) for of, m in zip(models, clean["mode"], strict=True)]
    if "release_date" in clean:
        dates = zip(models, clean["release_date"], strict=True)
        clean["release_date"] = [
            read_release_date(d, f"{of}: release_date") or None for of, d in dates
        ]
    return clean


def read_mode(value: Any, model: str) -> str | None:
    """Return the mode in which a model answered, None where it is unknown.

    Raises
    ------
    TableError
        It is none of them, or several at once.

    """
    if is_missing(value) or value == "":
        return None
    mode = str(value).strip().lower()
    if mode not in MODES:
        raise TableError(
            f"{model}: mode is {str(value)!r:.60}; it is one of {', '.join(MODES)}: scores of two "
            "modes belong in two rows, under two names"
        )
    return mode


def family_key(family: Any) -> str:
    """Return what families are compared by.

    Neither case nor outer or repeated blanks count, nor width and invisible characters of Unicode.
    """
    if is_missing(family):
        return ""
    text = unicodedata.normalize("NFKC", str(family))
    seen = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return " ".join(seen.split()).casefold()


def one_spelling(families: Iterable[Any]) -> list[str]:
    """Return families (n,) with each family under its first spelling; "" where it is unknown.

    Examples
    --------
    >>> one_spelling(["Llama-2", "llama-2 ", "Yi", None])
    ['Llama-2', 'Llama-2', 'Yi', '']

    """
    first: dict[str, str] = {"": ""}
    values = [(family_key(f), f) for f in families]
    return [first.setdefault(key, " ".join(str(family).split())) for key, family in values]


def family_of_each(facts: pd.DataFrame) -> list[str]:
    """Return the family (n,) of each model of ``facts``; a model without a known one is its own."""
    spelled = one_spelling(facts["family"])
    return [family or str(model) for family, model in zip(spelled, facts.index, strict=True)]


def read_date(value: Any, of: str) -> str:
    """Return an ISO date, month or year as such; "" where it is unknown.

    Parameters
    ----------
    value : object
        A text, a date, or what tables make of an empty cell. A time of day is left out.
    of : str
        Where it stands, for the message.

    Raises
    ------
    TableError
        It is not such a date.

    """
    if is_missing(value) or value == "":
        return ""
    text = str(value).strip()
    match = _DATE.fullmatch(text)
    if match is None:
        raise TableError(f"{of} is {text!r}; {_HOW}")
    parts = [p for p in match.group("year", "month", "day") if p]
    iso = "-".join(parts)
    try:
        last_day(iso)
    except ValueError:
        raise TableError(f"{of} is {text!r}, which is no day of the calendar; {_HOW}") from None
    return iso


def read_release_date(value: Any, of: str) -> str:
    """Return when a model was released, as `read_date` does.

    Raises
    ------
    TableError
        It is not such a date, or lies beyond the year 2100.

    """
    iso = read_date(value, of)
    if iso and int(iso[:4]) > _LAST_YEAR:
        raise TableError(f"{of} is {iso!r}, in the far future; {_HOW}")
    return iso


def last_day(iso: str) -> date:
    """Return the last day that an ISO date, month or year may mean."""
    year, month, day = (int(p) for p in (*iso.split("-"), "0", "0")[:3])
    if iso.count("-") == 2:
        return date(year, month, day)
    if iso.count("-") == 0:
        return date(year, 12, 31)
    first = date(year, month, 1)
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)

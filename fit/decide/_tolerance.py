"""Parse the tolerance and the time budget that a user states for stopping early."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite

from ..errors import FitError

__all__ = ["Tolerance", "checked_duration", "read_seconds"]

_SECONDS = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "hours": 3600.0}
_DURATION = re.compile(r"\s*([0-9.]+)\s*([a-z]*)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Tolerance:
    """By how much all remaining items may still narrow an interval where they are left out.

    Attributes
    ----------
    value : float
        A part of the score's range, or of the interval's width where ``relative``.
    relative : bool

    Examples
    --------
    >>> Tolerance.read("5%")
    Tolerance(value=0.05, relative=True)
    >>> str(Tolerance.read("0.02"))
    '0.02'

    """

    value: float
    relative: bool = False

    def __post_init__(self) -> None:
        if not (isfinite(self.value) and self.value > 0):
            raise FitError(f"the tolerance is {self}; it must be above 0, as in 0.02 or 5%")

    @classmethod
    def read(cls, text: str) -> Tolerance:
        """Return the tolerance that a text states: ``0.02`` of a score, ``5%`` of a width.

        Raises
        ------
        FitError
            It is no number above 0, or a part of a score that is not below 1.

        """
        relative = text.strip().endswith("%")
        try:
            value = float(text.strip().removesuffix("%"))
        except ValueError:
            raise FitError(
                f"the tolerance is {text!r:.60}; write a part of the score, as in 0.02, or of the "
                "interval's width, as in 5%"
            ) from None
        if not relative and value >= 1:
            raise FitError(
                f"the tolerance is {text.strip()}, and scores lie between 0 and 1; did you mean "
                f"{value:g}%?"
            )
        return cls(value / 100 if relative else value, relative)

    @classmethod
    def checked(cls, text: str) -> str:
        """Return a text that states a tolerance.

        Raises
        ------
        FitError
            It states none.

        """
        return str(cls.read(text))

    def of_width(self, width: float) -> float:
        """Return it as a share of an interval's width."""
        return self.value if self.relative else self.value / width

    def __str__(self) -> str:
        return f"{100 * self.value:g}%" if self.relative else f"{self.value:g}"


def read_seconds(text: str) -> float:
    """Return the seconds that a duration states: ``90s``, ``30min`` or ``2h``.

    Raises
    ------
    FitError
        It has no number above 0, or no unit of time.

    """
    match = _DURATION.fullmatch(text)
    try:
        number = float(match[1]) if match else 0.0
    except ValueError:
        number = 0.0
    unit = match[2].lower() if match else ""
    if match is None or not number > 0 or unit not in _SECONDS:
        why = "has no unit" if match is not None and number > 0 and not unit else "is no duration"
        raise FitError(f"the budget {text!r:.60} {why}; write it as 90s, 30min or 2h")
    return number * _SECONDS[unit]


def checked_duration(text: str) -> str:
    """Return a text that ``read_seconds`` can read.

    Raises
    ------
    FitError
        It cannot.

    """
    read_seconds(text)
    return text

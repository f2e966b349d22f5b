"""Headers of wide tables name facts about models, and the units of their numbers."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from ..errors import TableError

__all__ = ["fact_of_header", "in_units_of_one"]

_FACTS = {
    "model family": "family",
    "family": "family",
    "model size": "parameters",
    "size": "parameters",
    "parameters": "parameters",
    "pretraining data size": "training_tokens",
    "training tokens": "training_tokens",
    "flops": "training_flops",
    "training flops": "training_flops",
    "release date": "release_date",
    "tuning": "tuning",
    "provider": "provider",
    "organization": "provider",
    "organisation": "provider",
    "mode": "mode",
}
_UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_UNITLESS_AT_LEAST = {"parameters": 1e4, "training_tokens": 1e6, "training_flops": 1e12}
_HEADER = re.compile(r"^(?P<name>[^()]*?)\s*(?:\((?P<unit>[^()]+)\))?$")


def fact_of_header(header: str) -> tuple[str, str, float | None] | None:
    """Return the fact that a header names, its unit in words, and its factor if it has numbers.

    Raises
    ------
    TableError
        The header has a unit that is not known.

    """
    match = _HEADER.match(header.strip())
    if match is None:
        return None
    name = _FACTS.get(match["name"].strip().lower().replace("_", " "))
    if name is None:
        return None
    if name not in _UNITLESS_AT_LEAST:
        return name, "", None
    unit = match["unit"]
    if unit is None:
        return name, "in units of 1 (no unit in its header)", 1.0
    factor = _UNITS.get(unit.strip().lower())
    if factor is None:
        try:
            factor = float(unit)
        except ValueError:
            raise TableError(
                f"column {header!r} has the unit {unit!r}; known are K, M, B, T and 1E21 and such"
            ) from None
    return name, f"in units of {factor:g}", factor


def in_units_of_one(
    values: NDArray[np.float64], name: str, header: str, factor: float
) -> NDArray[np.float64]:
    """Return the numbers under a header times the factor of its unit.

    Raises
    ------
    TableError
        They are too small to be true, as they are where the header lacks its unit.

    """
    scaled = values * factor
    for i in np.flatnonzero((scaled > 0) & (scaled < _UNITLESS_AT_LEAST[name])):
        raise TableError(
            f"column {header!r} holds {values[i]:g}, read as {scaled[i]:g} {name}: "
            "implausibly few; put the unit in the header, as in 'FLOPs (1E21)', "
            "'Model Size (B)', 'Pretraining Data Size (T)'"
        )
    return scaled

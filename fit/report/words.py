"""Format numbers for tables; what is unknown is a dash."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..law.equivalent import EquivalentScale
from ..prediction import Prediction

if TYPE_CHECKING:
    from ..reference import Reference

__all__ = [
    "count",
    "equivalent_flops",
    "flops",
    "outside",
    "reference_words",
    "score",
    "share",
    "size",
]

UNKNOWN = "–"


def score(value: float) -> str:
    """Return a fraction with three digits."""
    return f"{value:.3f}" if math.isfinite(value) else UNKNOWN


def share(value: float) -> str:
    """Return a fraction as a whole percentage."""
    return f"{100 * value:.0f}%" if math.isfinite(value) else UNKNOWN


def count(value: float) -> str:
    """Return a number of things."""
    return f"{value:,.0f}" if math.isfinite(value) else UNKNOWN


def size(value: float) -> str:
    """Return a count of parameters or tokens with a unit: K, M, B or T."""
    rounded = float(f"{value:.3g}")
    for unit, name in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if rounded >= unit:
            return f"{rounded / unit:.3g} {name}"
    return count(value)


def flops(value: float) -> str:
    """Return FLOPs with two digits and a power of ten."""
    if math.isinf(value):
        return "∞"
    if not math.isfinite(value):
        return UNKNOWN
    if value <= 0:
        return "0"
    digits, exponent = f"{value:.1e}".split("e")
    superscript = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digits} × 10{superscript}"


def equivalent_flops(equivalent: EquivalentScale) -> tuple[str, str]:
    """Return one equivalent scale in words, and what must be known beside it ("" for nothing)."""
    if equivalent.reason[0]:
        return equivalent.reason[0], ""
    beyond = "" if equivalent.inside[0] else "; beyond the range of that family"
    return f"{flops(equivalent.scale[0])} FLOPs", f"{_flops_interval(equivalent)}{beyond}"


def _flops_interval(equivalent: EquivalentScale) -> str:
    """Return the interval of one equivalent scale in words, open ends named."""
    low, high = float(equivalent.lower[0]), float(equivalent.upper[0])
    level = share(equivalent.level)
    if math.isnan(low):
        return f"no {level} interval: the family has too few models"
    if low <= 0 and math.isinf(high):
        return f"{level} interval: not bounded by the family's few models"
    return f"{level} interval {flops(low)} to {flops(high)}"


def outside(prediction: Prediction) -> str:
    """Return how far a model lies outside the capabilities seen in fitting; "" inside."""
    distance = prediction.support.distance
    if not distance > 0:
        return ""
    return f"by {distance:.1f} sd" if distance >= 0.05 else "by less than 0.1 sd"


def reference_words(reference: Reference) -> str:
    """Return what a reference is called, and how recent it is."""
    name = reference.name or reference.title
    return name if reference.date is None else f"{name}, models until {reference.date:%d %B %Y}"

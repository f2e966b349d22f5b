"""Equivalent compute is the scale at which a reference family reaches a capability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .._display import frame_html
from .._json import json_dict
from ..errors import DegenerateError, FitError
from .efficiency import FamilyLaw

__all__ = ["EquivalentScale", "equivalent_scale"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EquivalentScale:
    """The scale at which a reference family's line reaches given capabilities.

    Attributes
    ----------
    family : str
        The reference family.
    scale, lower, upper : (n,) arrays
        FLOPs (or parameters) and their interval. ``lower`` is 0 or ``upper`` infinite where the
        data do not bound them; both NaN where the family has two models only. All NaN where
        ``reason`` says why there is no number.
    level : float
        Nominal coverage.
    inside : (n,) bool array
        Whether the scale lies within the family's own range, else it is an extrapolation.
    reason : (n,) tuple of str
        Why there is no number: "below every reference model" or "above every reference model"; ""
        where there is one.

    See Also
    --------
    equivalent_scale : Makes one.
    reference_line : The line of the reference family in training FLOPs.

    Examples
    --------
    >>> from capspace.fit import equivalent_scale, fit_family_law
    >>> law = fit_family_law([0.2, 0.41, 0.59], [1e21, 1e22, 1e23], family="Llama-2")
    >>> equivalent_scale([0.3, 0.5], law)
    EquivalentScale(2 of 2 in Llama-2 terms at 90%)

    """

    family: str
    scale: Floats
    lower: Floats
    upper: Floats
    level: float
    inside: NDArray[np.bool_]
    reason: tuple[str, ...]

    def __repr__(self) -> str:
        known = int(np.isfinite(self.scale).sum())
        return (
            f"EquivalentScale({known} of {len(self.scale)} in {self.family} terms at "
            f"{self.level:.0%})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per capability: scale, lower, upper, inside, reason."""
        columns = ("scale", "lower", "upper", "inside", "reason")
        return pd.DataFrame({name: getattr(self, name) for name in columns})

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists; unknown or unbounded ends, and an empty reason, are None."""
        reason = [text or None for text in self.reason]
        return json_dict({**vars(self), "reason": reason})


def equivalent_scale(
    capability: ArrayLike,
    law: FamilyLaw,
    *,
    variance: ArrayLike = 0.0,
    level: float = 0.9,
    among: ArrayLike | None = None,
) -> EquivalentScale:
    """Return the scale, with its interval, at which a family would reach a capability.

    Parameters
    ----------
    capability : (n,) array or float
        On the scale the law was fitted on.
    law : FamilyLaw
        The reference family's law.
    variance : (n,) array or float
        Variance of each capability (from the covariance of its place), 0 if taken as exact.
    level : float
        Nominal coverage of the interval.
    among : (m,) array, optional
        Capabilities of the reference models. A capability outside theirs gets no number, however
        far the line is drawn.

    Raises
    ------
    DegenerateError
        The line is flat, so that it reaches no other capability.

    See Also
    --------
    fit_family_law, reference_line : Give the law.

    Notes
    -----
    With the line y = a + b x, x = log10(scale), the point is (y - a) / b. The interval is
    Fieller's: all x with (y - a - b x)² <= t² s² (1/n + (x - x̄)²/Sxx) + z² v. It answers where the
    family's *line* reaches y; the scatter of single models about their line is not added. Where
    the slope may be zero at this level, the set is unbounded, and its ends are 0 and infinity.

    References
    ----------
    Fieller 1954, "Some problems in interval estimation". Ruan et al. 2024, arXiv 2405.10938,
    appendix on the equivalent-FLOPs axis.

    Examples
    --------
    >>> from capspace.fit import equivalent_scale, fit_family_law
    >>> law = fit_family_law([0.2, 0.41, 0.59], [1e21, 1e22, 1e23], family="Llama-2")
    >>> same = equivalent_scale(0.5, law)
    >>> f"{same.scale[0]:.1e}"
    '3.3e+22'

    """
    y = np.atleast_1d(np.asarray(capability, dtype=float))
    v = np.broadcast_to(np.asarray(variance, dtype=float), y.shape)
    if (v < 0).any():
        raise FitError("variance must not be negative")
    if law.slope == 0:
        raise DegenerateError(f"the law of family {law.family!r} is flat: no scale is equivalent")
    t = law.quantile(level)
    spread = float(stats.norm.ppf(0.5 + level / 2)) ** 2 * v
    noise = t**2 * law.residual_variance
    above = y - (law.intercept + law.slope * law.mean_log10_scale)
    lower, upper = _fieller(above, law.slope, noise / law.sxx, noise / law.n_models + spread)
    with np.errstate(over="ignore"):
        scale = 10.0 ** (law.mean_log10_scale + above / law.slope)
        low, high = (10.0 ** (law.mean_log10_scale + end) for end in (lower, upper))
    reason = _outside(y, among)
    known = np.array([not text for text in reason])
    scale, low, high = (np.where(known, end, np.nan) for end in (scale, low, high))
    inside = (scale >= law.scale_range[0]) & (scale <= law.scale_range[1])
    return EquivalentScale(law.family, scale, low, high, level, inside, reason)


def _outside(y: Floats, among: ArrayLike | None) -> tuple[str, ...]:
    """Return for each capability whether it lies below or above all others', in words."""
    if among is None:
        return ("",) * len(y)
    lowest, highest = np.nanmin(among), np.nanmax(among)
    return tuple(
        "below every reference model"
        if value < lowest
        else "above every reference model"
        if value > highest
        else ""
        for value in y
    )


def _fieller(above: Floats, slope: float, q: float, c: Floats) -> tuple[Floats, Floats]:
    """Solve (above - slope d)² <= c + q d² for d; an unbounded set has infinite ends."""
    lead = slope**2 - q
    root = np.sqrt(np.maximum(above**2 * q + lead * c, 0.0))
    if np.isnan(lead):
        return np.full_like(above, np.nan), np.full_like(above, np.nan)
    if lead <= 0:
        ends = np.full_like(above, np.inf)
        known = ~np.isnan(above)
        return np.where(known, -ends, np.nan), np.where(known, ends, np.nan)
    return (slope * above - root) / lead, (slope * above + root) / lead

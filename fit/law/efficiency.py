"""Fit log-linear laws of capability in training compute or size, one per model family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .._display import SingleRow, counted, frame_html
from .._json import json_dict
from ..errors import (
    DegenerateError,
    FitError,
    TooFewModelsError,
    UnknownNameError,
    check_level,
    near_matches,
)
from ..table.facts import family_key, one_spelling

__all__ = [
    "Efficiency",
    "FamilyLaw",
    "fit_efficiency",
    "fit_family_law",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FamilyLaw(SingleRow):
    """The line ``capability = intercept + slope * log10(scale)`` of one family.

    Attributes
    ----------
    family : str
        The family's name.
    n_models : int
        Models that have both a capability and a scale.
    slope : float
        Capability gained per factor of ten of scale.
    intercept : float
        Capability at a scale of 1 (one FLOP, one parameter): an extrapolation, use ``predict``.
    r2 : float
        Share of variance explained; NaN for two models, through which any line passes.
    mean_log10_scale, sxx : float
        Mean and sum of squared deviations of log10(scale).
    residual_variance : float
        Unbiased, ``n_models - 2`` degrees of freedom; NaN for two models.
    scale_range : tuple of float
        Smallest and largest scale in the family.

    See Also
    --------
    fit_family_law : Makes one.
    fit_efficiency : Makes one for every family.

    Examples
    --------
    >>> from capspace.fit import fit_family_law
    >>> law = fit_family_law([0.2, 0.41, 0.59], [1e21, 1e22, 1e23], family="A")
    >>> law
    FamilyLaw(A: +0.195 per decade, 3 models, R² 1.00)
    >>> round(float(law.predict(1e24)), 2)
    0.79

    """

    family: str
    n_models: int
    slope: float
    intercept: float
    r2: float
    mean_log10_scale: float
    sxx: float
    residual_variance: float
    scale_range: tuple[float, float]

    def __repr__(self) -> str:
        return (
            f"FamilyLaw({self.family}: {self.slope:+.3g} per decade, "
            f"{counted(self.n_models, 'model')}, R² {self.r2:.2f})"
        )

    def predict(self, scale: ArrayLike) -> Floats:
        """Return the capability (same shape) on the line at ``scale`` (FLOPs or parameters)."""
        log: Floats = np.log10(np.asarray(scale, dtype=float))
        return self.intercept + self.slope * log

    def band(self, scale: ArrayLike, level: float = 0.9) -> tuple[Floats, Floats]:
        """Return the pointwise confidence band (lower, upper) of the line at ``scale``.

        NaN where the family has two models only: they leave nothing to estimate the scatter from.
        """
        at = np.log10(np.asarray(scale, dtype=float))
        half = self.quantile(level) * np.sqrt(
            self.residual_variance
            * (1 / self.n_models + (at - self.mean_log10_scale) ** 2 / self.sxx)
        )
        line = self.predict(scale)
        return line - half, line + half

    def quantile(self, level: float) -> float:
        """Return Student's two-sided quantile at ``level`` with the law's degrees of freedom.

        NaN for two models.
        """
        check_level(level)
        freedom = self.n_models - 2
        return float(stats.t.ppf(0.5 + level / 2, freedom)) if freedom else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return the law as JSON-safe values; what is not known is None."""
        return json_dict(vars(self))


@dataclass(frozen=True)
class Efficiency:
    """Laws of one capability in scale for every family that allows one.

    Attributes
    ----------
    capability : str
        What was fitted: ``"PC-1"``, a benchmark, ...
    laws : dict
        Family to its law, in order of first appearance.
    left_out : dict
        Family to the reason why it has no law.
    r2_mean : float
        Mean R² over the families of three or more models; NaN if there is none.
    pooled : FamilyLaw
        One line through all models whatever their family.

    See Also
    --------
    fit_efficiency : Makes one.
    FamilyLaw : Each of its lines.

    Examples
    --------
    >>> from capspace.fit import fit_efficiency
    >>> laws = fit_efficiency([0.2, 0.4, 0.3, 0.5], [1e21, 1e22, 1e21, 1e23], list("AABB"))
    >>> laws
    Efficiency(capability: 2 families, mean R² nan)
    >>> laws.to_frame()["slope"].round(2).tolist()
    [0.2, 0.1]

    """

    capability: str
    laws: dict[str, FamilyLaw]
    left_out: dict[str, str]
    r2_mean: float
    pooled: FamilyLaw

    def __repr__(self) -> str:
        n = len(self.laws)
        return (
            f"Efficiency({self.capability}: {n} famil{'y' if n == 1 else 'ies'}, mean R² "
            f"{self.r2_mean:.2f})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per family: n_models, slope, intercept, r2 and its range of scale."""
        columns = ["n_models", "slope", "intercept", "r2", "smallest", "largest"]
        rows = [
            (law.n_models, law.slope, law.intercept, law.r2, *law.scale_range)
            for law in self.laws.values()
        ]
        return pd.DataFrame(rows, index=pd.Index(self.laws, name="family"), columns=columns)

    def law(self, family: str) -> FamilyLaw:
        """Return the law of ``family``.

        Raises
        ------
        UnknownNameError
            There is no such family.
        TooFewModelsError
            The family is there but allows no law; the message says why.

        """
        spelled = {family_key(f): f for f in (*self.laws, *self.left_out)}
        family = spelled.get(family_key(family), family)
        if family in self.laws:
            return self.laws[family]
        if family in self.left_out:
            raise TooFewModelsError(
                f"no law of {self.capability} for family {family!r}: {self.left_out[family]}; "
                f"families with one: {', '.join(self.laws)}"
            )
        known = [*self.laws, *self.left_out]
        near = near_matches(family, known) or f"; there are {', '.join(known)}"
        raise UnknownNameError(f"unknown family {family!r}{near}")

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values; what is not known is None."""
        return json_dict(
            {
                "capability": self.capability,
                "families": self.laws,
                "left_out": self.left_out,
                "r2_mean": self.r2_mean,
                "pooled": self.pooled,
            }
        )


def fit_family_law(capability: ArrayLike, scale: ArrayLike, *, family: str = "") -> FamilyLaw:
    """Fit the line of one family by least squares on log10(scale).

    Parameters
    ----------
    capability : (n,) array
        Scores or coordinates; models with NaN in either input are left out.
    scale : (n,) array
        Training FLOPs or parameters, in units, positive.
    family : str
        The family's name, for messages.

    Raises
    ------
    TooFewModelsError
        Fewer than two models with both values.
    DegenerateError
        All models have the same scale.
    FitError
        A scale or capability that is infinite, or a scale that is not positive.

    See Also
    --------
    fit_efficiency : All families of a table.

    Examples
    --------
    >>> from capspace.fit import fit_family_law
    >>> law = fit_family_law([0.2, 0.4, 0.6], [1e21, 1e22, 1e23], family="A")
    >>> round(float(law.predict(1e24)), 6)
    0.8

    """
    y, x = np.asarray(capability, dtype=float), np.asarray(scale, dtype=float)
    if y.shape != x.shape or y.ndim != 1:
        raise FitError(f"capability and scale must be vectors of one length: {y.shape}, {x.shape}")
    if np.isinf(y).any() or np.isinf(x).any() or (x <= 0).any():
        raise FitError(
            f"family {family!r}: scales must be positive and finite, capabilities finite"
        )
    known = ~(np.isnan(y) | np.isnan(x))
    y, x = y[known], x[known]
    if len(y) < 2:
        raise TooFewModelsError(f"family {family!r}: {_too_few(len(y))}")
    log = np.log10(x)
    mean = float(log.mean())
    sxx = float(((log - mean) ** 2).sum())
    if sxx < 1e-12:
        raise DegenerateError(f"family {family!r}: {_SAME_SCALE}")
    slope = float(((log - mean) * (y - y.mean())).sum() / sxx)
    residual = y - y.mean() - slope * (log - mean)
    total = float(((y - y.mean()) ** 2).sum())
    left, free = float((residual**2).sum()), len(y) - 2
    return FamilyLaw(
        family=family,
        n_models=len(y),
        slope=slope,
        intercept=float(y.mean() - slope * mean),
        r2=1 - left / total if free and np.ptp(y) > 0 else float("nan"),
        mean_log10_scale=mean,
        sxx=sxx,
        residual_variance=left / free if free else float("nan"),
        scale_range=(float(x.min()), float(x.max())),
    )


def fit_efficiency(
    capability: ArrayLike, scale: ArrayLike, families: Sequence[str], *, name: str = "capability"
) -> Efficiency:
    """Fit one line per family, and one through all models.

    Parameters
    ----------
    capability : (n,) array
        Coordinates on one component, or scores on one benchmark; NaN where unknown.
    scale : (n,) array
        Training FLOPs or parameters, in units; NaN where unknown.
    families : sequence of n str
        Each model's family; case and outer blanks do not count.
    name : str
        What the capability is, for messages and figures.

    Raises
    ------
    TooFewModelsError
        Fewer than two models have both values.

    References
    ----------
    Ruan et al. 2024, arXiv 2405.10938, section 3.3 (equation 4).

    See Also
    --------
    equivalent_scale : The scale at which a family would reach a capability.

    Examples
    --------
    >>> from capspace.fit import fit_efficiency
    >>> flops = [1e21, 1e22, 1e23, 1e21, 1e23]
    >>> laws = fit_efficiency([0.2, 0.4, 0.6, 0.3, 0.5], flops, ["A", "A", "A", "B", "B"])
    >>> laws
    Efficiency(capability: 2 families, mean R² 1.00)
    >>> laws.law("B")
    FamilyLaw(B: +0.1 per decade, 2 models, R² nan)

    """
    y, x = np.asarray(capability, dtype=float), np.asarray(scale, dtype=float)
    spelled = one_spelling(families)
    member = np.asarray(spelled, dtype=object)
    pooled = fit_family_law(y, x, family="all models")
    laws: dict[str, FamilyLaw] = {}
    left_out: dict[str, str] = {}
    for family in dict.fromkeys(spelled):
        rows = member == family
        known = rows & ~(np.isnan(x) | np.isnan(y))
        if known.sum() < 2:
            left_out[family] = _too_few(int(known.sum()))
        elif np.ptp(np.log10(x[known])) < 1e-6:
            left_out[family] = _SAME_SCALE
        else:
            laws[family] = fit_family_law(y[rows], x[rows], family=family)
    r2 = [law.r2 for law in laws.values() if law.n_models > 2 and not np.isnan(law.r2)]
    return Efficiency(name, laws, left_out, float(np.mean(r2)) if r2 else float("nan"), pooled)


_SAME_SCALE = "all its models have the same scale; a law needs two different ones"


def _too_few(n: int) -> str:
    what = {0: "no model has", 1: "only one model has"}[n]
    return f"{what} both a capability and a known scale; a law needs two or more"

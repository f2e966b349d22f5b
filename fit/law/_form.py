"""A law's form has a link, a floor and a ceiling, with their derivatives."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from ..errors import FitError, check_choice
from ._least_squares import Link

__all__ = ["EXP_CAP", "STUDY_FLOOR", "Form", "Level", "LinkName", "link_function"]

Array = NDArray[np.float64]
LinkName = Literal["sigmoid", "sigmoid-floor", "linear", "exp"]
Level = float | tuple[float, float]

STUDY_FLOOR = (0.0, 0.2)
EXP_CAP = 100.0


class Form:
    """The shape of a law: its link and which asymptotes are free.

    See Also
    --------
    ScalingLaw : The law that has this shape.
    LawSettings : Chooses the shape of a law that is refitted.

    Examples
    --------
    >>> from capspace.fit import Form
    >>> Form("sigmoid-floor", ceiling=(0.9, 1.0))
    Form(sigmoid-floor: 0 to 0.2 and 0.9 to 1)

    """

    def __init__(self, link: LinkName, floor: Level = 0.0, ceiling: Level = 1.0) -> None:
        check_choice(link, get_args(LinkName), "link")
        self.name = link
        if link == "sigmoid-floor" and not isinstance(floor, tuple):
            top = ceiling[1] if isinstance(ceiling, tuple) else ceiling
            floor = (floor, floor + STUDY_FLOOR[1] * (top - floor))
        self.bounds = [
            level if isinstance(level, tuple) else (float(level), float(level))
            for level in (floor, ceiling)
        ]
        for name, (low, high) in zip(("floor", "ceiling"), self.bounds, strict=True):
            if not low <= high:
                raise FitError(f"{name}: bounds ({low:g}, {high:g}) are the wrong way round")
        if not self.bounds[0][0] < self.bounds[1][1]:
            raise FitError(
                f"floor {self.bounds[0][0]:g} is not below ceiling {self.bounds[1][1]:g}"
            )
        curved = link in ("sigmoid", "sigmoid-floor")
        self.free = [curved and low < high for low, high in self.bounds]
        self.n_free = sum(self.free)
        self.curved = curved

    def __repr__(self) -> str:
        levels = (f"{a:g}" if a == b else f"{a:g} to {b:g}" for a, b in self.bounds)
        return f"Form({self.name}: {' and '.join(levels)})" if self.curved else f"Form({self.name})"

    def levels(self, free: Array) -> Array:
        """Return floor and ceiling (2, b), given the free ones among them (b, n_free)."""
        if not self.curved:
            return np.full((2, len(free)), np.nan)
        out = np.empty((2, len(free)))
        out[0] = free[:, 0] if self.free[0] else self.bounds[0][0]
        out[1] = free[:, -1] if self.free[1] else self.bounds[1][0]
        return out

    def box(self, k: int) -> tuple[Array, Array]:
        """Return lower and upper bounds (q,) of the parameters."""
        free = [b for b, is_free in zip(self.bounds, self.free, strict=True) if is_free]
        low = np.r_[np.full(k + 1, -np.inf), [b[0] for b in free]]
        return low, np.r_[np.full(k + 1, np.inf), [b[1] for b in free]]


def link_function(form: Form) -> Link:
    """Return f(c, levels) of a form with its derivatives, as ``solve`` wants them."""

    def linear(c: Array, levels: Array) -> tuple[Array, Array, Array, Array, Array]:
        none = np.empty((*c.shape, 0))
        return c, np.ones_like(c), np.zeros_like(c), none, none

    def exponential(c: Array, levels: Array) -> tuple[Array, Array, Array, Array, Array]:
        e = np.exp(np.minimum(c, EXP_CAP))
        none = np.empty((*c.shape, 0))
        return e, e, e, none, none

    def sigmoid(c: Array, levels: Array) -> tuple[Array, Array, Array, Array, Array]:
        s = expit(c)
        floor, ceiling = form.levels(levels)
        height = (ceiling - floor)[:, None]
        rising = s * (1 - s)
        slope = height * rising
        by_level = np.empty((*c.shape, form.n_free))
        mixed = np.empty((*c.shape, form.n_free))
        if form.free[0]:
            by_level[..., 0], mixed[..., 0] = 1 - s, -rising
        if form.free[1]:
            by_level[..., -1], mixed[..., -1] = s, rising
        return floor[:, None] + height * s, slope, slope * (1 - 2 * s), by_level, mixed

    if form.curved:
        return sigmoid
    return linear if form.name == "linear" else exponential

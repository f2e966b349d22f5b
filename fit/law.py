"""The scaling law: a target score as a sigmoid of a linear map of capabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, RegressorMixin  # type: ignore[import-untyped] # ships no types
from sklearn.utils.validation import check_is_fitted, validate_data  # type: ignore[import-untyped] # ships no types

from capspace.fit._least_squares import Link, Solution, solve
from capspace.fit.errors import DegenerateError, FitError, NotConvergedError, TooFewModelsError

__all__ = [
    "STUDY_FLOOR",
    "Form",
    "LinkName",
    "Loss",
    "ScalingLaw",
    "best_of",
    "fit_many",
    "link_function",
    "starting_points",
]

Array = NDArray[np.float64]
LinkName = Literal["sigmoid", "sigmoid-floor", "linear", "exp"]
Loss = Literal["squared", "huber"]
Level = float | tuple[float, float]

STUDY_FLOOR = (0.0, 0.2)
_LINKS = ("sigmoid", "sigmoid-floor", "linear", "exp")
_LOSSES = ("squared", "huber")
_EXP_CAP = 700.0


class ScalingLaw(RegressorMixin, BaseEstimator):  # type: ignore[misc] # sklearn is untyped
    r"""Predict a score from capabilities: y = f + (c − f)·σ(β₀ + βᵀx).

    Parameters
    ----------
    link : {"sigmoid", "sigmoid-floor", "linear", "exp"}
        "sigmoid-floor" also fits the floor, within 0 to 0.2 of the way from ``floor`` to
        ``ceiling`` (the study's form for agents and post-training). "linear" is β₀ + βᵀx and "exp"
        is exp(β₀ + βᵀx), both without floor and ceiling.
    loss : {"squared", "huber"}
        "huber" with ``delta`` ≥ 1 equals "squared" for scores in [0, 1].
    delta : float
        Residual, in units of y, from which "huber" grows linearly.
    floor, ceiling : float or (low, high)
        Asymptotes f and c in units of y: a number fixes one, a pair fits it within these bounds.
    n_starts : int
        Starting points; the fit with the lowest loss wins.
    max_iter, tol : int, float
        Of each start, see ``capspace.fit._least_squares.solve``.
    random_state : int
        Seed of the random starting points.

    Attributes
    ----------
    coef_ : (k,) array
        β, in logits per unit of capability ("linear": units of y).
    intercept_ : float
    floor_, ceiling_ : float
        Fitted or given asymptotes; NaN for "linear" and "exp".
    covariance_ : (q, q) array
        Of (β₀, β, fitted floor, fitted ceiling), σ̂²(JᵀWJ)⁻¹; NaN where the data do not determine
        it (as many parameters as models, or a parameter at its bound).
    loss_ : float
        Weighted sum of ρ(residual) at the solution.
    converged_ : bool
        True; a fit that does not converge raises.
    n_iter_ : int

    Raises
    ------
    TooFewModelsError
        Fewer models (of nonzero weight) than parameters.
    DegenerateError
        The target does not vary.
    NotConvergedError
        No start reached a stationary point.

    References
    ----------
    Ruan, Maddison & Hashimoto (2024), Observational Scaling Laws, arXiv 2405.10938, section 3.3.

    """

    def __init__(
        self,
        *,
        link: LinkName = "sigmoid",
        loss: Loss = "squared",
        delta: float = 1.0,
        floor: Level = 0.0,
        ceiling: Level = 1.0,
        n_starts: int = 24,
        max_iter: int = 400,
        tol: float = 1e-9,
        random_state: int = 0,
    ) -> None:
        self.link = link
        self.loss = loss
        self.delta = delta
        self.floor = floor
        self.ceiling = ceiling
        self.n_starts = n_starts
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to capabilities X (n, k) and scores y (n,)."""
        return self.fit_weighted(X, y, 1.0)

    def fit_weighted(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike) -> Self:
        """Fit with a weight (n,) on each model; a model of weight 0 is left out."""
        x, target = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        weight = _weights(sample_weight, len(x))
        form = self._form()
        used = weight > 0
        n_parameters = x.shape[1] + 1 + form.n_free
        if used.sum() < n_parameters:
            raise TooFewModelsError(
                f"n_samples = {used.sum()}: too few models for the {n_parameters} parameters of "
                f"this law; use at most {max(int(used.sum()) - 1 - form.n_free, 0)} components, or "
                "add models"
            )
        _check_varies(target[used])
        x, target, weight = x[used], target[used], weight[used]
        starts = starting_points(
            x, target, weight, form, n_starts=self.n_starts, random_state=self.random_state
        )
        found = fit_many(
            np.broadcast_to(x, (len(starts), *x.shape)),
            np.broadcast_to(target, (len(starts), len(target))),
            np.broadcast_to(weight, (len(starts), len(weight))),
            starts,
            form,
            delta=self.delta if self.loss == "huber" else np.inf,
            max_iter=self.max_iter,
            tol=self.tol,
        )
        best = best_of(found)
        theta = found.theta[best]
        k = x.shape[1]
        self.intercept_ = float(theta[0])
        self.coef_ = theta[1 : k + 1]
        self.floor_, self.ceiling_ = (float(v) for v in form.levels(theta[None, k + 1 :])[:, 0])
        self.loss_ = float(found.loss[best])
        self.n_iter_ = int(found.n_iter[best])
        self.converged_ = True
        self.covariance_ = _covariance(x, target, weight, theta, form)
        return self

    def linear_predictor(self, X: ArrayLike) -> Array:
        """Return C = β₀ + βᵀx for capabilities X (n, k), as (n,)."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(self.intercept_ + x @ self.coef_)

    def predict(self, X: ArrayLike) -> Array:
        """Return predicted scores (n,) at capabilities X (n, k)."""
        return self.curve(self.linear_predictor(X))

    def curve(self, linear_predictor: ArrayLike) -> Array:
        """Return the score at values of the linear predictor C, any shape."""
        check_is_fitted(self)
        c = np.asarray(linear_predictor, dtype=float)
        if self.link == "linear":
            return c
        if self.link == "exp":
            return np.exp(np.minimum(c, _EXP_CAP))
        return np.asarray(self.floor_ + (self.ceiling_ - self.floor_) * expit(c))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags

    def _form(self) -> Form:
        if self.link not in _LINKS:
            raise FitError(f"link {self.link!r} is none of {', '.join(_LINKS)}")
        if self.loss not in _LOSSES:
            raise FitError(f"loss {self.loss!r} is none of {', '.join(_LOSSES)}")
        return Form(self.link, self.floor, self.ceiling)


class Form:
    """The shape of a law: its link and which asymptotes are free."""

    def __init__(self, link: LinkName, floor: Level = 0.0, ceiling: Level = 1.0) -> None:
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
    if form.name == "linear":
        return lambda c, levels: (c, np.ones_like(c), np.zeros_like(c), np.empty((*c.shape, 0)))
    if form.name == "exp":

        def exponential(c: Array, levels: Array) -> tuple[Array, Array, Array, Array]:
            e = np.exp(np.minimum(c, _EXP_CAP))
            return e, e, e, np.empty((*c.shape, 0))

        return exponential

    def sigmoid(c: Array, levels: Array) -> tuple[Array, Array, Array, Array]:
        s = expit(c)
        floor, ceiling = form.levels(levels)
        height = (ceiling - floor)[:, None]
        rising = s * (1 - s)
        by_level = np.empty((*c.shape, form.n_free))
        if form.free[0]:
            by_level[..., 0] = 1 - s
        if form.free[1]:
            by_level[..., -1] = s
        slope = height * rising
        return floor[:, None] + height * s, slope, slope * (1 - 2 * s), by_level

    return sigmoid


def fit_many(
    x: Array,
    y: Array,
    weight: Array,
    start: Array,
    form: Form,
    *,
    delta: float = np.inf,
    max_iter: int = 400,
    tol: float = 1e-9,
) -> Solution:
    """Fit B laws side by side from their starting points.

    Parameters
    ----------
    x : (B, n, k) capabilities
    y, weight : (B, n) scores and weights
    start : (B, q) parameters (β₀, β, free floor, free ceiling)
    delta : Huber's δ; infinite is least squares

    """
    k = x.shape[2]
    total = weight.sum(axis=1)[:, None]
    centre = (weight[:, None] @ x)[:, 0] / total
    spread = np.sqrt((weight[:, None] @ (x - centre[:, None]) ** 2)[:, 0] / total)
    spread = np.where(spread > 1e-9 * np.maximum(np.abs(centre), 1e-12), spread, 1.0)
    design = np.empty((*x.shape[:2], k + 1))
    design[..., 0] = 1.0
    design[..., 1:] = (x - centre[:, None]) / spread[:, None]
    low, high = form.box(k)

    inner = start.copy()
    inner[:, 0] += (start[:, 1 : k + 1] * centre).sum(axis=1)
    inner[:, 1 : k + 1] *= spread
    found = solve(
        link_function(form),
        design,
        y,
        weight,
        inner,
        lower=low,
        upper=high,
        delta=delta,
        max_iter=max_iter,
        tol=tol,
    )
    theta = found.theta
    theta[:, 1 : k + 1] /= spread
    theta[:, 0] -= (theta[:, 1 : k + 1] * centre).sum(axis=1)
    return found


def starting_points(
    x: Array, y: Array, weight: Array, form: Form, *, n_starts: int, random_state: int
) -> Array:
    """Return starting parameters (n_starts, q), in an order that puts the likeliest first.

    The first is the regression of the inverse link of y on x, the second the study's own start
    (β₀ = 0, βⱼ = 0.03); the rest scale the first, sharpen it along single directions of the
    whitened capabilities, or draw directions at random.
    """
    k = x.shape[1]
    total = weight.sum()
    centre = weight @ x / total
    spread = np.sqrt(weight @ (x - centre) ** 2 / total)
    spread[spread <= 0] = 1.0
    z = (x - centre) / spread
    inverse = _inverse_link(form)
    levels = np.array([_start_level(i, form) for i in (0, 1) if form.free[i]])
    starts = []

    def add(intercept: float, slope: Array) -> None:
        beta = slope / spread
        starts.append(np.r_[intercept - beta @ centre, beta, levels])

    root = np.sqrt(weight)
    design = np.column_stack([np.ones(len(z)), z]) * root[:, None]
    ridge = 1e-6 * total * np.diag(np.r_[0.0, np.ones(k)])
    for margin in (0.02, 0.1):
        goal = inverse(y, margin)
        b = np.linalg.lstsq(design.T @ design + ridge, design.T @ (goal * root), rcond=None)[0]
        add(b[0], b[1:])
        if len(starts) == 1:
            starts.append(np.r_[0.0, np.full(k, 0.03), levels])
    if form.name == "linear":
        return np.array(starts[:1])
    first = starts[0]
    slope = first[1 : k + 1] * spread
    middle = first[0] + first[1 : k + 1] @ centre
    for factor in (2.0, 4.0, 0.5):
        add(middle * min(factor, 1.0), factor * slope)
    rng = np.random.default_rng(random_state)
    level = float(inverse(np.array([weight @ y / total]), 0.02)[0])
    while len(starts) < n_starts:
        direction = rng.normal(size=k)
        direction *= rng.choice([0.5, 1.0, 2.0, 4.0, 8.0]) / np.linalg.norm(direction)
        corr = weight @ (z @ direction * (y - weight @ y / total))
        add(level + rng.normal(), direction * (1.0 if corr >= 0 else -1.0))
    return np.array(starts[:n_starts])


def _inverse_link(form: Form) -> Callable[[Array, float], Array]:
    if form.name == "linear":
        return lambda y, margin: y
    if form.name == "exp":
        return lambda y, margin: np.log(np.maximum(y, margin * max(float(np.max(y)), 1e-12)))
    low, high = form.bounds[0][0], form.bounds[1][1]
    if not np.isfinite(high):
        raise FitError("ceiling: an infinite bound gives the fit no place to start")
    return lambda y, margin: logit(np.clip((y - low) / (high - low), margin, 1 - margin))


def _start_level(i: int, form: Form) -> float:
    low, high = form.bounds[i]
    return low if i == 0 else high


def best_of(found: Solution) -> int:
    """Return which start has the lowest loss.

    Raises
    ------
    NotConvergedError
        None converged, or one that did not went lower than all that did.

    """
    if not found.converged.any():
        raise NotConvergedError(
            f"none of {len(found.loss)} starts converged (lowest loss {found.loss.min():.6g}); "
            "raise max_iter, or use fewer components"
        )
    loss = np.where(np.isfinite(found.loss), found.loss, np.inf)
    best = int(np.argmin(loss))
    if found.converged[best]:
        return best
    settled = np.where(found.converged, loss, np.inf)
    second = int(np.argmin(settled))
    if settled[second] <= loss[best] * (1 + 1e-6) + 1e-15:
        return second
    raise NotConvergedError(
        f"the best of {len(found.loss)} starts (loss {loss[best]:.6g}) had not converged after "
        f"{found.n_iter[best]} iterations; raise max_iter, or use fewer components"
    )


def _covariance(x: Array, y: Array, weight: Array, theta: Array, form: Form) -> Array:
    q = len(theta)
    design = np.column_stack([np.ones(len(x)), x])
    m = design.shape[1]
    fitted, slope, _, by_level = link_function(form)((design @ theta[:m])[None], theta[None, m:])
    jacobian = np.concatenate([slope[..., None] * design, by_level], axis=2)
    low, high = form.box(x.shape[1])
    inner = (theta > low) & (theta < high)
    out = np.full((q, q), np.nan)
    freedom = len(x) - int(inner.sum())
    if freedom <= 0:
        return out
    j = jacobian[0][:, inner]
    information = j.T @ (weight[:, None] * j)
    size = np.sqrt(np.diag(information))
    if (size <= 0).any():
        return out
    unit = information / np.outer(size, size)
    if np.linalg.cond(unit) > 1e14:
        return out
    noise = float(weight @ (fitted[0] - y) ** 2) / freedom * len(x) / float(weight.sum())
    out[np.ix_(inner, inner)] = noise * np.linalg.inv(unit) / np.outer(size, size)
    return out


def _check_varies(y: Array) -> None:
    if np.ptp(y) <= 1e-12 * max(1.0, float(np.abs(y).max())):
        raise DegenerateError(
            f"the target is {y[0]:g} for every training model; a law needs scores that vary"
        )


def _weights(sample_weight: ArrayLike, n: int) -> Array:
    weight = np.asarray(sample_weight, dtype=float)
    if weight.ndim == 0:
        weight = np.full(n, float(weight))
    if weight.shape != (n,):
        raise FitError(f"sample_weight has shape {weight.shape}, expected ({n},)")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise FitError("sample_weight must be finite and not negative")
    return weight

"""Fit a law from many starting points, screen them, and take the best fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from ..errors import FitError, NotConvergedError, check_count
from ._form import Form, link_function
from ._least_squares import Solution, solve
from ._seeds import random_generator

__all__ = ["Best", "fit_best", "fit_many", "inverse_link"]

Array = NDArray[np.float64]

_SHARPNESS = (1.0, 4.0, 16.0, 64.0)
_FINALISTS = 16
_SCREENING_STEPS = 30
_SCREENING_GAIN = 1e-3


@dataclass(frozen=True)
class Best:
    """The lowest of many fits: parameters (q,), loss, iterations."""

    theta: Array
    loss: float
    n_iter: int


def fit_best(
    x: Array,
    y: Array,
    weight: Array,
    form: Form,
    *,
    delta: float = np.inf,
    n_starts: int = 300,
    random_state: int = 0,
    max_iter: int = 400,
    tol: float = 1e-9,
) -> Best:
    """Fit one law from many starting points and return the one of lowest loss.

    Every start is run until a step gains less than a thousandth; the best few run to the end.
    A sigmoid of several capabilities has optima at a knife's edge, a step between two groups of
    models, that one start in a hundred finds.

    Parameters
    ----------
    x : (n, k) array
        Capabilities.
    y : (n,) array
        Scores.
    weight : (n,) array
        Weight of each model.
    form : Form
        Shape of the law.
    delta : float
        Huber's δ; infinite is least squares.
    n_starts : int
        Starting points.
    random_state : int
        Their seed.
    max_iter : int
        Steps of the final runs.
    tol : float
        When they end, see ``solve``.

    Raises
    ------
    FitError
        ``n_starts`` is no whole number of at least 1, or ``random_state`` no seed.
    NotConvergedError
        The best fit had not converged.

    """
    check_count(n_starts, "n_starts")
    starts = _starting_points(x, y, weight, form, n_starts, random_state)

    def run(start: Array, steps: int, tol: float, negligible: float) -> Solution:
        b = len(start)
        return fit_many(
            np.broadcast_to(x, (b, *x.shape)),
            np.broadcast_to(y, (b, len(y))),
            np.broadcast_to(weight, (b, len(weight))),
            start,
            form,
            delta=delta,
            max_iter=steps,
            tol=tol,
            negligible=negligible,
        )

    if len(starts) > _FINALISTS:
        screened = run(starts, _SCREENING_STEPS, _SCREENING_GAIN, _SCREENING_GAIN)
        order = np.argsort(np.where(np.isfinite(screened.loss), screened.loss, np.inf))
        starts = screened.theta[order[:_FINALISTS]]
    finished = run(starts, max_iter, tol, 1e-13)
    best = _lowest(finished)
    return Best(finished.theta[best], float(finished.loss[best]), int(finished.n_iter[best]))


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
    negligible: float = 1e-13,
) -> Solution:
    """Fit B laws side by side from their starting points.

    Parameters
    ----------
    x : (B, n, k) array
        Capabilities.
    y : (B, n) array
        Scores.
    weight : (B, n) array
        Weight of each model.
    start : (B, q) array
        Parameters (β₀, β, free floor, free ceiling).
    form : Form
        Shape of the laws.
    delta : float
        Huber's δ; infinite is least squares.
    max_iter : int
        Steps at most.
    tol, negligible : float
        When a fit ends, see ``solve``.

    """
    k = x.shape[2]
    total = weight.sum(axis=1)[:, None]
    centre = (weight[:, None] @ x)[:, 0] / total
    spread = np.sqrt((weight[:, None] @ (x - centre[:, None]) ** 2)[:, 0] / total)
    spread = np.where(spread > 1e-9 * np.maximum(np.abs(centre), 1e-12), spread, 1.0)
    design = np.empty((*x.shape[:2], k + 1))
    design[..., 0] = 1.0
    design[..., 1:] = (x - centre[:, None]) / spread[:, None]

    inner = start.copy()
    inner[:, 0] += (start[:, 1 : k + 1] * centre).sum(axis=1)
    inner[:, 1 : k + 1] *= spread
    solution = solve(
        link_function(form),
        design,
        y,
        weight,
        inner,
        bounds=form.box(k),
        delta=delta,
        max_iter=max_iter,
        tol=tol,
        negligible=negligible,
    )
    theta = solution.theta
    theta[:, 1 : k + 1] /= spread
    theta[:, 0] -= (theta[:, 1 : k + 1] * centre).sum(axis=1)
    return solution


def inverse_link(y: Array, form: Form, margin: float) -> Array:
    """Return the linear predictor at which a law of this form would give y, kept off its ends."""
    if form.name == "linear":
        return y
    if form.name == "exp":
        return np.asarray(np.log(np.maximum(y, margin * max(float(np.max(y)), 1e-12))))
    low, high = form.bounds[0][0], form.bounds[1][1]
    if not np.isfinite(high - low):
        raise FitError("an infinite bound of floor or ceiling leaves the fit no place to start")
    return np.asarray(logit(np.clip((y - low) / (high - low), margin, 1 - margin)))


def _starting_points(
    x: Array, y: Array, weight: Array, form: Form, n_starts: int, random_state: int
) -> Array:
    """Return starting parameters (n_starts, q).

    First the study's start (β₀ = 0, βⱼ = 0.03), then regressions of the inverse link, and these
    sharpened; the rest are random directions of the standardised capabilities, of several
    sharpnesses, with the curve's middle at a randomly chosen model.
    """
    k = x.shape[1]
    share = weight / weight.sum()
    centre = share @ x
    spread = np.sqrt(share @ (x - centre) ** 2)
    spread = np.where(spread > 1e-9 * np.maximum(np.abs(centre), 1e-12), spread, 1.0)
    z = (x - centre) / spread
    levels = [bounds[i] for i, bounds in enumerate(form.bounds) if form.free[i]]

    design = np.column_stack([np.ones(len(z)), z])
    gram = (design * share[:, None]).T @ design + 1e-6 * np.diag(np.r_[0.0, np.ones(k)])
    regressed = [
        np.linalg.lstsq(gram, (design * share[:, None]).T @ inverse_link(y, form, m), rcond=None)[0]
        for m in (0.02, 0.1)
    ]
    if form.name == "linear":
        inner = np.array(regressed[:1])
    else:
        sharpened = [regressed[0] * np.r_[1.0, np.full(k, f)] for f in (2.0, 4.0, 0.5)]
        rng = random_generator(random_state)
        n_random = max(n_starts - 6, 0)
        sharpness = _SHARPNESS if form.curved else _SHARPNESS[:1]
        slope = rng.normal(size=(n_random, k)) * rng.choice(sharpness, size=(n_random, 1))
        at = z[rng.choice(len(z), size=n_random, p=share)]
        random = np.column_stack([-(slope * at).sum(axis=1), slope])
        study = np.r_[0.03 * centre.sum(), 0.03 * spread]
        inner = np.vstack([study, *regressed, *sharpened, random])[:n_starts]
    beta = inner[:, 1:] / spread
    return np.column_stack([inner[:, 0] - beta @ centre, beta, np.tile(levels, (len(beta), 1))])


def _lowest(solution: Solution) -> int:
    loss = np.where(np.isfinite(solution.loss), solution.loss, np.inf)
    best = int(np.argmin(loss))
    settled = np.where(solution.converged, loss, np.inf)
    second = int(np.argmin(settled))
    if settled[second] <= loss[best] * (1 + 1e-6) + 1e-15:
        return second
    raise NotConvergedError(
        f"the best of {len(loss)} fits (loss {loss[best]:.6g}) had not converged after "
        f"{solution.n_iter[best]} iterations; raise max_iter, or use fewer components"
    )

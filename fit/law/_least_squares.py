"""Solve many small weighted nonlinear least-squares problems by Levenberg–Marquardt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Link", "Solution", "solve"]

Array = NDArray[np.float64]
Link = Callable[[Array, Array], tuple[Array, Array, Array, Array, Array]]

_GROW, _SHRINK = 4.0, 0.2
_DAMPING_START, _DAMPING_MIN, _DAMPING_MAX = 1e-3, 1e-15, 1e20
_FLAT = 1e-12
_TINY = 1e-290


@dataclass(frozen=True)
class Solution:
    """Where each of the B problems ended.

    Attributes
    ----------
    theta : (B, q) parameters: coefficients of the design, then the levels
    loss : (B,) weighted sum of ρ(residual), ρ(r) = r²/2 (Huber: linear beyond δ)
    converged : (B,) whether the point is stationary to tolerance
    n_iter : (B,) iterations taken

    """

    theta: Array
    loss: Array
    converged: NDArray[np.bool_]
    n_iter: NDArray[np.intp]


def solve(
    link: Link,
    design: Array,
    y: Array,
    weight: Array,
    start: Array,
    *,
    bounds: tuple[Array, Array] | None = None,
    delta: float = np.inf,
    max_iter: int = 400,
    tol: float = 1e-10,
    negligible: float = 1e-13,
) -> Solution:
    r"""Minimise Σᵢ wᵢ ρ(f(cᵢ, levels) − yᵢ), c = design · β, for B problems side by side.

    Parameters
    ----------
    link : callable
        ``link(c (b, n), levels (b, l)) -> f (b, n), ∂f/∂c (b, n), ∂²f/∂c² (b, n), ∂f/∂levels
        (b, n, l), ∂²f/∂c∂levels (b, n, l)``; f is linear in the levels, or nearly.
    design : (B, n, m) array
        Inputs of each problem, a column of ones among them.
    y : (B, n) array
        What is to be fitted.
    weight : (B, n) array
        Weight of each point.
    start : (B, m + l) array
        β, then the levels.
    bounds : pair of (m + l,) arrays, optional
        The lowest and highest values of the parameters; none by default.
    delta : float
        Huber's δ, in units of y; infinite is least squares.
    max_iter : int
        Steps, refused ones included.
    tol, negligible : float
        A point is stationary when the cosine between the residual and every column of the Jacobian
        (parameters held at a bound left out) is below ``tol``, when a step neither promises nor
        brings more than ``negligible`` of the loss, or when the residual vanishes. A curve that
        sharpens into a step has its optimum at infinity and ends by the second rule.

    Returns
    -------
    Solution
        The caller decides what an unconverged problem means; none is hidden.

    Notes
    -----
    A step solves (H + λ diag H) s = −g with the exact gradient g and H = JᵀWJ. Once a step has been
    refused, a problem goes on with the whole second derivative, its eigenvalues (in units of its
    diagonal) taken positive: it follows curved valleys, such as that between floor and intercept,
    and does not overshoot where the curve saturates. W includes Huber's reweighting. A parameter
    at its bound whose gradient points outward is held for that step.

    References
    ----------
    Moré (1978), The Levenberg–Marquardt algorithm: implementation and theory, sections 3 and 7.

    """
    n_problems, n_parameters = start.shape
    m = design.shape[2]
    free = np.full(n_parameters, np.inf)
    low, high = (-free, free) if bounds is None else bounds
    bounded = bool(np.isfinite(low).any() or np.isfinite(high).any())
    theta = np.clip(start.astype(float), low, high)

    out = Solution(
        theta.copy(),
        np.empty(n_problems),
        np.zeros(n_problems, dtype=bool),
        np.zeros(n_problems, dtype=np.intp),
    )
    which = np.arange(n_problems)
    damping = np.full(n_problems, _DAMPING_START)
    careful = np.zeros(n_problems, dtype=bool)
    vanished = 1e-28 * np.sum(weight * y * y, axis=1) + _TINY
    eye = np.eye(n_parameters)

    def look(at: Array) -> tuple[Array, ...]:
        c = (design @ at[:, :m, None])[..., 0]
        fitted, *derivatives = link(c, at[:, m:])
        return fitted - y, *derivatives

    state = look(theta)
    loss = _loss(state[0], weight, delta)
    for iteration in range(max_iter + 1):
        gradient, hessian = _derivatives(state, design, weight, careful, delta)
        if bounded:
            held = ((theta <= low) & (gradient > 0)) | ((theta >= high) & (gradient < 0))
            gradient = np.where(held, 0.0, gradient)
            free = ~held
            hessian = hessian * (free[:, :, None] & free[:, None, :]) + held[:, :, None] * eye
        diagonal = np.einsum("bqq->bq", hessian)
        cosine = np.abs(gradient) / np.sqrt(diagonal * (2 * loss)[:, None] + _TINY)
        done = (cosine.max(axis=1) <= tol) | (loss <= vanished)

        ridge = damping[:, None] * np.maximum(diagonal, _FLAT * diagonal.max(axis=1)[:, None])
        step = -np.linalg.solve(hessian + (ridge + _TINY)[:, :, None] * eye, gradient[..., None])[
            ..., 0
        ]
        trial = np.clip(theta + step, low, high) if bounded else theta + step
        moved = trial - theta
        promised = -np.sum(gradient * moved, axis=1) - 0.5 * np.einsum(
            "bq,bqr,br->b", moved, hessian, moved
        )
        trial_state = look(trial)
        trial_loss = _loss(trial_state[0], weight, delta)
        gain = loss - trial_loss
        accept = gain > 0
        done |= (np.abs(promised) <= negligible * loss) & (gain <= negligible * loss)
        ended = done | (damping >= _DAMPING_MAX)

        good = accept & (gain > 0.25 * promised)
        damping = np.where(good, damping * _SHRINK, np.where(accept, damping, damping * _GROW))
        damping = np.maximum(damping, _DAMPING_MIN)
        careful |= ~accept
        theta = np.where(accept[:, None], trial, theta)
        state = tuple(
            np.where(accept.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(trial_state, state, strict=True)
        )
        loss = np.where(accept, trial_loss, loss)

        if ended.any() or iteration == max_iter:
            out.theta[which] = theta
            out.loss[which] = loss
            out.converged[which] = done
            out.n_iter[which] = iteration + 1
            keep = ~ended
            if not keep.any() or iteration == max_iter:
                break
            which, theta, damping, loss = which[keep], theta[keep], damping[keep], loss[keep]
            careful = careful[keep]
            state = tuple(part[keep] for part in state)
            design, y, weight, vanished = design[keep], y[keep], weight[keep], vanished[keep]
    return out


def _derivatives(
    state: tuple[Array, ...],
    design: Array,
    weight: Array,
    careful: NDArray[np.bool_],
    delta: float,
) -> tuple[Array, Array]:
    """Return the gradient (b, q) and a positive semi-definite Hessian (b, q, q)."""
    residual, slope, bend, by_level, mixed = state
    if not np.isinf(delta):
        weight = weight * (delta / np.maximum(np.abs(residual), delta))
    pull = weight * residual
    jacobian = slope[..., None] * design
    if by_level.shape[2]:
        jacobian = np.concatenate([jacobian, by_level], axis=2)
    gradient = (jacobian.swapaxes(1, 2) @ pull[..., None])[..., 0]
    hessian = jacobian.swapaxes(1, 2) @ (weight[..., None] * jacobian)
    if careful.any():
        m = design.shape[2]
        x, r = design[careful], pull[careful]
        second = np.zeros((len(x), *hessian.shape[1:]))
        second[:, :m, :m] = x.swapaxes(1, 2) @ ((r * bend[careful])[..., None] * x)
        second[:, :m, m:] = x.swapaxes(1, 2) @ (r[..., None] * mixed[careful])
        second[:, m:, :m] = second[:, :m, m:].swapaxes(1, 2)
        hessian[careful] = _positive(hessian[careful], second)
    return gradient, hessian


def _positive(gauss_newton: Array, second: Array) -> Array:
    whole = gauss_newton + second
    size = np.sqrt(np.einsum("bqq->bq", gauss_newton) + np.abs(np.einsum("bqq->bq", second)))
    size = np.maximum(size, np.maximum(_FLAT * size.max(axis=1, keepdims=True), 1e-100))
    unit = size[:, :, None] * size[:, None]
    values, vectors = np.linalg.eigh(whole / unit)
    floor = _FLAT * np.abs(values).max(axis=1, keepdims=True)
    values = np.maximum(np.abs(values), floor)
    return np.asarray((vectors * values[:, None]) @ vectors.swapaxes(1, 2) * unit)


def _loss(residual: Array, weight: Array, delta: float) -> Array:
    if np.isinf(delta):
        return np.asarray(0.5 * np.sum(weight * residual * residual, axis=1))
    size = np.abs(residual)
    rho = np.where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta))
    return np.asarray(np.sum(weight * rho, axis=1))

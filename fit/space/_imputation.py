"""Impute a table at rank 1 and find its components, under many weightings of its models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DegenerateError, NotConvergedError

__all__ = ["Spaces", "fit_spaces", "orient"]

Array = NDArray[np.float64]
Bounds = tuple[float, float] | None

_SEEN_AT_LEAST = 1e-12


@dataclass(frozen=True)
class Spaces:
    """B spaces of p benchmarks, each fitted with its own weights.

    Attributes
    ----------
    centre, spread : (B, p)
        Mean and standard deviation of the observed cells, the units of the imputation.
    z_mean, z_axis : (B, p)
        Mean and leading axis of the filled table in those units.
    mean : (B, p)
    components : (B, p, p)
        Every principal axis of the filled table, in rows, by falling variance.
    variance : (B, p)
        Variance along each axis (weights sum to one).
    clip : (low, high) or None
        Bounds of imputed cells.
    n_iter : int

    """

    centre: Array
    spread: Array
    z_mean: Array
    z_axis: Array
    mean: Array
    components: Array
    variance: Array
    clip: Bounds
    n_iter: int

    def fill(self, x: Array) -> Array:
        """Return x (n, p) with its NaN cells imputed by every space: (B, n, p)."""
        out = np.broadcast_to(x, (len(self.mean), *x.shape)).copy()
        rows = np.flatnonzero(np.isnan(x).any(axis=1))
        if len(rows):
            missing = np.isnan(x[rows])
            z = (np.where(missing, 0.0, x[rows]) - self.centre[:, None]) / self.spread[:, None]
            z = _reconstruct(z, missing, self.z_mean, self.z_axis)
            value = self.centre[:, None] + self.spread[:, None] * z
            if self.clip is not None:
                value = np.clip(value, *self.clip)
            out[:, rows] = np.where(missing, value, out[:, rows])
        return out

    def transform(self, x: Array, n_components: int) -> Array:
        """Return the coordinates (B, n, n_components) of x (n, p)."""
        filled = self.fill(x)
        return (filled - self.mean[:, None]) @ self.components[:, :n_components].swapaxes(1, 2)


def fit_spaces(
    x: Array,
    weight: Array,
    *,
    clip: Bounds = (0.0, 1.0),
    max_iter: int = 5000,
    tol: float = 1e-9,
    names: Sequence[str] | None = None,
) -> Spaces:
    r"""Impute x (n, p) by rank 1 and find its principal axes, for each weighting (B, n).

    Raises
    ------
    DegenerateError
        A benchmark is missing for every model of positive weight, or no benchmark varies.
    NotConvergedError
        The missing cells still move after ``max_iter`` rounds.

    Notes
    -----
    Benchmarks are standardised by their observed cells. A missing cell is at the fixed point
    z_M = μ_M + v_M t with t = v_O·(z_O − μ_O) / ‖v_O‖², where μ and v are mean and leading axis
    of the filled table and O the model's observed benchmarks. It is the fixed point of projecting
    and reconstructing the filled row, reached in one step for given μ and v. The axis is followed
    by power steps; convergence is tested on the missing cells, with an exact axis. A model of
    weight 0 moves nothing, and is filled as a new one would be.

    References
    ----------
    Ruan, Maddison & Hashimoto (2024), arXiv 2405.10938, appendix on PCA imputation.

    """
    missing = np.isnan(x)
    x0 = np.where(missing, 0.0, x)
    total = weight.sum(axis=1)
    seen = weight @ ~missing
    if (seen <= 0).any():
        column = int(np.argwhere(seen <= 0)[0, 1])
        raise DegenerateError(
            f"benchmark {names[column] if names else column} is missing for every training model; "
            "drop it from the space"
        )
    origin = x0.sum(axis=0) / np.maximum((~missing).sum(axis=0), 1)
    shifted = np.where(missing, 0.0, x0 - origin)
    centre = weight @ shifted / seen
    variance = weight @ (shifted * shifted) / seen - centre * centre
    spread = np.sqrt(np.maximum(variance, 0.0))
    spread[spread <= 1e-12 * np.maximum(np.abs(origin), 1e-3)] = 1.0
    centre = centre + origin

    rows = missing.any(axis=1)
    z_full = (x0[~rows] - centre[:, None]) / spread[:, None]
    w_full = weight[:, ~rows]
    sum_full = (w_full[:, None] @ z_full)[:, 0]
    outer_full = (z_full * w_full[..., None]).swapaxes(1, 2) @ z_full
    gaps = missing[rows]
    w_gaps = weight[:, rows]
    z = np.where(gaps, 0.0, (x0[rows] - centre[:, None]) / spread[:, None])

    axis: Array | None = None
    n_iter = 0
    while n_iter < max_iter:
        n_iter += 1
        weighted = z * w_gaps[..., None]
        z_mean = (sum_full + weighted.sum(axis=1)) / total[:, None]
        outer = (outer_full + weighted.swapaxes(1, 2) @ z) / total[:, None, None]
        outer -= z_mean[:, :, None] * z_mean[:, None]
        exact = axis is None
        axis = np.linalg.eigh(outer)[1][..., -1] if axis is None else _follow(outer, axis)
        new = _reconstruct(z, gaps, z_mean, axis)
        moved = float(np.abs(new - z).max(initial=0.0))
        z, z_axis = new, axis
        if moved <= tol:
            if exact:
                break
            axis = None
    else:
        raise NotConvergedError(
            f"imputation: missing cells still move by {moved:.1e} standard deviations after "
            f"{max_iter} rounds; too many scores are missing: drop models with few benchmarks, "
            "or use estimator='factor'"
        )

    filled = np.broadcast_to(x0, (len(weight), *x.shape)).copy()
    if rows.any():
        value = centre[:, None] + spread[:, None] * z
        filled[:, rows] = np.where(
            gaps, value if clip is None else np.clip(value, *clip), filled[:, rows]
        )
    share = weight / total[:, None]
    mean = (share[:, None] @ filled)[:, 0]
    around = filled - mean[:, None]
    covariance = (around * share[..., None]).swapaxes(1, 2) @ around
    values, vectors = np.linalg.eigh(covariance)
    components = orient(vectors[..., ::-1].swapaxes(1, 2))
    return Spaces(
        centre,
        spread,
        z_mean,
        z_axis,
        mean,
        components,
        np.maximum(values[..., ::-1], 0.0),
        clip,
        n_iter,
    )


def orient(components: Array) -> Array:
    """Fix the signs of axes (..., k, p): the first rises with the benchmarks' sum.

    The others are positive in their largest loading.
    """
    largest = np.take_along_axis(
        components, np.abs(components).argmax(axis=-1, keepdims=True), axis=-1
    )[..., 0]
    sign = np.where(largest < 0, -1.0, 1.0)
    total = components[..., 0, :].sum(axis=-1)
    sign[..., 0] = np.where(np.abs(total) > 1e-12, np.sign(total), sign[..., 0])
    return np.asarray(components * sign[..., None])


def _follow(outer: Array, axis: Array) -> Array:
    """Return the leading axes, moved on from nearby ones by power steps."""
    for _ in range(2):
        axis = (outer @ axis[..., None])[..., 0]
        axis = axis / np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), _SEEN_AT_LEAST)
    return axis


def _reconstruct(z: Array, gaps: NDArray[np.bool_], z_mean: Array, z_axis: Array) -> Array:
    axis = z_axis[:, None]
    observed = ~gaps
    around = np.where(observed, z - z_mean[:, None], 0.0)
    power = (observed * axis * axis).sum(axis=-1)
    t = (around * axis).sum(axis=-1) / np.maximum(power, _SEEN_AT_LEAST)
    return np.where(gaps, z_mean[:, None] + axis * t[..., None], z)

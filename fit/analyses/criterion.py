"""Compute optimality criteria of many designs at once, from their information matrices.

An information matrix ``Z_S' Z_S`` of k components is held as the k(k+1)/2 entries of its lower
triangle, each an array over designs: the Cholesky factorisation then runs over hundreds of
thousands of designs in a few dozen array operations.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import check_choice

__all__ = ["Criterion", "evaluate_criterion", "information_entries", "whiten"]

Floats = NDArray[np.float64]
Criterion = Literal["V", "A", "D"]

# A pivot below this share of its diagonal entry is rounding error: the design is singular. So is
# one below the second constant over the smallest share so far, by which rounding errors grew.
_PIVOT = 1e-10
_ROUNDING = 1e-14


def information_entries(points: Floats) -> Floats:
    """Return the lower triangles of ``z z'`` for points (n, k), as a (k(k+1)/2, n) array."""
    rows, columns = np.tril_indices(points.shape[1])
    return np.ascontiguousarray((points[:, rows] * points[:, columns]).T)


def evaluate_criterion(entries: Floats, criterion: Criterion) -> Floats:
    """Return the criterion, to be minimised, of each information matrix.

    Parameters
    ----------
    entries : (k(k+1)/2, n) array
        Lower triangles, row by row; for "V" of points passed through ``whiten``.
    criterion : {"V", "A", "D"}
        See Notes.

    Returns
    -------
    (n,) array
        Infinite where the matrix is singular: such a design cannot estimate every direction.

    Notes
    -----
    With M = Z_S' Z_S the information of the chosen models: A is tr(M⁻¹), the summed variance of the
    coefficients; D is -log det M; V is tr(Z'Z M⁻¹), the summed prediction variance over all models
    of the population, which is A after whitening by the population.
    """
    check_choice(criterion, get_args(Criterion), "criterion")
    k = int((np.sqrt(8 * len(entries) + 1) - 1) / 2)
    factor: dict[tuple[int, int], Floats] = {}
    singular = np.zeros(entries.shape[1], dtype=bool)
    limit = np.full(entries.shape[1], _PIVOT)
    for i in range(k):
        for j in range(i + 1):
            value = entries[i * (i + 1) // 2 + j].copy()
            for m in range(j):
                value -= factor[i, m] * factor[j, m]
            if i == j:
                diagonal = entries[i * (i + 1) // 2 + i]
                bad = value <= limit * diagonal
                singular |= bad
                value[bad] = 1.0
                np.maximum(limit, _ROUNDING * diagonal / value, out=limit)
                factor[i, i] = np.sqrt(value)
            else:
                factor[i, j] = value / factor[j, j]
    out = _log_det(factor, k) if criterion == "D" else _trace_of_inverse(factor, k)
    out[singular] = np.inf
    return out


def whiten(points: Floats, population: Floats) -> Floats:
    """Return points (n, k) in coordinates in which the population's (p, k) information is I."""
    root = np.linalg.cholesky(population.T @ population)
    return np.ascontiguousarray(np.linalg.solve(root, points.T).T)


def _log_det(factor: dict[tuple[int, int], Floats], k: int) -> Floats:
    out = np.zeros_like(factor[0, 0])
    for i in range(k):
        out -= 2 * np.log(factor[i, i])
    return out


def _trace_of_inverse(factor: dict[tuple[int, int], Floats], k: int) -> Floats:
    # tr((L L')⁻¹) is the squared Frobenius norm of L⁻¹, built column by column.
    out = np.zeros_like(factor[0, 0])
    for column in range(k):
        inverse: list[Floats] = [1 / factor[column, column]]
        out += inverse[0] ** 2
        for i in range(column + 1, k):
            value = -factor[i, column] * inverse[0]
            for m in range(column + 1, i):
                value -= factor[i, m] * inverse[m - column]
            value /= factor[i, i]
            inverse.append(value)
            out += value**2
    return out

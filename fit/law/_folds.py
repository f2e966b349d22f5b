"""Folds weight the training models so that families are left out, singly and in pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import DegenerateError
from ._refit import Training

__all__ = ["Folds", "leave_out_weights"]

Array = NDArray[np.float64]


class Folds:
    """Weights that leave out each family, then each pair of families, all in one batch."""

    def __init__(self, training: Training) -> None:
        self.leave_out, self.family = leave_out_weights(training)
        self.n = len(self.leave_out)
        if self.n < 3:
            names = ", ".join(np.unique(training.families))
            raise DegenerateError(
                f"{self.n} families ({names}): leaving one out and giving an interval needs three"
            )
        first, second = np.triu_indices(self.n, 1)
        self.pair = np.zeros((self.n, self.n), dtype=np.intp)
        self.pair[first, second] = self.pair[second, first] = np.arange(len(first))
        pairs = self.leave_out[first] * self.leave_out[second]
        self.weights = np.concatenate([self.leave_out, pairs])

    def without_own(self, predicted: Array) -> Array:
        """Return (n,): each model predicted without its own family."""
        return np.asarray(predicted[self.family, np.arange(len(self.family))])

    def without_two(self, predicted: Array) -> Array:
        """Return (n_families, n): each model without its own family and that of the fold."""
        fold = np.arange(self.n)[:, None]
        return np.asarray(
            predicted[self.n + self.pair[fold, self.family], np.arange(len(self.family))]
        )

    def random(self, draws: Array) -> Array:
        """Return (n_families · s, n): per fold, draws (s, n_families − 1) as family weights."""
        fold = np.arange(self.n)[:, None]
        column = np.minimum(self.family - (self.family > fold), self.n - 2)
        weights = draws.T[column].transpose(0, 2, 1) * self.leave_out[:, None]
        return weights.reshape(-1, len(self.family))


def leave_out_weights(training: Training) -> tuple[Array, NDArray[np.intp]]:
    """Return weights (n_families, n), 0 for a family's own models, and each model's family (n,).

    Raises
    ------
    DegenerateError
        All models are of one family.

    """
    families, family = np.unique(training.families, return_inverse=True)
    if len(families) < 2:
        raise DegenerateError(
            f"all training models are of the family {families[0]!r}; an interval needs at least two"
        )
    return (family != np.arange(len(families))[:, None]).astype(float), family

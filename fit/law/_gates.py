"""A target is not predicted where its training models have not begun to rise above chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import DegenerateError
from ._folds import leave_out_weights
from ._refit import Fitted, Training
from ._views import SCORE_NOISE, angle

__all__ = ["check_begun", "check_learned", "has_begun", "lowest"]

Array = NDArray[np.float64]

_CLEARLY_ABOVE = 3.0
_MOST = 0.9


def check_begun(fitted: Fitted) -> None:
    """Raise DegenerateError for a target on which the models are at chance.

    Models of at least two families must score clearly above chance, also among the less capable
    nine tenths: by more than three standard deviations of what 80 items leave open.
    """
    training = fitted.training
    leave_out_weights(training)  # a single family is said first
    lower = lowest(fitted.capabilities[:, 0], _MOST)
    if has_begun(training) and has_begun(training.part(lower)):
        return
    above = int(_clearly_above_chance(training).sum())
    raise DegenerateError(
        f"{above} of the {len(lower)} models to fit on score clearly above chance "
        f"({_chance(training):g}), but models of two families must, and not only the most capable "
        "ones: the data do not show how the score rises, so it is not predicted"
    )


def check_learned(predicted: Array, target: Array, families: NDArray[np.str_]) -> None:
    """Raise DegenerateError where a law, families left out, errs no less than a mean does.

    Parameters
    ----------
    predicted : (n,) array
        Training models' scores, each predicted without its family.
    target : (n,) array
        Their scores.
    families : (n,) array
        Their families.

    """
    means = np.array([target[families != family].mean() for family in families])
    error, naive = np.abs(predicted - target).mean(), np.abs(means - target).mean()
    if error >= naive:
        raise DegenerateError(
            f"with families left out, the law errs by {error:.3f} on the {len(target)} models to "
            f"fit on, and the mean of the other families errs by {naive:.3f}: the law "
            "has learned nothing, so the score is not predicted"
        )


def has_begun(training: Training) -> bool:
    """Return whether models of two families score clearly above chance."""
    return len(np.unique(training.families[_clearly_above_chance(training)])) >= 2


def _clearly_above_chance(training: Training) -> NDArray[np.bool_]:
    far = _CLEARLY_ABOVE * np.sqrt(SCORE_NOISE)
    return np.asarray(angle(training.target) > angle(np.array(_chance(training))) + far)


def _chance(training: Training) -> float:
    return training.settings.form.bounds[0][0]


def lowest(order: Array, share: float) -> NDArray[np.bool_]:
    """Return which models (n,) are the share of lowest known order."""
    basis = np.zeros(len(order), dtype=bool)
    basis[np.argsort(order, kind="stable")[: round(share * np.sum(~np.isnan(order)))]] = True
    return basis

"""Support says whether a model lies within the capabilities that a law was fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Support", "support_of"]

Array = NDArray[np.float64]

_SHOWN = 0.05
"""The least distance that one decimal tells from none."""


@dataclass(frozen=True)
class Support:
    """Whether a model lies within the capabilities seen in fitting.

    Attributes
    ----------
    inside : bool
    distance : float
        How far the outermost coordinate lies beyond the training models' range, in their standard
        deviations; 0 inside, NaN where the model has no place.
    summary : str
        The same in words, naming the training model at the edge.

    See Also
    --------
    Prediction : States it for each model.
    TargetLaw : Makes predictions.

    """

    inside: bool
    distance: float
    summary: str


def support_of(place: Array, training: Array, models: pd.Index) -> Support:
    """Return the support of a place (k,) among training models' coordinates (n, k)."""
    if np.isnan(place).any():
        return Support(False, float("nan"), "no benchmark of the space was measured")
    unit = training.std(axis=0)
    unit[unit <= 0] = 1.0
    above = (place - training.max(axis=0)) / unit
    below = (training.min(axis=0) - place) / unit
    beyond = np.maximum(above, below)
    j = int(beyond.argmax())
    if beyond[j] <= 0:
        return Support(True, 0.0, f"inside the capabilities of the {len(training)} training models")
    edge = int(training[:, j].argmax() if above[j] > 0 else training[:, j].argmin())
    distance = f"{beyond[j]:.1f}" if beyond[j] >= _SHOWN else "less than 0.1"
    side = "above" if above[j] > 0 else "below"
    return Support(
        False,
        float(beyond[j]),
        f"outside: PC-{j + 1} is {distance} standard deviations {side} the outermost training "
        f"model ({models[edge]})",
    )

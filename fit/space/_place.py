"""A place gives the coordinates of models in a space, and their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._display import counted, frame_html

__all__ = ["Place"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """Where models lie in a capability space.

    Attributes
    ----------
    mean : (n, k)
        Coordinates, in the units of the scores; NaN for a model without any benchmark.
    covariance : (n, k, k)
        What missing benchmarks, and measurement noise where it is known, leave open.

    See Also
    --------
    CapabilitySpace : Returns one from ``place``.
    draw_map : Draws models by their places.

    Examples
    --------
    >>> import numpy as np
    >>> from capspace.fit import Place
    >>> Place(np.array([[0.3, -0.1]]), np.eye(2)[None] / 100)
    Place(1 model × 2 coordinates)

    """

    mean: Array
    covariance: Array

    def __repr__(self) -> str:
        n, k = self.mean.shape
        return f"Place({counted(n, 'model')} × {counted(k, 'coordinate')})"

    def _repr_html_(self) -> str:
        return frame_html(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per model: its coordinates PC-1, PC-2, ... and their standard deviations."""
        k = self.mean.shape[1]
        deviation = np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))
        names = [f"PC-{i + 1}" for i in range(k)]
        return pd.DataFrame(
            np.hstack([self.mean, deviation]), columns=[*names, *(f"{n} sd" for n in names)]
        )

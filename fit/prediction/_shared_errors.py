"""Two models measured by the same source share its offset, which cancels in a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..completion import FittedPredictor
from ._score_errors import ScoreError

__all__ = ["covariance_of_sources"]

Array = NDArray[np.float64]


def covariance_of_sources(
    laws: FittedPredictor,
    wide: pd.DataFrame,
    facts: pd.DataFrame,
    errors: Sequence[Mapping[str, ScoreError]],
) -> Array:
    """Return the covariance (t, n, n) of points that errors of the scores make.

    Two models that one named source measured share its offset; all else is independent.
    """
    n, t = len(wide), len(laws.targets)
    spread = pd.DataFrame(
        [{b: e.deviation for b, e in own.items()} for own in errors], index=wide.index
    ).reindex(columns=list(laws.cheap))
    covariance = np.zeros((t, n, n))
    if spread.isna().all(axis=None):
        return covariance
    effects = laws.effects(wide, spread, facts)
    for j, benchmark in enumerate(laws.cheap):
        for i, first in enumerate(errors):
            for k, second in enumerate(errors):
                a, b = first.get(benchmark), second.get(benchmark)
                if a is None or b is None:
                    continue
                if i == k:
                    covariance[:, i, i] += effects[i, j] ** 2
                elif a.source and a.source == b.source:
                    share = a.offset * b.offset / (a.deviation * b.deviation)
                    covariance[:, i, k] += share * effects[i, j] * effects[k, j]
    return covariance

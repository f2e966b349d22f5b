"""Show what the components of a table's capability space explain, and where models lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from .._display import frame_html
from .._json import json_dict
from ..space._component_names import component_names
from ..space._space import CapabilitySpace
from ..table._table import ScoreTable
from ..table.facts import family_of_each

__all__ = ["Estimator", "SpaceAnalysis", "analyse_space"]

Estimator = Literal["factor", "pca"]


@dataclass(frozen=True, eq=False)
class SpaceAnalysis:
    """A capability space and the places of the models it was fitted on.

    Attributes
    ----------
    space : CapabilitySpace
    scores : (n × p) DataFrame by model
        Fractions, NaN where not measured; models without any score are left out.
    facts : (n × ...) DataFrame by model
        As in ``ScoreTable.models``.
    places : (n × k) DataFrame by model
        Coordinates ``PC-1``, ``PC-2``, ...
    notes : tuple of str
        What was assumed or left out.

    See Also
    --------
    analyse_space : Makes one.
    draw_space : Draws it.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import ScoreTable, analyse_space
    >>> scores = {"A": [0.2, 0.4, 0.6, 0.8], "B": [0.3, 0.4, 0.7, 0.9]}
    >>> wide = pd.DataFrame(scores, index=list("wxyz"))
    >>> analyse_space(ScoreTable.from_wide(wide), n_components=1)
    SpaceAnalysis(4 models × 2 benchmarks, PC-1 explains 98% of the variance)

    """

    space: CapabilitySpace
    scores: pd.DataFrame
    facts: pd.DataFrame
    places: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def families(self) -> list[str]:
        """Family of each model; a model without one is its own."""
        return family_of_each(self.facts)

    @property
    def n_missing(self) -> int:
        """Cells of ``scores`` that were not measured."""
        return int(self.scores.isna().sum().sum())

    @property
    def loadings(self) -> pd.DataFrame:
        """Loadings (k × p): one row per component, one column per benchmark."""
        return pd.DataFrame(self.space.components_, self.places.columns, self.scores.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each component, from its loadings; see ``component_names``."""
        return component_names(self.space.components_, list(self.scores.columns))

    def to_frame(self) -> pd.DataFrame:
        """Return each model's family and place, one row per model."""
        frame = self.places.copy()
        frame.insert(0, "family", self.families)
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values; what is unknown is null."""
        return json_dict(
            {
                "n_models": len(self.scores),
                "missing_cells": self.n_missing,
                "explained_variance_ratio": self.space.explained_variance_ratio_,
                "benchmarks": list(self.scores.columns),
                "names": self.names,
                "loadings": self.space.components_,
                "places": self.places.T.to_dict("list"),
                "notes": self.notes,
            }
        )

    def __repr__(self) -> str:
        share = self.space.explained_variance_ratio_[0]
        n_models, n_benchmarks = self.scores.shape
        return (
            f"SpaceAnalysis({n_models} models × {n_benchmarks} benchmarks, "
            f"PC-1 explains {share:.0%} of the variance)"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)


def analyse_space(
    table: ScoreTable, *, n_components: int = 5, estimator: Estimator = "factor"
) -> SpaceAnalysis:
    """Fit a capability space to a score table.

    Parameters
    ----------
    table : ScoreTable
        Fractions in [0, 1].
    n_components : int
        Coordinates of the space; fewer where the table has no more, which the notes say.
    estimator : {"factor", "pca"}
        A factor model, or the principal components of imputed scores (the study's).

    Raises
    ------
    FitError
        As ``CapabilitySpace.fit``.

    See Also
    --------
    capspace.fit.CapabilitySpace : The estimator, for arrays and data frames.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import ScoreTable, analyse_space
    >>> wide = pd.DataFrame(
    ...     {"A": [0.2, 0.4, 0.6, 0.8], "B": [0.3, 0.4, 0.7, 0.9], "C": [0.1, 0.3, 0.4, 0.6]},
    ...     index=["m1", "m2", "m3", "m4"],
    ... )
    >>> analyse_space(ScoreTable.from_wide(wide), n_components=1)
    SpaceAnalysis(4 models × 3 benchmarks, PC-1 explains 98% of the variance)

    """
    scores = table.wide()
    scores = scores[scores.notna().any(axis=1)]
    clip = (0.0, 1.0) if estimator == "pca" else None
    space = CapabilitySpace(n_components=n_components, estimator=estimator, clip=clip).fit(scores)
    notes = list(table.notes)
    if space.n_components_ < n_components:
        size = f"{len(scores)} models × {scores.shape[1]} benchmarks"
        notes.append(f"{space.n_components_} components, not {n_components}: {size} have no more")
    columns = [f"PC-{i + 1}" for i in range(space.n_components_)]
    places = pd.DataFrame(space.transform(scores), scores.index, columns)
    return SpaceAnalysis(space, scores, table.models.loc[scores.index], places, tuple(notes))

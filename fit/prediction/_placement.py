"""A placement gives a model's place among the reference models, and its predictions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from .._display import frame_html
from .._json import json_safe
from ..law.efficiency import FamilyLaw
from ..law.equivalent import EquivalentScale
from ..reference import Reference
from ..space import CapabilitySpace, Place, component_names
from ..table._table import ScoreTable
from ._prediction import Predictions
from ._target_law import TargetLaw
from ._target_predictions import TargetPrediction

__all__ = ["NextBenchmark", "Placement"]


@dataclass(frozen=True)
class NextBenchmark:
    """What measuring a missing benchmark would tell.

    Attributes
    ----------
    benchmark : str
    reason : str
        Why it is missing.
    shrinkage : float
        Share by which it would shrink the standard deviation of the model's place, in [0, 1].

    See Also
    --------
    Placement : Lists those that were not measured.
    next_evaluations : Weighs them against their cost.

    """

    benchmark: str
    reason: str
    shrinkage: float


@dataclass(frozen=True, repr=False)
class Placement:
    """A model among the reference models, and what follows for its other scores.

    Attributes
    ----------
    model : str
    table : ScoreTable
        The scores of this model, with their sources.
    scores, stderr : (p,) Series
        Benchmarks of the reference, NaN where not measured.
    missing : mapping of benchmark to reason
    space : CapabilitySpace
        Fitted on the base models of the reference, without this model, for the place only; each
        law has its own, ``laws[target].space_``.
    points : (n × k) DataFrame
        Places of the reference models.
    place : Place
        The model's own, mean (1, k) and covariance (1, k, k).
    nearest : tuple of str
        Reference models next to it, in standard units of the space.
    equivalent : EquivalentScale or None
        Training FLOPs at which the reference family reaches its PC-1, without a number where that
        lies below or above all reference models; None where the reference has too few models of
        the family.
    predictions : Predictions
    laws : mapping of target to TargetLaw
    axes : mapping of target to FamilyLaw
        Line of the target's linear predictor in the reference family's training FLOPs, where the
        reference has enough models of it.
    unpredicted : mapping of target to reason
    next_benchmarks : tuple of NextBenchmark
        Missing benchmarks, the most telling first.
    comparable : bool
        Whether published scores were measured by the same protocol on the same items.
    notes : tuple of str
        What a reader must know before using a number.
    evaluated : mapping of target to TargetPrediction
        What stands beside each prediction, where the reference's laws are stored: its status, its
        error in back-tests, and the baselines.

    See Also
    --------
    place_model : Makes one.
    write_report : Writes a page of it.

    """

    model: str
    table: ScoreTable
    reference: Reference
    scores: pd.Series
    stderr: pd.Series
    missing: Mapping[str, str]
    space: CapabilitySpace
    points: pd.DataFrame
    place: Place
    nearest: tuple[str, ...]
    equivalent: EquivalentScale | None
    predictions: Predictions
    laws: Mapping[str, TargetLaw]
    axes: Mapping[str, FamilyLaw]
    unpredicted: Mapping[str, str]
    next_benchmarks: tuple[NextBenchmark, ...]
    comparable: bool
    notes: tuple[str, ...]
    evaluated: Mapping[str, TargetPrediction] = field(default_factory=dict)

    def __repr__(self) -> str:
        measured, n = int(self.scores.notna().sum()), len(self.predictions)
        return (
            f"Placement({self.model}: {measured} of {len(self.scores)} benchmarks, near "
            f"{self.nearest[0]}, {n} prediction{'' if n == 1 else 's'})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)

    @property
    def fits(self) -> Mapping[str, TargetLaw]:
        """The former name of ``laws``."""
        warnings.warn("Placement.fits is now Placement.laws", DeprecationWarning, stacklevel=2)
        return self.laws

    def unpredicted_by_reason(self) -> dict[str, list[str]]:
        """Return the targets without a number by the reason, in their order."""
        groups: dict[str, list[str]] = {}
        for target, reason in self.unpredicted.items():
            groups.setdefault(reason, []).append(target)
        return groups

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each component, from its loadings; see ``component_names``."""
        return component_names(self.space.components_, list(self.scores.index))

    def to_frame(self) -> pd.DataFrame:
        """Return a row per prediction; see ``Predictions.to_frame``."""
        return self.predictions.to_frame()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; what is unknown is null."""
        rows = self.table.scores.drop(columns="model")
        return {
            "model": self.model,
            "comparable": self.comparable,
            "notes": list(self.notes),
            "scores": [json_safe(row) for row in rows.to_dict("records")],
            "missing": dict(self.missing),
            "place": {
                "mean": json_safe(self.place.mean[0]),
                "covariance": json_safe(self.place.covariance[0]),
                "explained_variance_ratio": json_safe(self.space.explained_variance_ratio_),
                "names": list(self.names),
                "nearest": list(self.nearest),
            },
            "equivalent_flops": None if self.equivalent is None else self.equivalent.to_dict(),
            "predictions": [p.to_dict() for p in self.predictions],
            "unpredicted": dict(self.unpredicted),
            "evaluated": {name: p.to_dict() for name, p in self.evaluated.items()},
            "next_benchmarks": [json_safe(vars(n)) for n in self.next_benchmarks],
        }

"""Measure how well families turn compute into capability, and models' equivalent compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .._display import frame_html
from .._json import json_dict
from ..errors import UnknownNameError, check_choice, near_matches
from ..law.efficiency import Efficiency, fit_efficiency
from ..law.equivalent import EquivalentScale, equivalent_scale
from ..table._table import ScoreTable
from .space import Estimator, SpaceAnalysis, analyse_space

__all__ = ["EfficiencyAnalysis", "Scale", "analyse_efficiency"]

Scale = Literal["flops", "size"]
_FACT: dict[Scale, str] = {"flops": "training_flops", "size": "parameters"}


@dataclass(frozen=True, eq=False)
class EfficiencyAnalysis:
    """Log-linear laws of a capability in compute or size, and each model's equivalent.

    Attributes
    ----------
    laws : Efficiency
        One law per family.
    equivalent : EquivalentScale
        At which scale the reference family would reach each model's capability.
    scale : {"flops", "size"}
    models : DataFrame by model
        ``family, capability, scale`` (training FLOPs, or parameters; NaN where unknown).
    space : SpaceAnalysis
        The space that the capability is a coordinate of, and what it was fitted to.

    See Also
    --------
    analyse_efficiency : Makes one.
    draw_efficiency : Draws its lines.

    """

    laws: Efficiency
    equivalent: EquivalentScale
    scale: Scale
    models: pd.DataFrame
    space: SpaceAnalysis

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed or left out."""
        return self.space.notes

    def to_frame(self) -> pd.DataFrame:
        """Return one row per model: family, capability, scale and its equivalent with interval."""
        same = self.equivalent
        return self.models.assign(
            equivalent=same.scale, lower=same.lower, upper=same.upper, inside=same.inside
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values; what is unknown or unbounded is null."""
        columns = ["scale", "equivalent", "lower", "upper", "inside"]
        rows = self.to_frame()[columns].to_dict("index")
        return json_dict(
            {
                **self.laws.to_dict(),
                "scale": self.scale,
                "equivalent": {
                    "family": self.equivalent.family,
                    "level": self.equivalent.level,
                    "models": rows,
                },
                "notes": self.notes,
            }
        )

    def __repr__(self) -> str:
        of = "training FLOPs" if self.scale == "flops" else "parameters"
        return (
            f"EfficiencyAnalysis({self.laws.capability} in {of}: {len(self.laws.laws)} families, "
            f"mean R² {self.laws.r2_mean:.2f}; equivalents in {self.equivalent.family} terms)"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)


def analyse_efficiency(
    table: ScoreTable,
    *,
    capability: str = "PC-1",
    scale: Scale = "flops",
    family: str = "Llama-2",
    n_components: int = 3,
    estimator: Estimator = "factor",
    level: float = 0.9,
) -> EfficiencyAnalysis:
    """Fit each family's log-linear law of a capability, and every model's equivalent scale.

    Parameters
    ----------
    table : ScoreTable
        Fractions in [0, 1], with the facts ``family`` and ``training_flops`` or ``parameters``.
    capability : str
        ``PC-1``, ``PC-2``, ... or a benchmark.
    scale : {"flops", "size"}
        Against training FLOPs or parameters.
    family : str
        The reference family, in whose terms equivalents are given.
    n_components : int
        Coordinates of the space.
    estimator : {"factor", "pca"}
        See ``analyse_space``.
    level : float
        Nominal coverage of the equivalents' intervals.

    Raises
    ------
    UnknownNameError
        There is no such capability or family.
    TooFewModelsError
        The reference family allows no law.
    FitError
        As the fits that it makes.

    See Also
    --------
    draw_efficiency : Draws the laws.

    References
    ----------
    Ruan et al. 2024, arXiv 2405.10938, section 3.3.

    Examples
    --------
    >>> from capspace.fit import analyse_efficiency, load_reference
    >>> reference = load_reference()
    >>> table = reference.table.select(
    ...     benchmarks=["MMLU", "ARC-C", "HellaSwag", "GSM8K"], families=["Llama-2", "Pythia"]
    ... )
    >>> result = analyse_efficiency(table, n_components=1)
    >>> sorted(result.laws.laws)
    ['Llama-2', 'Pythia']

    """
    check_choice(scale, get_args(Scale), "scale")
    space = analyse_space(table, n_components=n_components, estimator=estimator)
    scores, places = space.scores, space.places
    columns = {**{str(c): places[c] for c in places}, **{str(c): scores[c] for c in scores}}
    if capability not in columns:
        raise UnknownNameError(f"no capability {capability!r}{near_matches(capability, columns)}")
    models = pd.DataFrame(
        {
            "family": space.families,
            "capability": columns[capability],
            "scale": space.facts[_FACT[scale]].to_numpy(dtype=float),
        },
        index=scores.index,
    )
    values = models["capability"].to_numpy(dtype=float)
    laws = fit_efficiency(
        values, models["scale"].to_numpy(), list(models["family"]), name=capability
    )
    variance: ArrayLike = 0.0
    if capability in places:
        i = list(places.columns).index(capability)
        variance = np.asarray(space.space.place(scores).covariance)[:, i, i]
    same = equivalent_scale(values, laws.law(family), variance=variance, level=level)
    return EfficiencyAnalysis(laws, same, scale, models, space)

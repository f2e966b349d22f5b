"""Fit the study's capability spaces and its laws of compute, on its own models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...law.efficiency import Efficiency, fit_efficiency
from ...space._space import CapabilitySpace
from .compare import Comparison, compare_value, lookup
from .data import Study

__all__ = [
    "SCALES",
    "THEIR_NAMES",
    "StudySpace",
    "compare_efficiency",
    "compare_spaces",
    "study_efficiency",
    "study_space",
]

Floats = NDArray[np.float64]

N_COMPONENTS = 5
SCALES = {"training_flops": "log10_FLOPs_1E21", "parameters": "log10_ModelSize_B"}
# The study's label of the benchmark that this project calls by its right name.
THEIR_NAMES = {"Winogrande": "Winograd"}


@dataclass(frozen=True)
class StudySpace:
    """A capability space and the models it was fitted on.

    Attributes
    ----------
    space : CapabilitySpace
        The study's estimator, five components.
    scores : DataFrame (models × benchmarks)
    points : (n, 5) array
        Coordinates of the models.
    facts : DataFrame
        Of the models.

    """

    space: CapabilitySpace
    scores: pd.DataFrame
    points: Floats
    facts: pd.DataFrame


def study_space(study: Study, models: list[str], *, drop: tuple[str, ...] = ()) -> StudySpace:
    """Fit the study's space to some of its base models."""
    scores = study.features["base"].loc[models].drop(columns=list(drop))
    space = CapabilitySpace(n_components=N_COMPONENTS, estimator="pca", clip=(0.0, 1.0)).fit(scores)
    return StudySpace(space, scores, space.transform(scores), study.facts["base"].loc[models])


def compare_spaces(study: Study, published: Mapping[str, Any]) -> list[Comparison]:
    """Compare explained variance and loadings, on each set of models that the study looks at."""
    everyone = list(study.features["base"].index)
    with_later = [m for m in everyone if study.facts["base"].at[m, "family"] in study.plan.families]
    sets: dict[str, tuple[list[str], tuple[str, ...]]] = {
        "base_77_default": (study.base_models, ()),
        "base_77_noGSM8K": (study.base_models, ("GSM8K",)),
        "base_with_prereg": (with_later, ()),
        "base_all_148": (everyone, ()),
    }
    out: list[Comparison | None] = []
    for key, (models, drop) in sets.items():
        theirs = lookup(published, "pca", key)
        if theirs is None:
            continue
        ours = study_space(study, models, drop=drop).space
        section = f"capability space, {len(models)} models" + (" without GSM8K" if drop else "")
        for j, ratio in enumerate(theirs["explained_variance_ratio"]):
            value = float(ours.explained_variance_ratio_[j])
            item = f"PC-{j + 1}"
            out.append(
                compare_value(section, item, "explained variance", value, ratio, absolute=1e-4)
            )
            loadings = [theirs["components"][item][_theirs(b)] for b in ours.feature_names_in_]
            sign = np.sign(np.dot(loadings, ours.components_[j]))
            for b, loading in zip(ours.feature_names_in_, loadings, strict=True):
                value = float(sign * ours.components_[j, list(ours.feature_names_in_).index(b)])
                out.append(
                    compare_value(section, item, f"loading {b}", value, loading, absolute=1e-4)
                )
    return [c for c in out if c is not None]


def study_efficiency(space: StudySpace, scale: str = "training_flops") -> list[Efficiency]:
    """Return the per-family laws of each component and each benchmark in ``scale``.

    ``scale`` is "training_flops" or "parameters".
    """
    x = space.facts[scale].to_numpy(dtype=float)
    families = list(space.facts["family"])
    components = [
        fit_efficiency(space.points[:, j], x, families, name=f"PC-{j + 1}")
        for j in range(space.points.shape[1])
    ]
    return components + [
        fit_efficiency(space.scores[b].to_numpy(dtype=float), x, families, name=str(b))
        for b in space.scores.columns
    ]


def compare_efficiency(space: StudySpace, published: Mapping[str, Any]) -> list[Comparison]:
    """Compare the R² of every family's law, and slope and intercept up to a component's sign."""
    out: list[Comparison | None] = []
    for scale, key in SCALES.items():
        for ours in study_efficiency(space, scale):
            theirs = lookup(published, "efficiency", key, _their_capability(ours.capability))
            if theirs is None:
                continue
            section = f"{ours.capability} by family in " + key.replace("log10_", "log10 ")
            out.append(
                compare_value(
                    section, "mean", "R²", ours.r2_mean, theirs.get("r2_avg"), absolute=1e-4
                )
            )
            out.append(
                compare_value(
                    section,
                    "all models",
                    "R²",
                    ours.pooled.r2,
                    lookup(theirs, "pooled_all_models", "r2"),
                    absolute=1e-4,
                )
            )
            for family, values in theirs.get("families", {}).items():
                law = ours.law(family)
                sign = 1.0 if law.slope * values["slope"] >= 0 else -1.0
                out.append(
                    compare_value(section, family, "R²", law.r2, values["r2"], absolute=1e-4)
                )
                out.append(
                    compare_value(
                        section, family, "slope", sign * law.slope, values["slope"], absolute=1e-4
                    )
                )
    return [c for c in out if c is not None]


def _theirs(benchmark: str) -> str:
    return THEIR_NAMES.get(benchmark, benchmark)


def _their_capability(name: str) -> str:
    return name if name.startswith("PC-") else f"{_theirs(name)} raw"

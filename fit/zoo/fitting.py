"""Fit the law of a measured zoo: its space, its efficiency, and its largest models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._display import counted, frame_html
from .._json import json_dict
from ..decide._alarms import ScoreAlarm
from ..decide._tripwire import check_together
from ..errors import FitError, TableError, TooFewModelsError
from ..law.efficiency import Efficiency, fit_efficiency
from ..space._space import CapabilitySpace
from ..table._table import ScoreTable
from ..table.readers import read_table
from .predictions import ZooPrediction, predict_held_out, predict_targets

__all__ = ["ZooFit", "fit_zoo"]


@dataclass(frozen=True, eq=False)
class ZooFit:
    """What a measured zoo shows.

    Attributes
    ----------
    name : str
    table : ScoreTable
    space : CapabilitySpace
        Fitted on all models.
    places : (n × k) DataFrame
        Their places, columns PC-1, ...
    efficiency : Efficiency or None
        PC-1 against training FLOPs per family; None where no family has FLOPs.
    largest : str
        The model with the most training compute (or parameters).
    held_out : tuple of str
        All models of its size: nothing below was fitted on them.
    predictions : tuple of ZooPrediction
        Each benchmark of each held-out model.
    targets : tuple of ZooPrediction
        Targets of the user's own, of the models that have no score there.
    level : float
    n_components : int
        Of the space in which predictions are made.
    notices : tuple of str
    alarms : tuple of ScoreAlarm
        Scores that the other scores of the same model contradict; their lines are in the notices.

    See Also
    --------
    fit_zoo : Makes one.
    ZooPrediction : Each of its predictions.

    """

    name: str
    table: ScoreTable
    space: CapabilitySpace
    places: pd.DataFrame
    efficiency: Efficiency | None
    largest: str
    held_out: tuple[str, ...]
    predictions: tuple[ZooPrediction, ...]
    targets: tuple[ZooPrediction, ...]
    level: float
    n_components: int
    notices: tuple[str, ...]
    alarms: tuple[ScoreAlarm, ...] = ()

    @property
    def coverage(self) -> float:
        """Share of the measured scores inside their interval; NaN if none is predicted."""
        known = [p.is_inside for p in self.predictions if not np.isnan(p.measured)]
        return float(np.mean(known)) if known else float("nan")

    def error(self, which: str = "mean") -> float:
        """Return the mean absolute error of the predictions, or of ``"compute_only"``."""
        errors = [abs(getattr(p, which) - p.measured) for p in self.predictions]
        return float(np.nanmean(errors)) if not np.isnan(errors).all() else float("nan")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per held-out score: prediction, interval, measured, compute alone."""
        columns = [field.name for field in fields(ZooPrediction)]
        return pd.DataFrame([asdict(p) for p in self.predictions], columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values; what is unknown is null."""
        return json_dict(
            {
                "zoo": self.name,
                "n_models": len(self.places),
                "n_scores": len(self.table),
                "explained_variance_ratio": self.space.explained_variance_ratio_,
                "loadings": dict(
                    zip(self.space.feature_names_in_, self.space.components_.T, strict=True)
                ),
                "places": self.places.T.to_dict("list"),
                "efficiency": None if self.efficiency is None else self.efficiency.to_dict(),
                "largest": self.largest,
                "held_out": self.held_out,
                "level": self.level,
                "n_components": self.n_components,
                "coverage": self.coverage,
                "mean_absolute_error": self.error(),
                "mean_absolute_error_compute_only": self.error("compute_only"),
                "forecasts": [vars(p) | {"is_inside": p.is_inside} for p in self.predictions],
                "targets": self.targets,
                "notices": self.notices,
                "alarms": self.alarms,
            }
        )

    def __repr__(self) -> str:
        n_inside = sum(p.is_inside for p in self.predictions)
        return (
            f"ZooFit({self.name}: {counted(len(self.places), 'model')}, "
            f"{counted(len(self.held_out), 'held-out model')}, {n_inside} of "
            f"{counted(len(self.predictions), 'score')} inside {self.level:.0%} intervals)"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)


def fit_zoo(
    name: str,
    table: ScoreTable,
    chance: Mapping[str, float],
    *,
    target_scores: ScoreTable | Path | None = None,
    level: float = 0.9,
    n_components: int = 1,
) -> ZooFit:
    """Fit a measured zoo, and predict its largest models from the smaller ones.

    Parameters
    ----------
    name : str
        The zoo's.
    table : ScoreTable
        Scores and facts.
    chance : mapping
        Score of guessing per benchmark.
    target_scores : ScoreTable or path, optional
        Scores of some of the models on targets of one's own.
    level : float
        Nominal coverage of the intervals.
    n_components : int
        Coordinates of the space in which predictions are made.

    Raises
    ------
    TooFewModelsError
        Too little is measured to fit anything.
    TableError
        No size of any model is known, or no model of the target table is in the zoo.
    FitError
        As the fits that it makes.

    See Also
    --------
    ZooFit : What is returned.
    analyse_space, fit_efficiency : The fits of which it is made.

    Notes
    -----
    Each benchmark b of a held-out model is predicted from its other benchmarks by a sigmoid law
    with b's chance level as floor, fitted on the smaller models alone; no score of b of any
    held-out model is used. Checkpoints of one training run depend on each other, so the interval
    leaves out whole runs (family and size), not single checkpoints.

    References
    ----------
    Ruan et al. 2024, arXiv 2405.10938, sections 3 and 4.

    Examples
    --------
    >>> from capspace.fit import fit_zoo, load_reference
    >>> reference = load_reference()
    >>> table = reference.table.select(
    ...     benchmarks=["MMLU", "ARC-C", "HellaSwag", "Winogrande"],
    ...     families=["Pythia", "OPT", "Llama-2", "Qwen1.5", "Cerebras-GPT"],
    ... )
    >>> zoo = fit_zoo("open families", table, reference.chance_levels)
    >>> zoo.largest, len(zoo.predictions)
    ('Qwen/Qwen1.5-72B', 8)

    """
    scores = table.wide().astype(float)
    scores = scores[scores.notna().any(axis=1)]
    facts = table.models.loc[scores.index]
    if len(scores) < 3 or scores.shape[1] < 2:
        n_models = counted(len(scores), "model")
        raise TooFewModelsError(
            f"too few for a space: {n_models} with {counted(scores.shape[1], 'benchmark')}; "
            "measure more of the zoo"
        )
    stderr = table.wide(value="stderr").loc[scores.index].astype(float)
    space = CapabilitySpace(n_components=min(3, scores.shape[1] - 1)).fit(scores, stderr=stderr)
    columns = [f"PC-{i + 1}" for i in range(space.n_components_)]
    places = pd.DataFrame(space.transform(scores), index=scores.index, columns=columns)
    notices: list[str] = []
    efficiency = _efficiency(places, facts, notices)
    largest, held_out = _held_out(facts)
    predictions: list[ZooPrediction] = []
    for benchmark in scores.columns:
        try:
            predictions += predict_held_out(
                scores, facts, held_out, str(benchmark), chance, level, n_components
            )
        except FitError as error:
            notices.append(f"{benchmark}: not predicted: {error}")
    targets: list[ZooPrediction] = []
    if target_scores is not None:
        own = read_table(target_scores) if isinstance(target_scores, Path) else target_scores
        targets = predict_targets(scores, facts, own, chance, level, n_components, notices)
    alarms = check_together(table, chance)
    notices += [alarm.line for alarm in alarms]
    return ZooFit(
        name=name,
        table=table,
        space=space,
        places=places,
        efficiency=efficiency,
        largest=largest,
        held_out=held_out,
        predictions=tuple(predictions),
        targets=tuple(targets),
        level=level,
        n_components=n_components,
        notices=tuple(notices),
        alarms=alarms,
    )


def _efficiency(places: pd.DataFrame, facts: pd.DataFrame, notices: list[str]) -> Efficiency | None:
    flops = facts["training_flops"].to_numpy(dtype=float)
    if np.isnan(flops).all():
        notices.append(
            "no training compute is known: give `facts` with training_tokens or training_flops"
        )
        return None
    try:
        return fit_efficiency(places["PC-1"].to_numpy(), flops, list(facts["family"]), name="PC-1")
    except FitError as error:
        notices.append(f"no efficiency: {error}")
        return None


def _held_out(facts: pd.DataFrame) -> tuple[str, tuple[str, ...]]:
    """Return the largest model and all of its size."""
    compute = facts["training_flops"]
    ranked = compute if compute.notna().any() else facts["parameters"]
    if ranked.isna().all():
        raise TableError("neither parameters nor training compute of any model is known")
    largest = str(ranked.idxmax())
    same = facts["parameters"] >= facts.loc[largest, "parameters"]
    return largest, tuple(map(str, facts.index[same | (facts.index == largest)]))

"""Place one model: its coordinates, its equivalent compute, and its predicted scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from .._json import json_safe
from ..errors import TooFewModelsError, UnknownNameError
from ..law.efficiency import FamilyLaw, fit_family_law
from ..law.equivalent import EquivalentScale, equivalent_scale
from ..law.intervals import IntervalMethod
from ..reference import Population, Reference
from ..reference.overlap import find_overlap
from ..space.space import CapabilitySpace, Place
from ..table.doubtful import leave_out_doubtful
from ..table.facts import family_key
from ..table.table import ScoreTable
from .prediction import Prediction, TargetFit, fit_target

__all__ = ["NextBenchmark", "Placement", "place_model", "reference_line"]

REFERENCE_FAMILY = {"base": "Llama-2", "instruct": "Llama-2-Chat"}
_N_NEAREST = 3
_ASSUMED_STDERR = 0.01


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

    """

    benchmark: str
    reason: str
    shrinkage: float


@dataclass(frozen=True)
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
        Fitted on the base models of the reference, without this model.
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
    predictions : tuple of Prediction
    fits : mapping of target to TargetFit
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
    predictions: tuple[Prediction, ...]
    fits: Mapping[str, TargetFit]
    axes: Mapping[str, FamilyLaw]
    unpredicted: Mapping[str, str]
    next_benchmarks: tuple[NextBenchmark, ...]
    comparable: bool
    notes: tuple[str, ...]

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
                "nearest": list(self.nearest),
            },
            "equivalent_flops": None if self.equivalent is None else self.equivalent.to_dict(),
            "predictions": [p.to_dict() for p in self.predictions],
            "unpredicted": dict(self.unpredicted),
            "next_benchmarks": [json_safe(vars(n)) for n in self.next_benchmarks],
        }


def place_model(
    table: ScoreTable,
    reference: Reference,
    *,
    model: str | None = None,
    targets: Iterable[str] | None = None,
    level: float = 0.9,
    method: IntervalMethod | None = None,
    missing: Mapping[str, str] | None = None,
    comparable: bool = True,
    notes: Iterable[str] = (),
    keep: bool = False,
) -> Placement:
    """Place a model by its scores and predict its scores on targets.

    Parameters
    ----------
    table : ScoreTable
        Scores of the model, fractions in [0, 1]; others' are ignored.
    reference : Reference
        Models in it that are, or likely are, this one are left out of every fit; ``notes`` says
        which.
    model : str, optional
        Which model of the table; may be left out where it has only one.
    targets : iterable of str, optional
        Names of targets; all of the reference's by default.
    level : float
        Nominal coverage of the intervals.
    method : IntervalMethod, optional
        ``TwoView`` by default.
    missing : mapping, optional
        Reasons, by benchmark, for scores that are not there.
    comparable : bool
        Whether the scores may be compared with published ones.
    notes : iterable of str
        What a reader must know.
    keep : bool
        Use scores far below chance, too, which otherwise count as not measured.

    Raises
    ------
    UnknownNameError
        The model, a target, or every benchmark is unknown.
    FitError
        A score outside [0, 1], or a reference too small to fit.

    """
    name = _only_model(table) if model is None else model
    own = replace(table.select(models=[name]).require_fractions(), notes=())
    used = leave_out_doubtful(own, reference.chance_levels, keep=keep)
    known = [b for b in reference.benchmarks if b in own.benchmarks]
    if not known:
        raise UnknownNameError(
            f"{name} has none of the reference's benchmarks ({', '.join(reference.benchmarks)})"
        )
    usable = [b for b in known if b in used.benchmarks]
    if not usable:
        raise UnknownNameError(f"{name}: no score is left to place it by; {used.notes[0]}")
    wide = used.wide(usable).reindex(columns=list(reference.benchmarks))
    stderr = used.wide(usable, "stderr").reindex(columns=list(reference.benchmarks))

    overlap = find_overlap(name, wide.iloc[0], reference.scores())
    base = reference.scores("base")
    base = base[base.notna().any(axis=1) & ~base.index.isin(list(overlap.reasons))]
    space = CapabilitySpace().fit(base)
    columns = [f"PC-{i + 1}" for i in range(space.n_components_)]
    points = pd.DataFrame(space.transform(base), index=base.index, columns=columns)
    place = space.place(wide, stderr=stderr)

    line = reference_line(points["PC-1"], reference.table.models)

    chosen = list(reference.targets) if targets is None else list(targets)
    fits: dict[str, TargetFit] = {}
    axes: dict[str, FamilyLaw] = {}
    unpredicted: dict[str, str] = {}
    predictions = []
    for target in map(reference.target, chosen):
        try:
            fit = fit_target(reference, target, exclude=overlap.reasons.keys())
            (prediction,) = fit.predict(wide, level=level, stderr=stderr, method=method)
        except TooFewModelsError as error:
            unpredicted[target.name] = str(error)
            continue
        if np.isnan(prediction.mean):
            unpredicted[target.name] = prediction.support.summary
            continue
        fits[target.name] = fit
        axis = reference_line(fit.linear_predictor, reference.table.models, target.population)
        if axis is not None:
            axes[target.name] = axis
        predictions.append(prediction)

    why = {**dict.fromkeys(known, "its score is far below chance"), **(missing or {})}
    reasons = {b: why.get(b, "not measured") for b in wide.columns if b not in usable}
    return Placement(
        model=name,
        table=own,
        reference=reference,
        scores=wide.iloc[0],
        stderr=stderr.iloc[0],
        missing=reasons,
        space=space,
        points=points,
        place=place,
        nearest=_nearest(points, place),
        equivalent=None
        if line is None
        else equivalent_scale(
            place.mean[:, 0],
            line,
            variance=place.covariance[:, 0, 0],
            level=level,
            among=points["PC-1"],
        ),
        predictions=tuple(predictions),
        fits=fits,
        axes=axes,
        unpredicted=unpredicted,
        next_benchmarks=_next_benchmarks(space, wide, stderr, place, reasons),
        comparable=comparable,
        notes=tuple(n for n in (*notes, *used.notes, overlap.note()) if n),
    )


def _only_model(table: ScoreTable) -> str:
    names = list(table.models.index)
    if len(names) != 1:
        raise UnknownNameError(
            f"the table has {len(names)} models ({', '.join(names[:3])}, ...); "
            "name the one to place"
        )
    return str(names[0])


def _nearest(points: pd.DataFrame, place: Place) -> tuple[str, ...]:
    apart = (points - place.mean[0]) / points.std()
    order = np.argsort((apart**2).sum(axis=1).to_numpy())
    return tuple(map(str, points.index[order[:_N_NEAREST]]))


def reference_line(
    capability: pd.Series, facts: pd.DataFrame, population: Population = "base"
) -> FamilyLaw | None:
    """Fit a capability (n,) in the training FLOPs of the reference family.

    Parameters
    ----------
    capability : Series
        By model.
    facts : DataFrame
        By model, with the columns family and training_flops.
    population : {"base", "instruct"}
        Decides which family is the reference.

    Returns
    -------
    FamilyLaw or None
        None where fewer than two models of the family are there.

    """
    family = REFERENCE_FAMILY[population]
    known = facts.reindex(capability.index)
    own = known["family"].map(family_key) == family_key(family)
    rows = own & known["training_flops"].notna()
    if rows.sum() < 2:
        return None
    return fit_family_law(capability[rows], known.loc[rows, "training_flops"], family=family)


def _next_benchmarks(
    space: CapabilitySpace,
    wide: pd.DataFrame,
    stderr: pd.DataFrame,
    place: Place,
    reasons: Mapping[str, str],
) -> tuple[NextBenchmark, ...]:
    """Rank the missing benchmarks; the covariance of a place does not depend on the scores."""
    now = np.sqrt(np.trace(place.covariance[0]))
    expected = pd.DataFrame(space.inverse_transform(place.mean), wide.index, wide.columns)
    ranked = []
    for benchmark, reason in reasons.items():
        filled, errors = wide.copy(), stderr.copy()
        filled[benchmark] = expected[benchmark]
        errors[benchmark] = _ASSUMED_STDERR
        then = np.sqrt(np.trace(space.place(filled, stderr=errors).covariance[0]))
        ranked.append(NextBenchmark(benchmark, reason, float(max(0.0, 1 - then / now))))
    return tuple(sorted(ranked, key=lambda n: -n.shrinkage))

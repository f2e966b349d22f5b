"""Predict the gain from chain of thought or several samples before spending tokens on them."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .._display import SingleRow
from .._json import json_dict
from ..analyses.paired_laws import GainFit, fit_gain
from ..analyses.problems import gain_problem
from ..errors import (
    DegenerateError,
    NotConvergedError,
    TooFewModelsError,
    UnknownNameError,
)
from ..law._refit import refit
from ..prediction._completion import complete
from ..prediction._support import Support, support_of
from ..reference.overlap import find_overlap
from ..table.numbers import check_standard_errors, float_frame
from ._intervention import INTERVENTIONS, Intervention

if TYPE_CHECKING:
    from ..reference import Reference
    from ..table import ScoreTable

__all__ = ["Lift", "lift_card", "predict_lift"]


@dataclass(frozen=True)
class Lift(SingleRow):
    """The predicted gain of an intervention for one model.

    Attributes
    ----------
    model : str
    intervention : Intervention
    base, treated : float
        Predicted scores.
    mean, lower, upper : float
        Predicted gain, treated minus base, and its interval.
    level : float
        Nominal coverage.
    n_models : int
        Models that both laws were fitted on.
    error, baseline_error : float
        Mean absolute errors of the gain of models whose family was left out: of the laws, and of
        the mean gain of the other families.
    support : Support
        Whether the model lies within the capabilities that the laws were fitted on.
    advised : bool
        Of the interventions on one base, the one with the fewest tokens per point among those whose
        interval lies above 0. None is advised for a model outside the support.

    See Also
    --------
    predict_lift, lift_card : Make them.
    draw_lift : Draws those of one model.

    Examples
    --------
    >>> from capspace.fit import Intervention, Lift
    >>> from capspace.fit.prediction import Support
    >>> cot = Intervention("chain of thought", "gsm8k", "gsm8k-cot")
    >>> inside = Support(True, 0.0, "inside the capabilities of the 40 training models")
    >>> Lift("mine", cot, 0.4, 0.5, 0.1, 0.05, 0.15, 0.9, 40, 0.02, 0.04, inside)
    Lift(mine, chain of thought: +0.100 [+0.050, +0.150] at 90%, inside)

    """

    model: str
    intervention: Intervention
    base: float
    treated: float
    mean: float
    lower: float
    upper: float
    level: float
    n_models: int
    error: float
    baseline_error: float
    support: Support
    advised: bool = False

    @property
    def tokens_per_point(self) -> float:
        """Further tokens per item for a point of 100; NaN where nothing is gained."""
        points = 100 * self.mean
        return self.intervention.extra_tokens / points if points > 0 else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; a cost per point is null where nothing is gained."""
        return json_dict(
            {
                **vars(self),
                "support": vars(self.support),
                "extra_tokens": self.intervention.extra_tokens,
                "tokens_per_point": self.tokens_per_point,
            }
        )

    def __repr__(self) -> str:
        where = "inside" if self.support.inside else "outside"
        return (
            f"Lift({self.model}, {self.intervention.name}: {self.mean:+.3f} "
            f"[{self.lower:+.3f}, {self.upper:+.3f}] at {self.level:.0%}, {where})"
        )


def predict_lift(
    scores: pd.DataFrame,
    table: ScoreTable,
    before: pd.Series,
    after: pd.Series,
    intervention: Intervention,
    *,
    level: float = 0.9,
    stderr: pd.DataFrame | None = None,
) -> list[Lift]:
    """Predict the gain of an intervention for models, by models that have both scores.

    Parameters
    ----------
    scores : (models × benchmarks) DataFrame
        Fractions, NaN where not measured, of the models to predict.
    table : ScoreTable
        Benchmarks of the models to fit on; those that measure what is gained do not belong in it.
    before, after : Series by model
        Their scores without and with the intervention, fractions.
    intervention : Intervention
        What it is called, and its cost.
    level : float, default 0.9
        Nominal coverage.
    stderr : DataFrame like ``scores``, optional
        Standard errors; where given, they widen the interval.

    Returns
    -------
    list of Lift
        One per row that has any of the table's benchmarks.

    Raises
    ------
    DegenerateError, TooFewModelsError
        The models do not determine the laws.
    UnknownNameError
        No benchmark of the table is among the columns.
    FitError
        A standard error is negative or infinite.

    See Also
    --------
    lift_card : All interventions of a reference.
    analyse_gain : The gain over many models, with its figure.

    Notes
    -----
    Missing scores are inferred from the measured ones, as ``TargetLaw`` does; what they and the
    standard errors leave open widens the interval.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import INTERVENTIONS, load_reference, predict_lift
    >>> reference = load_reference()
    >>> families = ["Llama-2", "Llama-3", "Qwen1.5"]
    >>> table = reference.table.select(benchmarks=["MMLU", "ARC-C"], families=families)
    >>> targets = reference.table.wide(["gsm8k", "gsm8k-cot"])
    >>> scores = pd.DataFrame({"MMLU": 0.62, "ARC-C": 0.58}, index=["mine"])
    >>> (lift,) = predict_lift(
    ...     scores, table, targets["gsm8k"], targets["gsm8k-cot"], INTERVENTIONS[0]
    ... )
    >>> lift.lower < lift.mean < lift.upper
    True

    """
    problem, treated = gain_problem(table, before, after)
    training = problem.training(problem.settings(3))
    names = list(training.benchmarks)
    if not set(names) & set(scores.columns):
        raise UnknownNameError(
            f"{intervention.name}: none of its benchmarks ({', '.join(names)}) is among the columns"
        )
    fit = fit_gain(training, treated)
    x = scores.reindex(columns=names).to_numpy(dtype=float)
    placed = ~np.isnan(x).all(axis=1)
    if not placed.any():
        return []
    errors = np.zeros_like(x[placed])
    if stderr is not None:
        aligned = float_frame(stderr.reindex(index=scores.index, columns=names))
        check_standard_errors(aligned)
        errors = np.nan_to_num(aligned.to_numpy(dtype=float)[placed])
    filled, spread = complete(fit.base.training, x[placed], errors)
    p = fit.predict(filled, level=level, spread=spread)
    error, baseline = _errors(fit)
    k = fit.base.training.settings.n_components
    places = fit.base.spaces.transform(filled, k)[0]
    seen, seen_models = fit.base.capabilities, problem.truth.index
    supports = [support_of(place, seen, seen_models) for place in places]
    models = [str(model) for model in scores.index[placed]]
    columns = (p.base, p.treated, p.mean, p.lower, p.upper)
    return [
        Lift(
            model,
            intervention,
            *(float(base), float(treated_score), float(mean), float(lower), float(upper)),
            level=level,
            n_models=fit.n_models,
            error=error,
            baseline_error=baseline,
            support=support,
        )
        for model, base, treated_score, mean, lower, upper, support in zip(
            models, *columns, supports, strict=True
        )
    ]


def lift_card(
    scores: pd.DataFrame,
    reference: Reference,
    *,
    interventions: Sequence[Intervention] = INTERVENTIONS,
    level: float = 0.9,
    exclude: Collection[str] = (),
    stderr: pd.DataFrame | None = None,
) -> list[Lift]:
    """Predict for each model what interventions that a reference has both scores of would gain.

    Parameters
    ----------
    scores : (models × benchmarks) DataFrame
        Fractions, NaN where not measured.
    reference : Reference
        Its models that are, or likely are, one of these are left out of the fits.
    interventions : sequence of Intervention, default those of "study-2024"
        One that the reference lacks a score of, or cannot be fitted, has no row.
    level : float, default 0.9
        Nominal coverage.
    exclude : collection of str, default ()
        Further models to leave out.
    stderr : DataFrame like ``scores``, optional
        Standard errors; where given, they widen the intervals.

    See Also
    --------
    predict_lift : One intervention.
    draw_lift : Draws the card.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import INTERVENTIONS, lift_card, load_reference
    >>> scores = pd.DataFrame({"MMLU": 0.62, "HellaSwag": 0.81, "ARC-C": 0.58}, index=["mine"])
    >>> (lift,) = lift_card(scores, load_reference(), interventions=INTERVENTIONS[:1])
    >>> lift.mean > 0 and lift.advised
    True

    """
    scored = set(reference.table.benchmarks)
    usable = [i for i in interventions if {i.base, i.treated} <= scored & set(reference.targets)]
    if not usable:
        return []
    published = reference.scores()
    overlaps = {
        reason
        for model, row in scores.iterrows()
        for reason in find_overlap(str(model), row, published).reasons
    }
    left_out = overlaps.union(exclude)
    models = [m for m in map(str, reference.table.models.index) if m not in left_out]
    lifts: list[Lift] = []
    for intervention in usable:
        pair = [reference.target(name) for name in (intervention.base, intervention.treated)]
        shared = [b for b in reference.space_benchmarks(pair[0]) if b not in pair[1].drop]
        table = reference.table.select(models=models, benchmarks=shared)
        both = reference.table.wide([target.name for target in pair]).loc[models]
        before, after = both[pair[0].name], both[pair[1].name]
        own = scores[[c for c in scores.columns if c in shared]]
        if own.empty or own.isna().all(axis=None):
            continue
        try:
            lifts += predict_lift(
                own, table, before, after, intervention, level=level, stderr=stderr
            )
        except (DegenerateError, NotConvergedError, TooFewModelsError):
            continue  # too few models have both scores, or too like ones
    return advised(lifts)


def advised(lifts: Sequence[Lift]) -> list[Lift]:
    """Return lifts with the advised one of each model and base marked."""
    best: dict[tuple[str, str], Lift] = {}
    for lift in lifts:
        key = (lift.model, lift.intervention.base)
        if (
            lift.support.inside
            and lift.lower > 0
            and (key not in best or lift.tokens_per_point < best[key].tokens_per_point)
        ):
            best[key] = lift
    return [replace(lift, advised=lift in best.values()) for lift in lifts]


def _errors(fit: GainFit) -> tuple[float, float]:
    """Return the mean absolute errors of the gain with families left out: of laws, of the mean."""
    training = fit.base.training
    families, family = np.unique(training.families, return_inverse=True)
    gain = fit.treated.training.target - training.target
    if len(families) < 2:
        return math.nan, math.nan
    weights = (family != np.arange(len(families))[:, None]).astype(float)
    rows = np.arange(len(family))
    base, treated = (
        refit(each, weights, each.training.scores)[family, rows] for each in (fit.base, fit.treated)
    )
    without = (weights @ gain) / weights.sum(axis=1)
    return (
        float(np.abs(treated - base - gain).mean()),
        float(np.abs(without[family] - gain).mean()),
    )

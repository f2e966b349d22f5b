"""A placement's predictions come from the stored laws of its reference, where it has them."""

from __future__ import annotations

from collections.abc import Iterable
from math import isnan, nan

from ..reference import Reference
from ..table._table import ScoreTable
from ._prediction import Prediction
from ._reference_laws import predict_targets, stored_laws
from ._support import Support
from ._target_predictions import TargetPrediction

__all__ = ["predictions_by_stored_laws"]

METHOD = "blend of views, conformal"


def predictions_by_stored_laws(
    own: ScoreTable,
    reference: Reference,
    *,
    targets: Iterable[str] | None,
    level: float,
    support: Support,
) -> tuple[list[Prediction], dict[str, TargetPrediction]]:
    """Return predictions of the one model of a table, and by target what stands beside each.

    A target that is not predicted is only in the second, which has the reason.

    Parameters
    ----------
    own : ScoreTable
        Scores of the model that may be used.
    reference : Reference
        One with stored laws.
    targets : iterable of str or None
        Names of targets; those that are offered by default.
    level : float
        Nominal coverage of the intervals.
    support : Support
        Of the model in the space of the placement.

    """
    evaluations = reference.evaluations
    offered = [n for n in reference.targets if n in evaluations and not evaluations[n].reason]
    models = stored_laws(reference).models
    facts = reference.table.models["family"]
    families = tuple(dict.fromkeys(facts[m] or m for m in models))
    chosen = offered if targets is None else targets
    evaluated = {p.target: p for p in predict_targets(own, reference, targets=chosen, level=level)}
    predictions = []
    for p in evaluated.values():
        if isnan(p.mean):
            continue
        predictions.append(
            Prediction(
                target=p.target,
                label=p.label,
                model=p.model,
                mean=p.mean,
                lower=p.lower,
                upper=p.upper,
                level=level,
                support=support,
                linear_predictor=nan,
                missing=tuple(b for b in reference.benchmarks if b not in own.benchmarks),
                models=models,
                families=families,
                method=METHOD,
                attainable=p.attainable,
                baselines=p.baselines,
                nearest_model=p.nearest_model,
                single_benchmark=p.single_benchmark,
                status=p.status,
                reason=p.reason,
                notes=(*p.notes, *([f"{p.target}: {p.reason}"] if p.reason else [])),
            )
        )
    return predictions, evaluated

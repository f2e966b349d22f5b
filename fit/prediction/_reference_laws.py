"""The stored laws of a reference predict all of its targets at once, beside the baselines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from ..completion import FittedPredictor
from ..completion._baselines import BASELINES
from ..completion._gates import Gate
from ..completion._training import decimal_years
from ..errors import FitError, UnknownNameError
from ..reference import Reference
from ..reference._digest import tables_digest
from ..reference._training_arguments import training_arguments
from ..reference.left_out import LEVEL, left_out_of
from ..reference.overlap import overlap_of_rows
from ..table._table import ScoreTable
from ._attainable import attainable_score
from ._extrapolation import extrapolation, score_ranges
from ._release import release_of
from ._score_errors import score_errors, widened
from ._several import check_different, targets_of_each
from ._target_predictions import Status, TargetPrediction, TargetPredictions

__all__ = ["predict_targets"]


def predict_targets(
    table: ScoreTable,
    reference: Reference | Iterable[Reference],
    *,
    targets: Iterable[str] | None = None,
    level: float = 0.9,
    force: bool = False,
    exclude: Collection[str] = (),
    today: date | None = None,
) -> TargetPredictions:
    """Predict targets of models by the stored laws of a reference, refitting nothing.

    Parameters
    ----------
    table : ScoreTable
        Scores of the models, fractions, and their facts: a release date, and the mode in which
        they answered. Standard errors, or numbers of items, widen the intervals by what they
        exceed those of a full run.
    reference : Reference or iterable of Reference
        One with stored laws, or several, which predict one after the other. Models of it that are,
        or likely are, among ``table`` are left out of the laws that predict them, which takes a
        refit.
    targets : iterable of str, optional
        Names of targets; all of the reference's by default. Each of several references predicts
        those that it has.
    level : float, default 0.9
        Nominal coverage of the intervals.
    force : bool, default False
        Give the numbers that a gate or the evaluation refuses, beside their reason.
    exclude : collection of str, default ()
        Models of the reference to leave out of the laws, which are then fitted anew; the scale of
        the intervals stays as stored.
    today : date, optional
        The release of models that state none, and are none of the reference; the day of the call
        by default, which the notes say.

    Returns
    -------
    TargetPredictions
        In the order of the models, and for each in that of the targets.

    Raises
    ------
    FitError
        A reference has no stored laws, or is given twice, or the level lies outside (0, 1).
    UnknownNameError
        A target is unknown; or one of several references has none of the targets, or no benchmark
        of it was measured.

    See Also
    --------
    TargetLaw : Fits a law anew, to models of one's choice.
    evaluate_targets : How it is known which targets are predicted well.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import ScoreTable, load_reference, predict_targets
    >>> scores = pd.DataFrame({"GPQA-diamond": 0.6, "MMLU-Pro": 0.75}, index=["mine"])
    >>> facts = pd.DataFrame({"release_date": "2025-06"}, index=["mine"])
    >>> table = ScoreTable.from_wide(scores, models=facts)
    >>> (p,) = predict_targets(table, load_reference("frontier-2026"), targets=["hle/no-tools"])
    >>> 0 < p.lower < p.mean < p.upper < 0.3
    True

    """
    if not isinstance(reference, Reference):
        settings = {"level": level, "force": force, "exclude": exclude, "today": today}
        return _by_several(table, list(reference), targets, settings)
    laws = stored_laws(reference)
    wanted = reference.targets if targets is None else targets
    chosen = [reference.target(name) for name in wanted]
    names = [target.name for target in chosen]
    benchmarks = [b for b in reference.benchmarks if b in table.benchmarks]
    scores, models = table.array(benchmarks), table.facts["model"].tolist()
    published = set(reference.table.benchmarks)
    shared = [j for j, b in enumerate(benchmarks) if b in published]
    known = reference.table.array([benchmarks[j] for j in shared])
    known_models = reference.table.facts["model"].tolist()
    left_out = left_out_of(reference) if level == LEVEL else None
    ranges = score_ranges(reference, names)
    made: list[TargetPrediction] = []
    for model, row in zip(models, scores, strict=True):
        if np.isnan(row).all():
            continue
        overlap = overlap_of_rows(model, row[shared], known_models, known)
        unseen = {*overlap.reasons, *exclude}
        own = laws_without(laws, reference, unseen) if unseen else laws
        release = release_of(table, model, reference, overlap.sure, today)
        about = [
            [
                *decimal_years([(model, release.day)]),
                REASONS.get(table.fact(model, "mode"), np.nan),
            ]
        ]
        measured = dict(zip(benchmarks, row, strict=True))
        cells = np.array([[measured.get(b, np.nan) for b in own.cheap]])
        errors = score_errors(table, model, reference, own.cheap)
        off = np.array([[errors[b].deviation if b in errors else 0.0 for b in own.cheap]])
        rows = own.predict_rows(
            [model],
            cells,
            np.array(about),
            targets=names,
            level=level,
            force=True,
            spread=off if errors else None,
        )
        late = own.gates.reason(Gate.TOO_LATE, 0)
        assumed = release.note([str(numbers["reason"]) for numbers in rows], late)
        lines = (overlap.note(), assumed, *widened(model, errors))
        notes = tuple(line for line in lines if line)
        for target, numbers in zip(chosen, rows, strict=True):
            evaluation = reference.evaluations.get(target.name)
            status: Status = "not evaluated" if evaluation is None else evaluation.status
            gate = release.reason(numbers["reason"], late) or extrapolation(
                target.name, numbers["lower"], numbers["upper"], ranges
            )
            reasons = [gate, "" if evaluation is None else evaluation.reason]
            is_shown = force or not (gate or is_refused(reference, target.name))
            mean, lower, upper = (numbers[c] if is_shown else float("nan") for c in _NUMBERS)
            made.append(
                TargetPrediction(
                    reference=reference.name,
                    target=target.name,
                    label=target.label,
                    model=str(model),
                    status=status,
                    mean=mean,
                    lower=lower,
                    upper=upper,
                    level=level,
                    reason="; ".join(reason for reason in reasons if reason),
                    gate=gate,
                    baselines={name: float(numbers[name]) for name in BASELINES},
                    nearest_model=str(numbers["nearest_model"]),
                    single_benchmark=str(numbers["single_benchmark"]),
                    evaluation=evaluation,
                    attainable=attainable_score(left_out, mean=mean, upper=upper),
                    notes=notes,
                )
            )
    return TargetPredictions(made)


def _by_several(
    table: ScoreTable,
    references: Sequence[Reference],
    targets: Iterable[str] | None,
    settings: Mapping[str, Any],
) -> TargetPredictions:
    check_different([reference.name for reference in references])
    measured = set(table.benchmarks)
    for reference in references:
        if measured.isdisjoint(reference.benchmarks):
            raise UnknownNameError(
                f"no benchmark of the reference {reference.name} was measured; it predicts from "
                f"{', '.join(reference.benchmarks)}: leave it out"
            )
    wanted = targets_of_each(references, targets)
    return TargetPredictions(
        prediction
        for reference, names in zip(references, wanted, strict=True)
        for prediction in predict_targets(table, reference, targets=names, **settings)
    )


_NUMBERS = ("prediction", "lower", "upper")
REASONS = {"thinking": 1.0, "chat": -1.0, "plain": -1.0}


def is_refused(reference: Reference, target: str) -> bool:
    """Return whether back-tests refuse a target, or another benchmark, of a reference."""
    evaluation = reference.evaluations.get(target)
    return evaluation is not None and evaluation.status == "refused"


def stored_laws(reference: Reference) -> FittedPredictor:
    """Return the laws that lie beside the tables of a reference."""
    if reference.laws is None:
        raise FitError(
            f"{reference.name or 'the reference'} has no stored laws (laws.npz, laws.json); "
            "capspace predict, and TargetLaw in Python, fit its targets"
        )
    path = Path(reference.laws)
    return FittedPredictor.load(path, tables=tables_digest(path.parent, reference))


def laws_without(
    laws: FittedPredictor, reference: Reference, models: Collection[str]
) -> FittedPredictor:
    """Return laws that were fitted without some models; the scale of intervals is as stored."""
    scores, facts, arguments = training_arguments(reference, exclude=models)
    return laws.refitted(
        scores, facts, anchors=arguments["anchors"], sample_weight=arguments["sample_weight"]
    )

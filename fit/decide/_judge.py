"""Judge whether a costly evaluation is worth its price, or what to measure before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from math import isfinite
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ..errors import NothingToMeasureError, RefusedTargetError, check_level
from ..prediction._attainable import attainable_score
from ..prediction._extrapolation import extrapolation, score_ranges
from ..reference import Reference
from ..reference.left_out import LEVEL, left_out_of, stale_note
from ..table._table import ScoreTable
from ._options import few_items_notes, make_outlook, options_of, require_items
from ._outlook import Bounds, Outlook, only_model
from ._path import Step, first_steps, walk
from ._track_record import track_record
from ._verdict import Question, Verdict
from ._verdict_words import caution_of, reason_of, why_unweighed
from .cost import Cost, unit_words

__all__ = ["judge_run", "worth_measuring"]

Array = NDArray[np.float64]


def judge_run(
    table: ScoreTable,
    reference: Reference,
    *,
    target: str,
    cost: Cost,
    question: Question,
    prices: Mapping[str, Cost] | None = None,
    model: str | None = None,
    level: float = 0.9,
    force: bool = False,
    today: date | None = None,
) -> Verdict:
    r"""Judge whether a costly evaluation is worth its price.

    Parameters
    ----------
    table : ScoreTable
        Scores of the model, fractions in [0, 1].
    reference : Reference
        What predicts.
    target : str
        The evaluation.
    cost : Cost
        Of the run.
    question : Question
        A threshold or a tolerance.
    prices : mapping of benchmark to Cost, optional
        Of all items of benchmarks that could be measured first; those in another unit than
        ``cost`` are left out, with a note.
    model : str, optional
        Which model of the table; may be left out where it has only one.
    level : float, default 0.9
        Nominal coverage of the intervals.
    force : bool, default False
        Judge targets that a back-test or a gate refuses, too.
    today : date, optional
        The release of a model that states none; the day of the call by default.

    Raises
    ------
    UnknownNameError
        The model or the target is unknown, or the model has no score to start from.
    RefusedTargetError
        No number is given for the target, or all scores rest on fewer than ten items.

    See Also
    --------
    next_evaluations : What to measure, whatever the run costs.

    Notes
    -----
    "skip": the interval leaves nothing open: the threshold lies outside of it, or its half-width is
    within the tolerance. Else, with C the cost of the run, c_m that of the first m measurements of
    ``steps``, and P_m the probability that the interval after them leaves nothing open, these save
    P_m C − c_m in expectation. "measure first": the largest of these is above 0, and those m are
    to be measured. "run": none is.

    References
    ----------
    Raiffa & Schlaifer (1961), Applied Statistical Decision Theory, chapter 5 (the expected value of
    sample information).

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import Cost, Question, ScoreTable, judge_run, load_reference
    >>> scores = pd.DataFrame({"MMLU": 0.62, "HellaSwag": 0.81, "GSM8K": 0.4}, index=["mine"])
    >>> judge_run(ScoreTable.from_wide(scores), load_reference(), target="bbh",
    ...           cost=Cost(120, "device-hours"), question=Question(threshold=0.7))
    Verdict(skip: bbh of mine, 0.44 [0.36, 0.52] at 90%)

    """
    check_level(level)
    name = only_model(table, model)
    chosen = reference.target(target)
    outlook = make_outlook(
        table, name, reference, [chosen],
        level=level, force=force, today=today, needs_number=True,
    )  # fmt: skip
    if not force:
        require_items(outlook, reference)
    now = outlook.now()
    mean, lower, upper = (float(part[0]) for part in (now.mean, now.lower, now.upper))
    _require_number(reference, chosen.name, (mean, lower, upper), force=force)
    few = few_items_notes(outlook, reference)
    notes = [*outlook.notes, *few, *filter(None, [stale_note(reference)])]
    steps: list[Step] = []
    unweighed = ""
    answered = bool(question.is_answered(now.lower, now.upper)[0])
    if not answered:
        steps, more, unweighed = _steps(outlook, now, reference, prices or {}, cost)
        notes += more
    n_steps, chances, saving = worth_measuring(steps, question, cost)
    left_out = left_out_of(reference) if level == LEVEL else None
    verdict = Verdict(
        model=name,
        target=chosen.name,
        label=chosen.label,
        decision="skip" if answered else "measure first" if n_steps else "run",
        reason="",
        mean=mean,
        lower=lower,
        upper=upper,
        level=level,
        question=question,
        probability=_probability(mean, lower, upper, level, question),
        attainable=attainable_score(left_out, mean=mean, upper=upper),
        cost=cost,
        steps=tuple(steps),
        n_steps=n_steps,
        chances=tuple(chances),
        saving=cost.amount if answered else saving,
        record=None
        if left_out is None
        else track_record(
            left_out,
            chosen.name,
            threshold=question.threshold,
            tolerance=question.tolerance,
        ),
        notes=tuple(notes),
        caution=caution_of(reference, chosen.name),
    )
    return replace(verdict, reason=reason_of(verdict, unweighed))


def worth_measuring(
    steps: Sequence[Step], question: Question, cost: Cost
) -> tuple[int, list[float], float]:
    """Return how many steps to measure, the chance after each of an answer, and what they save."""
    chances = [
        float(question.is_answered(s.bounds.lower[:, 0], s.bounds.upper[:, 0]).mean())
        for s in steps
    ]
    savings = [
        p * cost.amount - s.total.amount
        for p, s in zip(chances, steps, strict=True)
        if s.total is not None
    ]
    if not savings or max(savings) <= 0:
        return 0, chances, 0.0
    best = int(np.argmax(savings))
    return best + 1, chances, savings[best]


def _require_number(
    reference: Reference, target: str, numbers: tuple[float, float, float], *, force: bool
) -> None:
    """Raise RefusedTargetError where a prediction is no number, or none that is shown."""
    if not all(map(isfinite, numbers)):
        raise RefusedTargetError(f"{target}: no number is given: the prediction is not finite")
    if force or reference.laws is None:
        return
    _, lower, upper = numbers
    if gate := extrapolation(target, lower, upper, score_ranges(reference, [target])):
        raise RefusedTargetError(f"{target}: no number is given: {gate}", can_force=True)


def _steps(
    outlook: Outlook, now: Bounds, reference: Reference, prices: Mapping[str, Cost], cost: Cost
) -> tuple[list[Step], list[str], str]:
    """Return what could be measured before, notes, and why some or all of it is not weighed."""
    unit = unit_words(cost.unit)
    usable = {b: price for b, price in prices.items() if price.unit == cost.unit}
    try:
        options = options_of(outlook, reference, usable)
    except NothingToMeasureError:
        names = ", ".join(target.name for target in outlook.targets)
        every = f"every benchmark from which {names} is predicted is measured already"
        return [], [], f"nothing is left to measure before: {every}"
    priced = [m for m in options if m.cost is not None]
    unlike = [m.benchmark for m in options if m.cost is None and m.benchmark in prices]
    unknown = [m.benchmark for m in options if m.cost is None and m.benchmark not in prices]
    notes = []
    if unlike:
        notes.append(f"not weighed, as their prices are not in {unit} as the run's: ")
        notes[-1] += ", ".join(unlike)
    if unknown:
        notes.append(
            f"not weighed, as nothing says what they cost: {', '.join(unknown)}; "
            f"--price NAME=COST does, in {unit}"
        )
    return (
        walk(outlook, now, first_steps(outlook, now, priced)),
        notes,
        why_unweighed(unlike, unknown, unit, n_weighed=len(priced)),
    )


def _probability(
    mean: float, lower: float, upper: float, level: float, question: Question
) -> float:
    """Return the probability of a score above the threshold, each half of the interval normal."""
    if question.threshold is None:
        return float("nan")
    far = question.threshold - mean
    half = (upper - mean) if far > 0 else (mean - lower)
    if half <= 0:
        return float(far < 0)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    return 1 - NormalDist().cdf(z * far / half)

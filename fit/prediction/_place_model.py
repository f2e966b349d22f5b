"""Place one model: its coordinates, its equivalent compute, and its predicted scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from .._display import counted
from ..errors import DegenerateError, NotConvergedError, TooFewModelsError, UnknownNameError
from ..law.efficiency import FamilyLaw
from ..law.equivalent import equivalent_scale
from ..law.intervals import IntervalMethod
from ..reference import Reference
from ..reference.overlap import find_overlap
from ..space import CapabilitySpace, Place
from ..table._table import ScoreTable
from ..table.doubtful import leave_out_doubtful
from ..table.sampling import unstated_errors, with_sampling_errors
from ._placement import NextBenchmark, Placement
from ._prediction import Prediction, Predictions
from ._reference_line import reference_line
from ._release import known_release_dates
from ._stored_predictions import predictions_by_stored_laws
from ._support import support_of
from ._target_law import TargetLaw
from ._target_predictions import TargetPrediction

__all__ = ["place_model"]

_N_NEAREST = 3
_ASSUMED_STDERR = 0.01
_NOT_MEASURED = "not measured"


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
        Scores of the model, fractions in [0, 1]; others' are ignored. A score that states no
        standard error has that of its number of items; where nothing is stated of a score, its
        sampling error counts as that of the reference's own scores.
    reference : Reference
        Models in it that are, or likely are, this one are left out of every fit; ``notes`` says
        which.
    model : str, optional
        Which model of the table; may be left out where it has only one.
    targets : iterable of str, optional
        Names of targets; all of the reference's by default, or those that are offered where its
        laws are stored.
    level : float, default 0.9
        Nominal coverage of the intervals.
    method : IntervalMethod, optional
        As of ``TargetLaw`` by default.
    missing : mapping, optional
        Reasons, by benchmark, for scores that are not there.
    comparable : bool, default True
        Whether the scores may be compared with published ones.
    notes : iterable of str, default ()
        What a reader must know.
    keep : bool, default False
        Use scores far below chance, too, which otherwise count as not measured.

    Raises
    ------
    UnknownNameError
        The model, a target, or every benchmark is unknown.
    FitError
        A score outside [0, 1], or a reference too small to fit.

    See Also
    --------
    TargetLaw : One target, for many models.
    write_report : A page of the placement.

    Notes
    -----
    The place comes from a factor model of all benchmarks of the reference's base models. Each
    target has a law in a space of its own, without the benchmarks that measure the same thing and
    with only the models whose score on the target is known.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import ScoreTable, load_reference, place_model
    >>> scores = pd.DataFrame({"MMLU": 0.62, "HellaSwag": 0.81, "GSM8K": 0.4}, index=["mine"])
    >>> place_model(ScoreTable.from_wide(scores), load_reference(), targets=["bbh"])
    Placement(mine: 3 of 8 benchmarks, near mistralai/Mistral-7B-v0.1, 1 prediction)

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
    errors = with_sampling_errors(used).wide(usable, "stderr")
    stderr = errors.reindex(columns=list(reference.benchmarks))

    overlap = find_overlap(name, wide.iloc[0], reference.scores())
    base = reference.scores(reference.place_population)
    base = base[base.notna().any(axis=1) & ~base.index.isin(list(overlap.reasons))]
    space = CapabilitySpace().fit(base)
    columns = [f"PC-{i + 1}" for i in range(space.n_components_)]
    points = pd.DataFrame(space.transform(base), index=base.index, columns=columns)
    place = space.place(wide, stderr=stderr)

    line = reference_line(points["PC-1"], reference.table.models)

    chosen = list(reference.targets) if targets is None else list(targets)
    laws: dict[str, TargetLaw] = {}
    axes: dict[str, FamilyLaw] = {}
    unpredicted: dict[str, str] = {}
    predictions: list[Prediction] = []
    evaluated: dict[str, TargetPrediction] = {}
    if reference.laws is not None:
        predictions, evaluated = predictions_by_stored_laws(
            used.select(benchmarks=usable),
            reference,
            targets=None if targets is None else chosen,
            level=level,
            support=support_of(place.mean[0], points.to_numpy(), points.index),
        )
        predicted = {p.target for p in predictions}
        unpredicted = {n: p.reason for n, p in evaluated.items() if n not in predicted}
        chosen = []
    dates = known_release_dates(own, reference) if chosen else {}
    for target in map(reference.target, chosen):
        evaluation = reference.evaluations.get(target.name)
        status, why_not = ("", "") if evaluation is None else (evaluation.status, evaluation.reason)
        if status == "refused":
            unpredicted[target.name] = f"refused by its back-test: {why_not}"
            continue
        try:
            law = TargetLaw(target, method=method).fit(reference, exclude=overlap.reasons.keys())
            (prediction,) = law.predict(
                wide, level=level, stderr=stderr, keep=True, release_dates=dates
            )
        except (DegenerateError, NotConvergedError, TooFewModelsError) as error:
            unpredicted[target.name] = str(error)
            continue
        if np.isnan(prediction.mean):
            unpredicted[target.name] = prediction.support.summary
            continue
        laws[target.name] = law
        axis = reference_line(law.linear_predictor_, reference.table.models, target.population)
        if axis is not None:
            axes[target.name] = axis
        predictions.append(replace(prediction, status=status, reason=why_not))

    why = {**dict.fromkeys(known, "its score is far below chance"), **(missing or {})}
    reasons = {b: why.get(b, _NOT_MEASURED) for b in wide.columns if b not in usable}
    unstated = unstated_errors(used.select(benchmarks=usable))
    lines = (*notes, *used.notes, overlap.note(), unstated)
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
        predictions=Predictions(predictions),
        laws=laws,
        axes=axes,
        unpredicted=unpredicted,
        evaluated=evaluated,
        next_benchmarks=_next_benchmarks(space, wide, stderr, place, reasons),
        comparable=comparable,
        notes=tuple(line for line in lines if line),
    )


def _only_model(table: ScoreTable) -> str:
    names = list(table.models.index)
    if len(names) != 1:
        shown = ", ".join(map(str, names[:3])) + (", ..." if len(names) > 3 else "")
        raise UnknownNameError(
            f"the table has {counted(len(names), 'model')} ({shown}); name the one to place"
        )
    return str(names[0])


def _nearest(points: pd.DataFrame, place: Place) -> tuple[str, ...]:
    apart = (points - place.mean[0]) / points.std()
    order = np.argsort((apart**2).sum(axis=1).to_numpy())
    return tuple(map(str, points.index[order[:_N_NEAREST]]))


def _next_benchmarks(
    space: CapabilitySpace,
    wide: pd.DataFrame,
    stderr: pd.DataFrame,
    place: Place,
    reasons: Mapping[str, str],
) -> tuple[NextBenchmark, ...]:
    """Rank the missing benchmarks, last those that were tried here and have no score.

    The covariance of a place does not depend on the scores.
    """
    now = np.sqrt(np.trace(place.covariance[0]))
    expected = pd.DataFrame(space.inverse_transform(place.mean), wide.index, wide.columns)
    ranked = []
    for benchmark, reason in reasons.items():
        filled, errors = wide.copy(), stderr.copy()
        filled[benchmark] = expected[benchmark]
        errors[benchmark] = _ASSUMED_STDERR
        then = np.sqrt(np.trace(space.place(filled, stderr=errors).covariance[0]))
        ranked.append(NextBenchmark(benchmark, reason, float(max(0.0, 1 - then / now))))
    return tuple(sorted(ranked, key=lambda n: (n.reason != _NOT_MEASURED, -n.shrinkage)))

"""Compare models with known cheap scores on targets that nobody has measured."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from .._display import counted
from ..completion._gates import Gate
from ..completion.scales import z_to_score
from ..errors import (
    DegenerateError,
    FitError,
    NotConvergedError,
    TooFewModelsError,
    UnknownNameError,
    near_matches,
)
from ..law.conformal import Joint, joint_prediction
from ..reference import Reference, Target, target_training_table
from ..reference._training_arguments import facts_of
from ..reference.overlap import Overlap, find_overlap
from ..table._table import ScoreTable
from ..table.doubtful import leave_out_doubtful
from ..table.facts import family_of_each
from ..table.sampling import unstated_errors, with_sampling_errors
from ._comparison import Comparison, PairComparison
from ._completion import complete
from ._reference_laws import laws_without, stored_laws
from ._release import release_of
from ._score_errors import score_errors, widened, without_offsets
from ._shared_errors import covariance_of_sources
from ._target_law import TargetLaw

__all__ = ["compare_models", "probability_above"]

Array = NDArray[np.float64]


def compare_models(
    table: ScoreTable,
    reference: Reference,
    *,
    models: Collection[str] | None = None,
    targets: Iterable[str] | None = None,
    keep: bool = False,
    force: bool = False,
    today: date | None = None,
) -> Comparison:
    r"""Tell how probable it is that one model scores above another, on each target.

    Parameters
    ----------
    table : ScoreTable
        Scores of the models, fractions in [0, 1], with their standard errors where known, and
        facts: the family, and for a reference with stored laws the release date and the mode.
    reference : Reference
        Models in it that are, or likely are, one of the compared ones are left out of every fit.
    models : collection of str, optional
        Two or more models of the table; all by default.
    targets : iterable of str, optional
        Names of targets; all of the reference's by default.
    keep : bool, default False
        Use scores far below chance, too, which otherwise count as not measured.
    force : bool, default False
        Compare on targets that a gate or a back-test refuses, too.
    today : date, optional
        The release of models that state none; the day of the call by default.

    Raises
    ------
    FitError
        Fewer than two models, or a score outside [0, 1].
    UnknownNameError
        A model or a target is unknown, or every benchmark is.

    See Also
    --------
    TargetLaw, predict_targets : Predict the scores themselves.

    Notes
    -----
    Both scores are predicted by one law, on the scale of asin √p, so that their errors share what
    is unsure about it; errors of models of one family correlate besides, as those of the training
    models do. With m the predictions, Σ the joint covariance of the errors (see ``Conformal``,
    whose scale k it takes) and z_0.9 = 1.645,

    .. math:: P(A > B) = \Phi\left(
              \frac{m_A - m_B}{(k / z_{0.9}) \sqrt{\Sigma_{AA} + \Sigma_{BB}
              - 2 \Sigma_{AB}}}\right).

    Stored laws (see ``BlendedPredictor``) give m and the sizes of the errors on their own scale;
    there the errors are taken as independent. Where scores come from another source than the
    reference's, the covariance grows by what that source's offset o and spread w leave open: with
    e the effect of a unit of a score on m, by e² (o² + w²) for each model, and by e_A e_B o²
    between two models of the same named source, whose offset they share. Sampling errors beyond
    those of a full run count as w. Laws that are fitted now count no offsets; a note says so.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import ScoreTable, compare_models, load_reference
    >>> scores = pd.DataFrame(
    ...     {"MMLU": [0.62, 0.45], "HellaSwag": [0.81, 0.76], "GSM8K": [0.4, 0.1]},
    ...     index=["mine", "older"],
    ... )
    >>> compare_models(ScoreTable.from_wide(scores), load_reference(), targets=["bbh"])
    Comparison(mine above older on 1 of 1 target)

    """
    own = _models_of(table, models)
    known = [b for b in reference.benchmarks if b in own.benchmarks]
    if not known:
        raise UnknownNameError(
            f"no score is of a benchmark of the reference ({', '.join(reference.benchmarks)})"
        )
    used = leave_out_doubtful(own.select(benchmarks=known), reference.chance_levels, keep=keep)
    names = [str(model) for model in own.models.index]
    wide = used.wide().reindex(names)
    published = reference.scores()
    overlaps = [find_overlap(str(name), row, published) for name, row in wide.iterrows()]
    chosen = [
        reference.target(name) for name in (reference.targets if targets is None else targets)
    ]
    compare = _by_fitted_laws if reference.laws is None else _by_stored_laws
    made = compare(used, wide, reference, chosen, overlaps, today=today, force=force)
    notes = [*used.notes, *(overlap.note() for overlap in overlaps), *made.notes]
    stated = tuple(note for note in notes if note)
    return Comparison(tuple(names), tuple(made.pairs), made.uncompared, stated)


def probability_above(joint: Joint, first: int, second: int) -> float:
    """Return the probability that one of the jointly predicted models scores above another."""
    c = joint.deviation_covariance
    size = np.sqrt(c[first, first] + c[second, second] - 2 * c[first, second])
    return float(ndtr((joint.centre[first] - joint.centre[second]) / size))


def _models_of(table: ScoreTable, models: Collection[str] | None) -> ScoreTable:
    there = list(map(str, table.models.index))
    names = there if models is None else list(dict.fromkeys(models))
    for model in names:
        if model not in there:
            near = near_matches(model, there)
            raise UnknownNameError(f"no model {model!r} in the table{near}")
    if len(names) < 2:
        raise FitError(f"{counted(len(names), 'model')} to compare; name two or more")
    own = replace(table.select(models=names).require_fractions(), notes=())
    return replace(own, models=own.models.loc[names])


@dataclass(frozen=True)
class _Compared:
    """Pairs by target, why other targets have none, and what was assumed."""

    pairs: list[PairComparison] = field(default_factory=list)
    uncompared: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def _by_fitted_laws(
    used: ScoreTable,
    wide: pd.DataFrame,
    reference: Reference,
    targets: list[Target],
    overlaps: list[Overlap],
    *,
    today: date | None,
    force: bool,
) -> _Compared:
    """Compare by a law that is fitted to each target now."""
    same = frozenset(model for overlap in overlaps for model in overlap.reasons)
    stderr = with_sampling_errors(used).wide(value="stderr").reindex(wide.index)
    families = np.array(family_of_each(used.models.loc[wide.index]), dtype=str)
    models = [overlap.model for overlap in overlaps]
    made = _Compared(notes=[unstated_errors(used), without_offsets(used, models, reference)])
    for target in targets:
        status, why = judged(reference, target)
        if status == "refused" and not force:
            made.uncompared[target.name] = why
            continue
        try:
            law = TargetLaw(target).fit(reference, exclude=same)
            joint = _joint(law, wide, stderr, families)
        except (DegenerateError, NotConvergedError, TooFewModelsError) as error:
            made.uncompared[target.name] = str(error)
            continue
        made.pairs.extend(_pairs(target, wide.index, joint, len(law.truth_), (status, why)))
    return made


def _joint(
    law: TargetLaw, wide: pd.DataFrame, stderr: pd.DataFrame, families: NDArray[np.str_]
) -> Joint:
    benchmarks = list(law.feature_names_in_)
    x = wide.reindex(columns=benchmarks)
    blank = x.index[x.isna().all(axis=1)]
    if len(blank):
        raise DegenerateError(f"{blank[0]!s} has none of its benchmarks")
    errors = np.nan_to_num(stderr.reindex(columns=benchmarks).to_numpy(dtype=float))
    filled, spread = complete(law.fitted_.training, x.to_numpy(dtype=float), errors)
    about = law.reference_.about
    scale = None if about is None else about.interval_scale
    return joint_prediction(law.fitted_, filled, families, scale=scale, spread=spread)


def _by_stored_laws(
    used: ScoreTable,
    wide: pd.DataFrame,
    reference: Reference,
    targets: list[Target],
    overlaps: list[Overlap],
    *,
    today: date | None,
    force: bool,
) -> _Compared:
    """Compare by laws that lie beside the reference."""
    laws = stored_laws(reference)
    same = {model for overlap in overlaps for model in overlap.reasons}
    if same:
        laws = laws_without(laws, reference, same)
    releases = [release_of(used, o.model, reference, o.sure, today) for o in overlaps]
    models = [o.model for o in overlaps]
    facts = facts_of(used.models.loc[models].assign(release_date=[r.day for r in releases]))
    point, deviation, reasons = laws.in_logits(wide, facts)
    errors = [score_errors(used, model, reference, laws.cheap) for model in models]
    shared = covariance_of_sources(laws, wide, facts, errors)
    late = laws.gates.reason(Gate.TOO_LATE, 0)
    made = _Compared(notes=[r.note(row, late) for r, row in zip(releases, reasons, strict=True)])
    for model, own in zip(models, errors, strict=True):
        made.notes.extend(widened(model, own))
    made.notes.append(unstated_errors(used))
    for target in targets:
        j = laws.targets.index(target.name)
        gates = [r.reason(row[j], late) for r, row in zip(releases, reasons, strict=True)]
        status, why = judged(reference, target)
        refusals = _refusals(models, gates)
        refusals += [why] if status == "refused" else []
        if refusals and not force:
            made.uncompared[target.name] = refusals[0]
            continue
        straight = np.array([target.name in laws.linear] * len(wide))
        mean = z_to_score(point[:, j], straight)
        covariance = np.diag(deviation[:, j] ** 2) + shared[j]
        joint = Joint(mean, point[:, j], covariance)
        n_models = len(target_training_table(reference, target, exclude=same)[1])
        about = (status, "; ".join(refusals) or why)
        made.pairs.extend(_pairs(target, wide.index, joint, n_models, about))
    return made


def _refusals(models: Sequence[str], gates: Sequence[str]) -> list[str]:
    """Return why there is no number, a reason that all models have without their names."""
    if len(set(gates)) == 1:
        return [gates[0]] if gates[0] else []
    return [f"{model}: {gate}" for model, gate in zip(models, gates, strict=True) if gate]


def judged(reference: Reference, target: Target) -> tuple[str, str]:
    """Return how back-tests judged a target, and why not better; "" where it was not judged."""
    evaluation = reference.evaluations.get(target.name)
    return ("", "") if evaluation is None else (evaluation.status, evaluation.reason)


def _pairs(
    target: Target, names: pd.Index, joint: Joint, n_models: int, about: tuple[str, str]
) -> list[PairComparison]:
    size = np.sqrt(np.diag(joint.deviation_covariance))
    return [
        PairComparison(
            target.name,
            target.label,
            str(names[i]),
            str(names[j]),
            probability_above(joint, i, j),
            float(joint.mean[i] - joint.mean[j]),
            float(joint.deviation_covariance[i, j] / (size[i] * size[j])),
            n_models,
            *about,
        )
        for i, j in combinations(range(len(names)), 2)
    ]

"""A comparison says how probable it is that one model scores above another on a target."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from .._display import counted, frame_html
from .._json import json_safe
from ..errors import DegenerateError, FitError, TooFewModelsError, UnknownNameError, near_matches
from ..law.conformal import Joint, joint_prediction
from ..reference import Reference, Target
from ..reference.overlap import find_overlap
from ..table.doubtful import rows_without_doubtful
from ..table.numbers import check_fractions, check_unique, float_frame
from ._completion import complete
from ._target_law import TargetLaw

__all__ = ["Comparison", "PairComparison", "compare_models", "probability_above"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PairComparison:
    """Two models on one target.

    Attributes
    ----------
    target, label : str
        Name of the target, and what tables call it.
    first, second : str
        The models.
    probability : float
        That the first scores above the second.
    difference : float
        Predicted score of the first minus that of the second, fractions of the perfect score.
    correlation : float
        Between the errors of the two predictions.
    n_models : int
        How many models the law was fitted on.

    """

    target: str
    label: str
    first: str
    second: str
    probability: float
    difference: float
    correlation: float
    n_models: int


@dataclass(frozen=True, repr=False)
class Comparison:
    """Pairs of models on several targets.

    Attributes
    ----------
    models : tuple of str
    pairs : tuple of PairComparison
        Each pair on each target, target by target.
    uncompared : mapping of target to reason
        Targets without a number.
    notes : tuple of str
        What a reader must know before using a number.

    """

    models: tuple[str, ...]
    pairs: tuple[PairComparison, ...]
    uncompared: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        n_targets = len({p.target for p in self.pairs})
        if len(self.models) != 2:
            return f"Comparison({len(self.models)} models × {counted(n_targets, 'target')})"
        above = sum(p.probability > 0.5 for p in self.pairs)
        return (
            f"Comparison({self.models[0]} above {self.models[1]} on {above} of "
            f"{counted(n_targets, 'target')})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per pair and target.

        Returns
        -------
        DataFrame
            target, first, second, probability, difference, correlation and n_models.

        """
        columns = (
            "target", "first", "second", "probability", "difference", "correlation", "n_models",
        )  # fmt: skip
        rows = [[getattr(pair, name) for name in columns] for pair in self.pairs]
        return pd.DataFrame(rows, columns=list(columns))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; what is unknown is null."""
        return {
            "models": list(self.models),
            "pairs": [json_safe(vars(pair)) for pair in self.pairs],
            "uncompared": dict(self.uncompared),
            "notes": list(self.notes),
        }


def compare_models(
    scores: pd.DataFrame,
    reference: Reference,
    *,
    models: Collection[str] | None = None,
    targets: Iterable[str] | None = None,
    families: Mapping[str, str] | None = None,
    stderr: pd.DataFrame | None = None,
    keep: bool = False,
) -> Comparison:
    r"""Tell how probable it is that one model scores above another, on each target.

    Parameters
    ----------
    scores : (models × benchmarks) DataFrame
        Fractions, NaN where not measured; benchmarks outside the space are ignored.
    reference : Reference
        Models in it that are, or likely are, one of the compared ones are left out of every fit.
    models : collection of str, optional
        Two or more rows of ``scores``; all by default.
    targets : iterable of str, optional
        Names of targets; all of the reference's by default.
    families : mapping of model to family, optional
        Errors of models of one family correlate; models without one are their own.
    stderr : DataFrame like ``scores``, optional
        Standard errors of the scores.
    keep : bool, default False
        Use scores far below chance, too, which otherwise count as not measured.

    Raises
    ------
    FitError
        Fewer than two models, or a score outside [0, 1].
    UnknownNameError
        A model or a target is unknown, or every benchmark is.

    See Also
    --------
    TargetLaw : Predicts the scores themselves.

    Notes
    -----
    On the scale of asin √p both scores are predicted by one law, so that their errors e share what
    is unsure about it. With m the predictions, Σ the joint covariance of the errors (see
    ``Conformal``, whose scale k it takes) and z_0.9 = 1.645,

    .. math:: P(A > B) = \Phi\left(
              \frac{m_A - m_B}{(k / z_{0.9}) \sqrt{\Sigma_{AA} + \Sigma_{BB}
              - 2 \Sigma_{AB}}}\right).

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import compare_models, load_reference
    >>> scores = pd.DataFrame(
    ...     {"MMLU": [0.62, 0.45], "HellaSwag": [0.81, 0.76], "GSM8K": [0.4, 0.1]},
    ...     index=["mine", "older"],
    ... )
    >>> compare_models(scores, load_reference(), targets=["bbh"])
    Comparison(mine above older on 1 of 1 target)

    """
    rows = _rows(scores, models)
    published = reference.scores()
    frame = float_frame(rows.loc[:, rows.columns.isin([*reference.benchmarks, *published.columns])])
    names = tuple(map(str, frame.index))
    known = frame.columns.intersection(list(reference.benchmarks))
    if known.empty:
        raise UnknownNameError(
            f"no column is a benchmark of the reference ({', '.join(reference.benchmarks)})"
        )
    for benchmark in known:
        check_fractions(frame[benchmark], str(benchmark))
    notes: list[str] = []
    if not keep:
        levels = reference.chance_levels
        frame, doubts = rows_without_doubtful(frame, {b: levels.get(b, 0.0) for b in frame})
        notes += [f"{name}: {line}" for name, d in zip(names, doubts, strict=True) for line in d]
    overlaps = [
        find_overlap(name, row, published)
        for name, (_, row) in zip(names, frame.iterrows(), strict=True)
    ]
    same = frozenset(model for overlap in overlaps for model in overlap.reasons)
    notes += [overlap.note() for overlap in overlaps if overlap.note()]
    family = np.array([(families or {}).get(name, f"\0{name}") for name in names])
    chosen = list(reference.targets) if targets is None else list(targets)
    pairs: list[PairComparison] = []
    uncompared: dict[str, str] = {}
    for target in map(reference.target, chosen):
        try:
            law = TargetLaw(target).fit(reference, exclude=same)
            joint = _joint(law, frame, stderr, family)
        except (DegenerateError, TooFewModelsError) as error:
            uncompared[target.name] = str(error)
            continue
        pairs += _pairs(target, names, joint, len(law.truth_))
    return Comparison(names, tuple(pairs), uncompared, tuple(notes))


def probability_above(joint: Joint, first: int, second: int) -> float:
    """Return the probability that one of the jointly predicted models scores above another."""
    c = joint.covariance
    size = np.sqrt(c[first, first] + c[second, second] - 2 * c[first, second])
    apart = joint.centre[first] - joint.centre[second]
    return float(ndtr(apart * ndtri(0.95) / (joint.scale * size)))


def _rows(scores: pd.DataFrame, models: Collection[str] | None) -> pd.DataFrame:
    check_unique(scores.index, "models")
    check_unique(scores.columns, "columns")
    for model in models or ():
        if model not in scores.index:
            near = near_matches(model, list(map(str, scores.index)))
            raise UnknownNameError(f"no model {model!r} in the table{near}")
    rows = scores if models is None else scores.loc[list(dict.fromkeys(models))]
    if len(rows) < 2:
        raise FitError(f"{counted(len(rows), 'model')} to compare; name two or more")
    return rows


def _joint(
    law: TargetLaw, frame: pd.DataFrame, stderr: pd.DataFrame | None, families: NDArray[np.str_]
) -> Joint:
    benchmarks = list(law.feature_names_in_)
    x = frame.reindex(columns=benchmarks)
    blank = x.index[x.isna().all(axis=1)]
    if len(blank):
        raise DegenerateError(f"{blank[0]!s} has none of its benchmarks")
    errors = np.zeros(x.shape)
    if stderr is not None:
        aligned = stderr.reindex(index=frame.index, columns=benchmarks)
        errors = np.nan_to_num(aligned.to_numpy(dtype=float))
    filled, spread = complete(law.fitted_.training, x.to_numpy(dtype=float), errors)
    return joint_prediction(law.fitted_, filled, families, spread=spread)


def _pairs(
    target: Target, names: tuple[str, ...], joint: Joint, n_models: int
) -> list[PairComparison]:
    size = np.sqrt(np.diag(joint.covariance))
    return [
        PairComparison(
            target.name,
            target.label,
            names[i],
            names[j],
            probability_above(joint, i, j),
            float(joint.mean[i] - joint.mean[j]),
            float(joint.covariance[i, j] / (size[i] * size[j])),
            n_models,
        )
        for i, j in combinations(range(len(names)), 2)
    ]

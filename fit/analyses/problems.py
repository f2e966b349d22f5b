"""Prepare a user's own target for prediction from the scores of a table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DegenerateError, FitError
from ..law._law import LinkName
from ..law.problem import Problem, make_problem
from ..reference import load_reference
from ..table._table import ScoreTable
from ..table.columns import same_as_target
from ..table.doubtful import is_far_below_chance
from ..table.numbers import check_fractions, float_series

__all__ = ["gain_problem", "target_problem"]

Floats = NDArray[np.float64]


def target_problem(
    table: ScoreTable,
    truth: pd.Series,
    *,
    chance: float = 0.0,
    ceiling: float = 1.0,
    link: LinkName = "sigmoid",
    keep: bool = False,
) -> Problem:
    """Join a score table with a target by model.

    Parameters
    ----------
    table : ScoreTable
        Benchmarks of the space, fractions in [0, 1], and facts; a benchmark with the target's name
        is left out of the space.
    truth : Series by model
        Target scores; its name is the target's.
    chance, ceiling : float
        Target score of guessing, and the best possible. Scores are divided by a ceiling above 1.
    link : {"sigmoid", "sigmoid-floor", "linear", "exp"}
        Form of the law.
    keep : bool
        Use what is otherwise left out as doubtful: target scores far below chance, and columns
        that are an average of others or the target under another name.

    Returns
    -------
    Problem
        Its notes say what was left out.

    Raises
    ------
    FitError
        ``chance`` does not lie between 0 and ``ceiling``, or a target score is outside [0, 1].
    DegenerateError
        As ``make_problem``.

    See Also
    --------
    make_problem : The same from arrays and frames.
    gain_problem : A pair of scores.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import load_reference, target_problem
    >>> table = load_reference().table.select(benchmarks=["MMLU", "ARC-C", "GSM8K"])
    >>> percent = 100 * table.wide()["GSM8K"].rename("GSM8K")
    >>> problem = target_problem(table, percent, ceiling=100)
    >>> problem.name, list(problem.scores.columns)
    ('GSM8K', ['MMLU', 'ARC-C'])

    """
    if not 0 <= chance < ceiling:
        raise FitError(f"chance {chance:g} must lie between 0 and the ceiling, {ceiling:g}")
    name = str(truth.name)
    truth = float_series(truth, name)
    notes = list(table.notes)
    if ceiling > 1:
        truth, chance, ceiling, scale = truth / ceiling, chance / ceiling, 1.0, ceiling
        notes.append(f"{name} was divided by its perfect score, {scale:g}")
    if chance > 0:
        far = is_far_below_chance(truth, chance)
        state = "kept" if keep else "left out (--keep uses it)"
        notes += [
            f"{model}: {name} is {truth[model]:g}, far below chance: {state}"
            for model in truth.index[far]
        ]
        truth = truth if keep else truth.mask(far)
    problem = make_problem(
        table.wide(),
        truth,
        table.models,
        name=name,
        chance=chance,
        ceiling=ceiling,
        link=link,
        benchmark_chance=load_reference().chance_levels,
        keep=keep,
    )
    return replace(problem, notes=(*notes, *problem.notes))


def gain_problem(
    table: ScoreTable,
    before: pd.Series,
    after: pd.Series,
    *,
    link: LinkName = "sigmoid-floor",
    keep: bool = False,
) -> tuple[Problem, Floats]:
    """Join a score table with the base and treated scores of the models that have both.

    Parameters
    ----------
    table : ScoreTable
        Benchmarks of the space, fractions in [0, 1], and facts; benchmarks with the names of the
        two scores are left out of the space.
    before, after : Series by model
        Base and treated scores; their names are the scores'.
    link, keep
        As for ``target_problem``.

    Returns
    -------
    problem : Problem
        The base score as the target; its notes say what was left out.
    treated : (n,) array
        The treated score of the same models.

    Raises
    ------
    DegenerateError
        No model has both scores, or as ``make_problem``.
    FitError
        A treated score is outside [0, 1] or not a number; or as ``make_problem``.

    See Also
    --------
    target_problem : One target.
    fit_gain : Fits the laws.

    Examples
    --------
    >>> from capspace.fit import gain_problem, load_reference
    >>> reference = load_reference()
    >>> table = reference.table.select(benchmarks=["MMLU", "ARC-C", "HellaSwag"])
    >>> targets = reference.table.wide(["gsm8k", "gsm8k-cot"])
    >>> problem, treated = gain_problem(table, targets["gsm8k"], targets["gsm8k-cot"])
    >>> problem, len(treated)
    (Problem(gsm8k: 91 models × 3 benchmarks), 91)

    """
    base, treated = str(before.name), str(after.name)
    before, after = float_series(before, base), float_series(after, treated)
    both = before.index[before.notna() & after.reindex(before.index).notna()]
    if both.empty:
        raise DegenerateError(f"no model has both {base!r} and {treated!r}")
    scores = table.wide()
    for values, name in ((before, base), (after, treated)):
        check_fractions(values[both.intersection(scores.index)], name)
    notes = []
    own = [treated] if treated in scores.columns else []
    if own:
        notes.append(f"{treated} is the treated score and was dropped from the space")
    others = scores.drop(columns=[*own, *(c for c in scores.columns if c == base)])
    odd = same_as_target(others, after[both], treated)
    notes += [f"{c} {'stays in' if keep else 'left out of'} the space: {w}" for c, w in odd.items()]
    problem = make_problem(
        scores,
        before[both],
        table.models,
        name=base,
        drop=[*own, *([] if keep else odd)],
        link=link,
        benchmark_chance=load_reference().chance_levels,
        keep=keep,
    )
    problem = replace(problem, notes=(*table.notes, *problem.notes, *notes))
    return problem, after[problem.truth.index].to_numpy(dtype=float)

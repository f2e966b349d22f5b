"""A problem joins scores, target scores and facts by model, and checks them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._display import counted
from ..errors import DegenerateError, UnknownNameError, check_choice
from ..table.columns import find_averages, same_as_target
from ..table.facts import family_of_each
from ..table.names import spelled_twice
from ..table.numbers import check_fractions, check_unique, float_frame, float_series
from ._form import Form
from ._law import LinkName
from ._refit import LawSettings, Training

__all__ = ["Problem", "check_target", "make_problem"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """A target to predict from benchmark scores.

    Attributes
    ----------
    name : str
    scores : (n × p) DataFrame
        Fractions, NaN where not measured.
    truth : (n,) Series
        Target scores, fractions of the perfect score.
    facts : (n × ...) DataFrame
        family, parameters, training_flops, release_date.
    chance : float
        Target score of guessing, the law's floor; errors are in units of 1 − chance.
    benchmark_chance : (p,) array
    ceiling : float
        Best possible target score.
    link : str
    notes : tuple of str
        What was left out in making it, and why.

    See Also
    --------
    make_problem, target_problem : Make one from tables.
    backtest : Fits and scores a law on one.

    """

    name: str
    scores: pd.DataFrame
    truth: pd.Series
    facts: pd.DataFrame
    benchmark_chance: Array
    chance: float = 0.0
    ceiling: float = 1.0
    link: LinkName = "sigmoid"
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        n, p = self.scores.shape
        return f"Problem({self.name}: {counted(n, 'model')} × {counted(p, 'benchmark')})"

    @property
    def families(self) -> NDArray[np.str_]:
        """Family of each model; one without a known family is its own."""
        return np.array(family_of_each(self.facts), dtype=str)

    def select(self, keep: NDArray[np.bool_]) -> Problem:
        """Return the models of ``keep`` (n,) only."""
        return replace(
            self, scores=self.scores[keep], truth=self.truth[keep], facts=self.facts[keep]
        )

    def settings(self, n_components: int, *, delta: float = np.inf) -> LawSettings:
        """Return how a law of the target's form is fitted; ``delta`` is Huber's δ."""
        form = Form(self.link, self.chance, self.ceiling)
        return LawSettings(n_components=n_components, form=form, delta=delta)

    def training(self, settings: LawSettings) -> Training:
        """Return what a law is fitted on."""
        return Training(
            scores=self.scores.to_numpy(dtype=float),
            target=self.truth.to_numpy(dtype=float),
            families=self.families,
            chance=self.benchmark_chance,
            benchmarks=tuple(map(str, self.scores.columns)),
            settings=settings,
            order=self.facts["training_flops"].to_numpy(dtype=float),
        )


def make_problem(
    scores: pd.DataFrame,
    truth: pd.Series,
    facts: pd.DataFrame,
    *,
    name: str,
    drop: Collection[str] = (),
    chance: float = 0.0,
    ceiling: float = 1.0,
    link: LinkName = "sigmoid",
    benchmark_chance: Mapping[str, float] | None = None,
    keep: bool = False,
) -> Problem:
    """Join scores, a target and facts by model, and check that a law can be fitted.

    Parameters
    ----------
    scores : (n × p) DataFrame
        Benchmark scores by model.
    truth : Series
        Target scores by model, fractions of the perfect score.
    facts : DataFrame
        By model, as in ``ScoreTable.models``.
    name : str
        Of the target; a column of this name is dropped from the space.
    drop : collection of str, default ()
        Benchmarks left out of the space.
    chance, ceiling : float, default 0.0 and 1.0
        Target score of guessing, and the best possible.
    link : str, default "sigmoid"
        Form of the law.
    benchmark_chance : mapping
        Score of guessing of each benchmark; 0 where not given.
    keep : bool, default False
        Keep columns in the space that are the target under another name, or an average of others;
        the notes name them in either case.

    Raises
    ------
    UnknownNameError
        A benchmark to drop is not there.
    DegenerateError
        No model joins, no column is left for the space, or the target does not vary, or lies at
        floor or ceiling throughout.
    FitError
        A score is outside [0, 1] or not a number; a model or benchmark is there twice; or there is
        no such link.

    See Also
    --------
    backtest : How well a law predicts models it has not seen.

    Examples
    --------
    >>> from capspace.fit import load_reference, make_problem
    >>> reference = load_reference()
    >>> truth = reference.table.wide(["bbh"])["bbh"]
    >>> make_problem(reference.scores("base"), truth, reference.table.models, name="bbh")
    Problem(bbh: 75 models × 8 benchmarks)

    """
    check_choice(link, get_args(LinkName), "link")
    notes = []
    for benchmark in drop:
        if benchmark not in scores.columns:
            raise UnknownNameError(
                f"{benchmark!r} is to be dropped but is no benchmark; there are "
                f"{', '.join(map(str, scores.columns))}"
            )
    check_unique(scores.index, "models of the scores")
    check_unique(scores.columns, "benchmarks of the scores")
    check_unique(facts.index, "models of the facts")
    columns = [c for c in scores.columns if c not in set(drop)]
    if name in columns:
        columns.remove(name)
        notes.append(f"{name} is the target and was dropped from the space")
    blank = [c for c in columns if scores[c].isna().all()]
    if blank:
        raise DegenerateError(
            f"benchmark {blank[0]} is missing for every model; drop it from the space"
        )
    known = float_series(truth, name).dropna()
    joined = [m for m in scores.index if m in known.index]
    if not joined:
        raise DegenerateError(
            f"no model of the target {name} is among the models with scores "
            f"(as in {_some(known.index)} against {_some(scores.index)})"
        )
    left = [str(m) for m in known.index if m not in scores.index]
    if left:
        notes.append(f"{len(left)} models have the target but no scores: {', '.join(left)}")
        unused = [str(m) for m in scores.index if m not in known.index]
        notes += [
            f"{model} of the target is {other} in another spelling: give both one name"
            for model, other in spelled_twice(left, unused).items()
        ]
    notes += [
        f"{model} is {other} in another spelling: keep one, or a law is tested on what it saw"
        for model, other in spelled_twice(map(str, joined)).items()
    ]
    x = float_frame(scores.loc[joined, columns])
    for column in columns:
        check_fractions(x[column], str(column))
    empty = x.isna().all(axis=1)
    if empty.any():
        notes.append(f"left out for want of any benchmark: {', '.join(map(str, x.index[empty]))}")
    x = x[~empty]
    y = known.loc[x.index]
    check_fractions(y, name)
    check_target(y, name, chance, ceiling)
    odd = same_as_target(x, y, name)
    odd |= find_averages(x.drop(columns=list(odd)).assign(**{name: y}))
    if name in odd:
        notes.append(f"the target {name} is {odd.pop(name)}: its law is arithmetic")
    state = "stays in" if keep else "left out of"
    notes += [f"{column} {state} the space: {why}" for column, why in odd.items()]
    if not keep:
        columns = [c for c in columns if str(c) not in odd]
        if not columns:
            raise DegenerateError(f"no benchmark is left to predict {name} from; {notes[-1]}")
        x = x[columns]
    levels = benchmark_chance or {}
    return Problem(
        name,
        x,
        y,
        facts.reindex(x.index),
        np.array([levels.get(str(c), 0.0) for c in columns]),
        chance,
        ceiling,
        link,
        tuple(notes),
    )


def check_target(y: pd.Series, name: str, chance: float, ceiling: float) -> None:
    """Raise DegenerateError for a target without the variation that a law needs."""
    if np.ptp(y.to_numpy()) <= 1e-12:
        where = (
            "at the floor"
            if y.iloc[0] <= chance
            else "at the ceiling"
            if y.iloc[0] >= ceiling
            else "constant"
        )
        raise DegenerateError(
            f"{name} is {where} ({y.iloc[0]:g}) for all {len(y)} models to fit on; a law needs "
            "scores that vary"
        )
    if (y <= chance).all():
        raise DegenerateError(
            f"{name} is at or below chance ({chance:g}) for all {len(y)} models to fit on; there "
            "is nothing to fit"
        )
    if (y >= ceiling).all():
        raise DegenerateError(
            f"{name} is at its ceiling ({ceiling:g}) for all {len(y)} models to fit on; there is "
            "nothing to fit"
        )


def _some(names: pd.Index) -> str:
    return ", ".join(map(str, names[:2]))

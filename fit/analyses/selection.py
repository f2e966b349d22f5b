"""Choose which models of a score table to measure first, and say what the choice is worth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._display import frame_html
from .._json import json_dict
from ..errors import DegenerateError, FitError, TableError, check_choice
from ..table._table import ScoreTable
from ..table.cells import as_numbers, as_text, read_cells
from ..table.numbers import float_series
from .budget_curve import BudgetCurve, curve_over_budgets, finite_values
from .criterion import Criterion
from .design import Candidates, Choice, choose_models, random_choices
from .space import Estimator, analyse_space

__all__ = ["Selection", "read_costs", "select_models", "up_to_size"]

Floats = NDArray[np.float64]
Unit = Literal["family", "model"]

_N_RANDOM = 200


@dataclass(frozen=True, eq=False)
class Selection:
    """Models chosen under a budget, beside random ones of the same budget.

    Attributes
    ----------
    choice : Choice
        Its rows count those of ``models``.
    random : tuple of Choice
        Random subsets that fill the budget.
    models : DataFrame by model
        All candidates: ``family``, ``parameters``.
    candidates : Candidates
        Their points, units and costs.
    include, exclude : tuple of str
        Units that had to be chosen, and units that could not be.
    random_state : int
    notes : tuple of str
        What was assumed or left out.

    See Also
    --------
    select_models : Makes one.
    draw_selection : Draws it.

    """

    choice: Choice
    random: tuple[Choice, ...]
    models: pd.DataFrame
    candidates: Candidates
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    random_state: int
    notes: tuple[str, ...]

    @property
    def random_values(self) -> Floats:
        """Criterion of those random subsets that estimate every component."""
        return finite_values(self.random)

    def to_frame(self) -> pd.DataFrame:
        """Return the chosen models: family and number of parameters."""
        return self.models.iloc[list(self.choice.rows)]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values; what is unknown is null."""
        values = self.random_values
        random = None
        if len(values):
            random = {"n": len(self.random), "median": np.median(values), "best": values.min()}
        return json_dict(
            {
                **self.choice.to_dict(),
                "models": list(self.to_frame().index),
                "random": random,
                "notes": self.notes,
            }
        )

    def over_budgets(self) -> BudgetCurve:
        """Return the criterion of chosen and of random subsets at budgets up to this one."""
        return curve_over_budgets(
            self.candidates,
            budget=self.choice.budget,
            criterion=self.choice.criterion,
            include=self.include,
            exclude=self.exclude,
            random_state=self.random_state,
        )

    def __repr__(self) -> str:
        values = self.random_values
        against = f"; random ones: median {np.median(values):.4g}" if len(values) else ""
        return (
            f"Selection({self.choice.n_models} models, cost {self.choice.cost:g} of "
            f"{self.choice.budget:g}, {self.choice.criterion} {self.choice.value:.4g}{against})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)


def select_models(
    table: ScoreTable,
    budget: float,
    *,
    by: Unit = "family",
    costs: pd.Series | None = None,
    criterion: Criterion = "V",
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    n_components: int = 3,
    estimator: Estimator = "pca",
    random_state: int = 0,
) -> Selection:
    """Choose the models from which a law is estimated best under a budget.

    Parameters
    ----------
    table : ScoreTable
        Scores of the candidates, fractions in [0, 1].
    budget : float
        Largest number of models, or largest total of ``costs``.
    by : {"family", "model"}
        What is taken or left as a whole.
    costs : Series by model, optional
        Cost of each, such as GPU-hours; 1 each by default.
    criterion : {"V", "A", "D"}
        Optimality criterion, see ``choose_over_budgets``.
    include, exclude : iterable of str
        Families or models that must be chosen, and that must not.
    n_components : int
        Coordinates of the space.
    estimator : {"factor", "pca"}
        See ``analyse_space``.
    random_state : int
        Seed of the random subsets that the choice is compared with.

    Raises
    ------
    DegenerateError
        No subset within the budget estimates all components.
    TableError
        A candidate has no cost.
    UnknownNameError
        A family or model to include or exclude is not there.
    FitError
        As ``choose_models``.

    See Also
    --------
    choose_models : The search itself, for any candidates.
    draw_budget_curve : Draws the criterion up to the budget.

    References
    ----------
    Ruan et al. 2024, arXiv 2405.10938, section 5.

    Examples
    --------
    >>> from capspace.fit import load_reference, select_models
    >>> table = load_reference().table.select(benchmarks=["MMLU", "ARC-C", "HellaSwag", "GSM8K"])
    >>> result = select_models(table, budget=12, n_components=2, include=["Llama-2"])
    >>> result.choice.n_models, result.choice.units[0]
    (12, 'Llama-2')

    """
    if np.isnan(budget):
        raise FitError("budget is nan; give the largest number of models or total cost")
    check_choice(by, get_args(Unit), "by")
    analysis = analyse_space(table, n_components=n_components, estimator=estimator)
    models = analysis.facts[["parameters"]].copy()
    models.insert(0, "family", analysis.families)
    points = analysis.places.to_numpy()
    candidates = Candidates(
        points - points.mean(axis=0),
        list(models["family"]) if by == "family" else list(map(str, models.index)),
        None if costs is None else _cost_of_each(costs, models.index),
    )
    required, ruled_out = tuple(include), tuple(exclude)
    choice = choose_models(
        candidates, budget=budget, criterion=criterion, include=required, exclude=ruled_out
    )
    random = random_choices(
        candidates,
        budget=budget,
        criterion=criterion,
        n_choices=_N_RANDOM,
        random_state=random_state,
    )
    return Selection(
        choice,
        tuple(random),
        models,
        candidates,
        required,
        ruled_out,
        random_state,
        analysis.notes,
    )


def up_to_size(table: ScoreTable, parameters: float) -> ScoreTable:
    """Return the models of a table that have at most so many parameters.

    Models of unknown size are left out, which the table's notes say.

    Raises
    ------
    DegenerateError
        No model is so small.

    See Also
    --------
    select_models : Takes the table of those that may be chosen.
    by_size : Splits models at a size.

    Examples
    --------
    >>> from capspace.fit import load_reference, up_to_size
    >>> small = up_to_size(load_reference().table, 2e9)
    >>> bool(small.models["parameters"].max() <= 2e9)
    True

    """
    sizes = table.models["parameters"]
    small = sizes <= parameters
    notes = list(table.notes)
    unknown = list(sizes.index[sizes.isna()])
    if unknown:
        notes.append(f"left out, size unknown: {', '.join(map(str, unknown))}")
    if not small.any():
        raise DegenerateError(f"no model has at most {parameters:g} parameters")
    return replace(table.select(models=list(sizes.index[small])), notes=tuple(notes))


def read_costs(path: Path, models: Iterable[str]) -> pd.Series:
    r"""Read the cost of each model from a table with the columns ``model`` and ``cost``.

    Raises
    ------
    TableError
        The table cannot be read, lacks a column, or has no cost of one of ``models``.

    See Also
    --------
    select_models : Takes the costs.

    Examples
    --------
    >>> from pathlib import Path
    >>> from capspace.fit import read_costs
    >>> file = Path("costs.csv")
    >>> _ = file.write_text("model,cost\na,2\nb,0.5\n")
    >>> read_costs(file, ["b", "a"]).to_dict()
    {'a': 2.0, 'b': 0.5}

    """
    try:
        frame = read_cells(path)
        if not {"model", "cost"} <= set(frame.columns):
            raise TableError("costs need the columns model and cost")
        names = as_text(frame["model"])
        cost = as_numbers(frame["cost"], names).set_axis(names)
        cost = cost[~cost.index.duplicated()].dropna()
        _cost_of_each(cost, models)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    return cost


def _cost_of_each(costs: pd.Series, models: Iterable[str]) -> list[float]:
    costs = float_series(costs, "cost")
    names = list(map(str, models))
    lacking = [name for name in names if name not in costs.index]
    if lacking:
        raise TableError(f"no cost of {lacking[0]}")
    return [float(costs[name]) for name in names]

"""The command ``select`` chooses which models to measure first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from . import options as o
from . import tables as t
from .old_names import reading

if TYPE_CHECKING:
    from capspace.fit import Selection

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command(cls=reading(scores="SCORES", budget="--model-budget"))(select)


def select(
    scores: t.Scores,
    budget: Annotated[
        float,
        typer.Option(
            "--model-budget",
            help="Largest number of models or, with --costs, largest total cost.",
        ),
    ],
    by: Annotated[
        Literal["family", "model"],
        typer.Option(help="Choose whole families, or single models."),
    ] = "family",
    max_size: Annotated[
        float | None, typer.Option(help="Choose among models of at most this many parameters.")
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(help="Family or model that must be chosen. May be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(help="Family or model that must not be chosen. May be repeated."),
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns model and cost, such as GPU-hours.",
            show_default="1 per model",
        ),
    ] = None,
    criterion: Annotated[
        Literal["V", "A", "D"],
        typer.Option(
            help="Quantity to minimise: V, the summed variance of the predictions; A, that of the "
            "coefficients; D, the volume of the coefficients' confidence region."
        ),
    ] = "V",
    components: t.Components = 3,
    estimator: t.Estimator = "pca",
    drop: t.Drop = None,
    keep: t.Keep = False,
    seed: t.Seed = 0,
    out: t.Out = None,
    as_json: o.Json = False,
) -> None:
    """Choose the models to measure within a budget, so that a law is estimated best."""
    from capspace.fit import read_costs, select_models, up_to_size

    table = t.read_scores(scores, drop=drop, keep=keep, averages=True)
    if max_size is not None:
        table = up_to_size(table, max_size)
    result = select_models(
        table,
        budget,
        by=by,
        costs=None if costs is None else read_costs(costs, table.models.index),
        criterion=criterion,
        include=include or (),
        exclude=exclude or (),
        n_components=components,
        estimator=estimator,
        random_state=seed,
    )
    if as_json:
        o.print_json(result.to_dict())
    else:
        _print_selection(result)
    if out is not None or not as_json:
        from capspace.fit.figures import draw_budget_curve

        curve = result.over_budgets()
        if not len(curve.budgets):
            t.print_notes(
                ["no figure: no random subset within the budget estimates all components"]
            )
            return
        figure = draw_budget_curve(result, curve)
        t.save_figures({"selection": figure}, out or Path("capspace-report", "select"))


def _print_selection(result: Selection) -> None:
    import numpy as np

    choice, values = result.choice, result.random_values
    o.print_table(
        f"{choice.n_models} models chosen, {choice.criterion}-optimal, by {choice.method} search "
        f"of {choice.n_evaluated:,} subsets",
        ("Model", "Family", "Parameters (B)"),
        [
            (str(model), str(row["family"]), f"{row['parameters'] / 1e9:.3g}")
            for model, row in result.to_frame().iterrows()
        ],
        numbers=("Parameters (B)",),
    )
    if len(values):
        o.console().print(
            f"criterion {choice.value:.4g}; {len(result.random)} random subsets of the same "
            f"budget: median {np.median(values):.4g}, best {values.min():.4g} (lower is better)",
            markup=False,
        )
    t.print_notes(result.notes)

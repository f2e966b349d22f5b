"""Commands on the capability space itself: space, efficiency, select."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from . import options as o
from . import tables as t

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from capspace.fit.space.space import CapabilitySpace
    from capspace.fit.table.table import ScoreTable

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(space)
    app.command()(efficiency)
    app.command()(select)


def space(
    scores: t.Scores,
    components: t.Components = 5,
    estimator: t.Estimator = "factor",
    drop: t.Drop = None,
    keep: t.Keep = False,
    out: t.Out = None,
    as_json: o.Json = False,
) -> None:
    """Fit a capability space: explained variance, loadings, and every model's place."""
    from capspace.fit._json import json_safe
    from capspace.fit.report.words import share

    table = t.read_scores(scores, drop=drop, keep=keep, averages=True)
    wide, fitted, points = _fit(table, components, estimator)
    names = list(map(str, points.columns))
    if as_json:
        o.print_json(
            json_safe(
                {
                    "n_models": len(wide),
                    "missing_cells": int(wide.isna().sum().sum()),
                    "explained_variance_ratio": fitted.explained_variance_ratio_,
                    "benchmarks": list(map(str, wide.columns)),
                    "loadings": fitted.components_,
                    "places": {str(m): row for m, row in points.T.to_dict("list").items()},
                    "notes": table.notes,
                }
            )
        )
    else:
        o.print_table(
            f"{len(wide)} models × {wide.shape[1]} benchmarks, "
            f"{int(wide.isna().sum().sum())} cells missing",
            ("", "Variance", *map(str, wide.columns)),
            [
                (name, share(ratio), *(f"{v:+.2f}" for v in row))
                for name, ratio, row in zip(
                    names, fitted.explained_variance_ratio_, fitted.components_, strict=True
                )
            ],
            numbers=("Variance", *map(str, wide.columns)),
        )
        t.say_notes(table.notes)
    if out is not None or not as_json:
        from capspace.fit.figures import draw_map, draw_space

        figures = {
            "space": draw_space(
                fitted.explained_variance_ratio_, fitted.components_, list(map(str, wide.columns))
            )
        }
        if points.shape[1] > 1:
            figures["map"] = draw_map(
                points.to_numpy(),
                list(t.families_of(table)),
                explained_variance_ratio=fitted.explained_variance_ratio_,
            )
        t.save_figures(figures, out or Path("capspace-report", "space"))


def efficiency(
    scores: t.Scores,
    family: Annotated[
        str, typer.Option(help="Family in whose terms equivalent compute is told.")
    ] = "Llama-2",
    of: Annotated[str, typer.Option(help="PC-1, PC-2, ... or a benchmark.")] = "PC-1",
    scale: Annotated[Literal["flops", "size"], typer.Option(help="Against what.")] = "flops",
    components: t.Components = 3,
    estimator: t.Estimator = "factor",
    drop: t.Drop = None,
    keep: t.Keep = False,
    level: o.Level = 0.9,
    out: t.Out = None,
    as_json: o.Json = False,
) -> None:
    """Fit each family's log-linear law in training compute, and equivalent compute."""
    import numpy as np

    from capspace.fit._json import json_safe
    from capspace.fit.errors import UnknownNameError, near_matches
    from capspace.fit.law.efficiency import fit_efficiency
    from capspace.fit.law.equivalent import equivalent_scale
    from capspace.fit.report.words import flops, score

    table = t.read_scores(scores, drop=drop, keep=keep, averages=True)
    wide, fitted, points = _fit(table, components, estimator)
    columns = {**{str(c): points[c] for c in points}, **{str(c): wide[c] for c in wide}}
    if of not in columns:
        raise UnknownNameError(f"no capability {of!r}{near_matches(of, columns)}")
    capability = columns[of].to_numpy()
    fact = "training_flops" if scale == "flops" else "parameters"
    sizes = table.models[fact].to_numpy(dtype=float)
    families = t.families_of(table)
    laws = fit_efficiency(capability, sizes, list(families), name=of)
    variance: ArrayLike = 0.0
    if of in points:
        i = list(points.columns).index(of)
        variance = fitted.place(wide).covariance[:, i, i]
    same = equivalent_scale(capability, laws.law(family), variance=variance, level=level)
    if as_json:
        o.print_json(
            json_safe(
                {
                    **laws.to_dict(),
                    "scale": scale,
                    "equivalent": {
                        "family": family,
                        "level": level,
                        "models": {
                            str(m): {
                                "scale": sizes[i],
                                "equivalent": same.scale[i],
                                "lower": same.lower[i],
                                "upper": same.upper[i],
                                "inside": bool(same.inside[i]),
                            }
                            for i, m in enumerate(wide.index)
                        },
                    },
                    "notes": table.notes,
                }
            )
        )
    else:
        o.print_table(
            f"{of} = intercept + slope · log10({'FLOPs' if scale == 'flops' else 'parameters'})",
            ("Family", "Models", "Slope", "Intercept", "R²"),
            [
                (name, str(law.n_models), score(law.slope), f"{law.intercept:.2f}", score(law.r2))
                for name, law in laws.laws.items()
            ],
            numbers=("Models", "Slope", "Intercept", "R²"),
        )
        for name, reason in laws.left_out.items():
            o.console().print(f"{name}: no law: {reason}", style="dim", markup=False)
        o.print_table(
            f"\nEquivalent {'training FLOPs' if scale == 'flops' else 'parameters'} in {family} "
            "terms",
            ("Model", "Own", "Equivalent", "Interval", ""),
            [
                (
                    str(wide.index[i]),
                    flops(sizes[i]),
                    flops(same.scale[i]),
                    f"{flops(same.lower[i])} – {flops(same.upper[i])}",
                    "" if same.inside[i] else "beyond the family's range",
                )
                for i in np.argsort(-same.scale)
            ],
            numbers=("Own", "Equivalent", "Interval"),
        )
        t.say_notes(table.notes)
    if out is not None or not as_json:
        from capspace.fit.figures import draw_efficiency

        label = "Training compute (FLOPs)" if scale == "flops" else "Parameters"
        figure = draw_efficiency(laws, capability, sizes, list(families), scale_label=label)
        t.save_figures({"efficiency": figure}, out or Path("capspace-report", "efficiency"))


def select(
    scores: t.Scores,
    budget: Annotated[float, typer.Option(help="Number of models, or the sum of --costs.")],
    by: Annotated[
        Literal["family", "model"], typer.Option(help="What is taken or left as a whole.")
    ] = "family",
    max_size: Annotated[
        float | None, typer.Option(help="Largest number of parameters to choose.")
    ] = None,
    include: Annotated[list[str] | None, typer.Option(help="Must be chosen.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Must not be chosen.")] = None,
    costs: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns model and cost, such as GPU-hours: what the budget is of. "
            "[default: each model costs 1]",
            show_default=False,
        ),
    ] = None,
    criterion: Annotated[Literal["V", "A", "D"], typer.Option(help="Optimality criterion.")] = "V",
    components: t.Components = 3,
    estimator: t.Estimator = "pca",
    drop: t.Drop = None,
    keep: t.Keep = False,
    seed: Annotated[int, typer.Option(help="Of the random subsets it is compared with.")] = 0,
    as_json: o.Json = False,
) -> None:
    """Choose the models from which a law is estimated best under a budget."""
    import numpy as np

    from capspace.fit._json import json_safe
    from capspace.fit.analyses.design import choose_models, random_choices
    from capspace.fit.errors import DegenerateError

    table = t.read_scores(scores, drop=drop, keep=keep, averages=True)
    sizes = table.models["parameters"]
    notes = list(table.notes)
    if max_size is not None:
        small = sizes <= max_size
        unknown = list(sizes.index[sizes.isna()])
        if unknown:
            notes.append(f"left out, size unknown: {', '.join(map(str, unknown))}")
        if not small.any():
            raise DegenerateError(f"no model has at most {max_size:g} parameters")
        table = table.select(models=list(sizes.index[small]))
    _, _, points = _fit(table, components, estimator)
    charges = None if costs is None else _costs(costs, list(map(str, table.models.index)))
    families = t.families_of(table)
    units = list(families) if by == "family" else list(map(str, table.models.index))
    centred = points.to_numpy() - points.to_numpy().mean(axis=0)
    chosen = choose_models(
        centred,
        units=units,
        budget=budget,
        cost=charges,
        criterion=criterion,
        include=include or (),
        exclude=exclude or (),
    )
    random = random_choices(
        centred,
        units=units,
        budget=budget,
        cost=charges,
        criterion=criterion,
        n_choices=200,
        random_state=seed,
    )
    values = np.array([r.value for r in random if np.isfinite(r.value)])
    if as_json:
        o.print_json(
            json_safe(
                {
                    **chosen.to_dict(),
                    "models": [str(table.models.index[i]) for i in chosen.rows],
                    "random": {"n": len(random), "median": np.median(values), "best": values.min()}
                    if len(values)
                    else None,
                    "notes": notes,
                }
            )
        )
        return
    o.print_table(
        f"{len(chosen.rows)} models chosen, {criterion}-optimal, by {chosen.method} search of "
        f"{chosen.n_evaluated:,} subsets",
        ("Model", "Family", "Parameters (B)"),
        [
            (
                str(table.models.index[i]),
                str(families[i]),
                f"{table.models['parameters'].iloc[i] / 1e9:.3g}",
            )
            for i in chosen.rows
        ],
        numbers=("Parameters (B)",),
    )
    if len(values):
        o.console().print(
            f"criterion {chosen.value:.4g}; 200 random subsets of the same budget: median "
            f"{np.median(values):.4g}, best {values.min():.4g} (lower is better)",
            markup=False,
        )
    t.say_notes(notes)


def _costs(path: Path, models: list[str]) -> list[float]:
    """Return the cost of each model, from a CSV with the columns model and cost."""
    from capspace.fit.errors import TableError
    from capspace.fit.table.cells import as_numbers, as_text, read_cells

    try:
        frame = read_cells(path)
        if not {"model", "cost"} <= set(frame.columns):
            raise TableError("costs need the columns model and cost")
        names = as_text(frame["model"])
        cost = as_numbers(frame["cost"], names).set_axis(names)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    cost = cost[~cost.index.duplicated()].dropna()
    lacking = [m for m in models if m not in cost.index]
    if lacking:
        raise TableError(f"{path}: no cost of {lacking[0]}")
    return [float(cost[m]) for m in models]


def _fit(
    table: ScoreTable, components: int, estimator: Literal["factor", "pca"]
) -> tuple[pd.DataFrame, CapabilitySpace, pd.DataFrame]:
    """Return the scores of the models that have any, the space fitted on them, their places."""
    import pandas as pd

    from capspace.fit.space.space import CapabilitySpace

    wide = table.wide()
    wide = wide[wide.notna().any(axis=1)]
    clip = (0.0, 1.0) if estimator == "pca" else None
    fitted = CapabilitySpace(n_components=components, estimator=estimator, clip=clip).fit(wide)
    if fitted.n_components_ < components:
        size = f"{len(wide)} models × {wide.shape[1]} benchmarks"
        t.say_notes([f"{fitted.n_components_} components, not {components}: {size} have no more"])
    columns = [f"PC-{i + 1}" for i in range(fitted.n_components_)]
    return wide, fitted, pd.DataFrame(fitted.transform(wide), wide.index, columns)

"""The commands ``space`` and ``efficiency`` show the capability space itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from . import options as o
from . import tables as t
from .old_names import reading

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command(cls=reading(scores="SCORES"))(space)
    app.command(cls=reading(scores="SCORES", family="--reference-family"))(efficiency)


def space(
    scores: t.Scores,
    components: t.Components = 5,
    estimator: t.Estimator = "factor",
    drop: t.Drop = None,
    keep: t.Keep = False,
    out: t.Out = None,
    as_json: o.Json = False,
) -> None:
    """Fit a capability space; show explained variance, loadings and the models' coordinates."""
    from capspace.fit import analyse_space
    from capspace.fit.report.words import share

    table = t.read_scores(scores, drop=drop, keep=keep, averages=True)
    result = analyse_space(table, n_components=components, estimator=estimator)
    benchmarks = [str(b) for b in result.scores.columns]
    ratios = result.space.explained_variance_ratio_
    if as_json:
        o.print_json(result.to_dict())
    else:
        o.print_table(
            f"{len(result.scores)} models × {len(benchmarks)} benchmarks, "
            f"{result.n_missing} cells missing",
            ("", "Variance", *benchmarks),
            [
                (str(name), share(ratio), *(f"{v:+.2f}" for v in row))
                for (name, row), ratio in zip(result.loadings.iterrows(), ratios, strict=True)
            ],
            numbers=("Variance", *benchmarks),
        )
        for component, name in zip(result.places.columns, result.names, strict=True):
            o.console().print(f"{component}: {name}", markup=False)
        t.print_notes(result.notes)
    if out is not None or not as_json:
        from capspace.fit.figures import draw_map, draw_space

        figures = {"space": draw_space(ratios, result.space.components_, benchmarks)}
        if result.places.shape[1] > 1:
            figures["map"] = draw_map(
                result.places.to_numpy(), result.families, explained_variance_ratio=ratios
            )
        t.save_figures(figures, out or Path("capspace-report", "space"))


def efficiency(
    scores: t.Scores,
    reference_family: Annotated[
        str,
        typer.Option(
            help="Family whose law converts every model's capability into equivalent compute."
        ),
    ] = "Llama-2",
    of: Annotated[
        str, typer.Option(help="Capability to fit: PC-1, PC-2, ... or a benchmark.")
    ] = "PC-1",
    scale: Annotated[
        Literal["flops", "size"],
        typer.Option(help="Fit against training FLOPs, or against the number of parameters."),
    ] = "flops",
    components: t.Components = 3,
    estimator: t.Estimator = "factor",
    drop: t.Drop = None,
    keep: t.Keep = False,
    level: o.Level = 0.9,
    out: t.Out = None,
    as_json: o.Json = False,
) -> None:
    """Fit each family's capability to its compute, and show each model's equivalent compute."""
    from capspace.fit import analyse_efficiency
    from capspace.fit.report.words import flops, score

    table = t.read_scores(scores, drop=drop, keep=keep, averages=True)
    result = analyse_efficiency(
        table,
        capability=of,
        scale=scale,
        family=reference_family,
        n_components=components,
        estimator=estimator,
        level=level,
    )
    if as_json:
        o.print_json(result.to_dict())
    else:
        laws = result.laws
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
        rows = result.to_frame().sort_values("equivalent", ascending=False, kind="stable")
        o.console().print()
        o.print_table(
            f"Equivalent {'training FLOPs' if scale == 'flops' else 'parameters'} in "
            f"{reference_family} terms",
            ("Model", "Own", "Equivalent", "Interval", ""),
            [
                (
                    str(model),
                    flops(row["scale"]),
                    flops(row["equivalent"]),
                    f"{flops(row['lower'])} – {flops(row['upper'])}",
                    "" if row["inside"] else "beyond the family's range",
                )
                for model, row in rows.iterrows()
            ],
            numbers=("Own", "Equivalent", "Interval"),
        )
        t.print_notes(result.notes)
    if out is not None or not as_json:
        from capspace.fit.figures import draw_efficiency

        models = result.models
        figure = draw_efficiency(
            result.laws,
            models["capability"],
            models["scale"],
            list(models["family"]),
            scale_label="Training compute (FLOPs)" if scale == "flops" else "Parameters",
        )
        t.save_figures({"efficiency": figure}, out or Path("capspace-report", "efficiency"))

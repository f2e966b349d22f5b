"""Commands on interventions and on the study itself: gain, reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import options as o
from . import tables as t

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(gain)
    app.command()(reproduce)


def gain(
    scores: t.Scores,
    target_scores: Annotated[Path, typer.Option(help="Base and treated scores by model.")],
    base: Annotated[str, typer.Option(help="Column of the score without the intervention.")],
    treated: Annotated[str, typer.Option(help="Column of the score with it.")],
    components: t.Components = 3,
    drop: t.Drop = None,
    keep: t.Keep = False,
    link: t.Link = "sigmoid-floor",
    cutoff_flops: Annotated[
        float | None, typer.Option(help="Fit on models of at most these FLOPs.")
    ] = None,
    level: o.Level = 0.9,
    as_json: o.Json = False,
) -> None:
    """Predict what an intervention gains (chain of thought, self-consistency) by capability."""
    import numpy as np

    from capspace.fit._json import json_safe
    from capspace.fit.analyses.gain import fit_gain, gain_problem
    from capspace.fit.errors import DegenerateError
    from capspace.fit.reference import load_reference
    from capspace.fit.report.words import score

    table = t.read_scores(scores, drop=drop, keep=keep)
    problem, after = gain_problem(
        table.wide(),
        t.read_target(target_scores, base),
        t.read_target(target_scores, treated),
        table.models,
        base=base,
        treated=treated,
        link=link,
        benchmark_chance=t.chance_of(table.benchmarks, load_reference()),
        keep=keep,
    )
    flops = problem.facts["training_flops"]
    fits = np.ones(len(flops), bool) if cutoff_flops is None else (flops <= cutoff_flops).to_numpy()
    shown = fits if cutoff_flops is None else ~fits
    if not (fits.any() and shown.any()):
        side = "to fit on has" if shown.any() else "above --cutoff-flops has"
        raise DegenerateError(f"no model {side} both {base!r} and {treated!r}")
    fitted = fit_gain(problem.select(fits).training(problem.settings(components)), after[fits])
    predicted = fitted.predict(problem.scores[shown].to_numpy(), level=level)
    truth = (after - problem.truth.to_numpy())[shown]
    inside = (predicted.lower <= truth) & (truth <= predicted.upper)
    rows: list[dict[str, Any]] = [
        {
            "model": str(model),
            "base": float(predicted.base[i]),
            "treated": float(predicted.treated[i]),
            "gain": float(predicted.mean[i]),
            "lower": float(predicted.lower[i]),
            "upper": float(predicted.upper[i]),
            "measured_gain": float(truth[i]),
        }
        for i, model in enumerate(problem.scores.index[shown])
    ]
    side = "fitted" if cutoff_flops is None else "test"
    if as_json:
        o.print_json(
            json_safe(
                {
                    "n_train": fitted.n_models,
                    "side": side,
                    "level": level,
                    "coverage": float(inside.mean()),
                    "weights": fitted.weights.to_dict("index"),
                    "models": rows,
                    "notes": [*table.notes, *problem.notes],
                }
            )
        )
        return
    o.print_table(
        f"Gain of {treated} over {base}, {side} models; laws fitted on {fitted.n_models}",
        ("Model", "Base", "Treated", "Gain", "Interval", "Measured"),
        [
            (
                str(r["model"]),
                score(r["base"]),
                score(r["treated"]),
                score(r["gain"]),
                f"{score(r['lower'])} – {score(r['upper'])}",
                score(r["measured_gain"]),
            )
            for r in sorted(rows, key=lambda r: -r["gain"])
        ],
        numbers=("Base", "Treated", "Gain", "Interval", "Measured"),
    )
    o.print_table(
        "What drives it: weight of each benchmark, logits per unit of score",
        ("Law", *fitted.weights.columns),
        [
            (str(name), *(f"{v:+.2f}" for v in row))
            for name, row in zip(("base", "treated"), fitted.weights.to_numpy(), strict=True)
        ],
        numbers=tuple(fitted.weights.columns),
    )
    t.say_notes([*table.notes, *problem.notes])


def reproduce(
    data: Annotated[Path, typer.Option(help="Folder with the study's tables.")],
    out: Annotated[Path, typer.Option(help="Folder for the page, figures and numbers.")],
    expected: Annotated[
        Path | None,
        typer.Option(help="JSON of the numbers of the study's own code. [default: a summary "
                     "that comes with capspace]", show_default=False),
    ] = None,
) -> None:  # fmt: skip
    """Run every analysis of the study on its own tables, and set ours beside its numbers."""
    from capspace.fit.studies.ruan2024 import reproduce as run

    err = o.console(stderr=True)
    found = run(data, out, expected=expected, progress=lambda step: err.print(step, style="dim"))
    for line in found.summary():
        o.console().print(line, markup=False)
    o.console().print(f"page: {found.page}\nnumbers: {found.table}", markup=False)

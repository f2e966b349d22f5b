"""The command ``gain`` predicts interventions, and ``reproduce`` reproduces the study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options as o
from . import tables as t
from .old_names import reading

if TYPE_CHECKING:
    from capspace.fit import GainAnalysis
    from capspace.fit.studies.ruan2024 import Reproduction

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command(cls=reading(scores="SCORES"))(gain)
    app.command(cls=reading(data="TABLES"))(reproduce)


def gain(
    scores: t.Scores,
    base: Annotated[str, t.base_column()],
    treated: Annotated[str, t.treated_column()],
    target_scores: t.TargetScores = None,
    components: t.Components = 3,
    drop: t.Drop = None,
    keep: t.Keep = False,
    link: t.Link = "sigmoid-floor",
    cutoff_flops: t.CutoffFlops = None,
    level: o.Level = 0.9,
    out: t.Out = None,
    as_json: o.Json = False,
) -> None:
    """Predict the gain of an intervention, such as chain of thought or self-consistency."""
    from capspace.fit import analyse_gain
    from capspace.fit.table.readers import read_table

    table = t.read_scores(scores, drop=drop, keep=keep)
    source = scores if target_scores is None else target_scores
    targets = read_table(source)
    result = analyse_gain(
        table,
        t.target_column(targets, base, source),
        t.target_column(targets, treated, source),
        n_components=components,
        link=link,
        cutoff_flops=cutoff_flops,
        level=level,
        keep=keep,
    )
    if as_json:
        o.print_json(result.to_dict())
    else:
        _print_gain(result)
    if out is not None or not as_json:
        from capspace.fit.figures import draw_gain_analysis, draw_weights

        figures = {
            "gain": draw_gain_analysis(result, result.curves()),
            "weights": draw_weights(result.fit.weights),
        }
        t.save_figures(figures, out or Path("capspace-report", "gain"))


def _print_gain(result: GainAnalysis) -> None:
    from capspace.fit.report.words import score

    weights = result.fit.weights
    o.print_table(
        f"Gain of {result.treated} over {result.base}, {result.side} models; laws fitted on "
        f"{result.fit.n_models}",
        ("Model", "Base", "Treated", "Gain", "Interval", "Measured"),
        [
            (
                str(model),
                score(r["base"]),
                score(r["treated"]),
                score(r["gain"]),
                f"{score(r['lower'])} – {score(r['upper'])}",
                score(r["measured_gain"]),
            )
            for model, r in result.to_frame()
            .sort_values("gain", ascending=False, kind="stable")
            .iterrows()
        ],
        numbers=("Base", "Treated", "Gain", "Interval", "Measured"),
    )
    o.print_table(
        "What drives it: weight of each benchmark, logits per unit of score",
        ("Law", *weights.columns),
        [
            (str(name), *(f"{v:+.2f}" for v in row))
            for name, row in zip(weights.index, weights.to_numpy(), strict=True)
        ],
        numbers=tuple(weights.columns),
    )
    t.print_notes(result.notes)


def reproduce(
    tables: Annotated[
        Path, typer.Argument(metavar="TABLES", help="Folder with the study's tables.")
    ],
    out: Annotated[Path, o.out()],
    expected: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with the numbers of the study's own code.",
            show_default="a summary that comes with capspace",
        ),
    ] = None,
    as_json: o.Json = False,
) -> None:
    """Run every analysis of the study (arXiv 2405.10938) on its tables, and compare the numbers.

    --out receives a page with figures, and the numbers.
    """
    from capspace.fit.studies.ruan2024 import reproduce as run

    err = o.console(stderr=True)
    done = run(tables, out, expected=expected, progress=lambda step: err.print(step, style="dim"))
    _print_reproduction(done, as_json=as_json)


def _print_reproduction(done: Reproduction, *, as_json: bool) -> None:
    """Print how many numbers are the study's, and where all of them are."""
    if as_json:
        o.print_json(done.to_dict())
        return
    for line in done.summary():
        o.console().print(line, markup=False)
    o.console().print(f"page: {done.page}", markup=False)
    o.console().print(f"numbers: {done.table}", markup=False)

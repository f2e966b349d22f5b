"""The command ``compare`` says which of two models would score higher on a target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options as o
from . import tables as t

if TYPE_CHECKING:
    from capspace.fit import Comparison

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(compare)


def compare(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="SCORES",
            help="Benchmark scores of the models: a CSV or Parquet table with a row per model, or "
            "a row per score, or the folder of a store. The columns family, release_date and mode "
            "describe a model.",
        ),
    ],
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODELS", help="Models of the table to compare.", show_default="all of them"
        ),
    ] = None,
    target: o.Targets = None,
    reference: o.Reference = None,
    release_date: o.ReleaseDate = None,
    keep: t.Keep = False,
    force: t.Force = False,
    as_json: o.Json = False,
) -> None:
    """Show how probable it is that one model scores above another, for each target."""
    from capspace.fit import compare_models

    from .chosen_reference import reference_dict, scores_and_reference
    from .predict import benchmarks_of
    from .store_scores import readable_table

    with readable_table(file) as path:
        table, known, reason = scores_and_reference(path, reference, target)
    own = benchmarks_of(table, known, file, keep)
    today = o.last_day_of(release_date)
    result = compare_models(
        own, known, models=models or None, targets=target, keep=True, force=force, today=today
    )
    about = reference_dict(known, reason)
    notes = [*t.own_dates(own, release_date), *own.notes, *result.notes]
    if as_json:
        o.print_json({"reference": about, **result.to_dict(), "notes": notes})
        return
    o.console().print(about["reason"], style="dim", markup=False)
    _print_comparison(result)
    t.print_notes(notes)
    if about["attribution"]:
        o.console().print(about["attribution"], style="dim", markup=False)


def _print_comparison(result: Comparison) -> None:
    for first, second in dict.fromkeys((p.first, p.second) for p in result.pairs):
        own = [p for p in result.pairs if (p.first, p.second) == (first, second)]
        o.print_table(
            f"{first} (A) and {second} (B)",
            ("Target", "Status", "A above B", "Predicted difference", "With its score"),
            [
                (
                    p.label,
                    p.status or "not back-tested",
                    _probability(p.probability),
                    f"{p.difference:+.3f}",
                    f"{p.n_models} models",
                )
                for p in own
            ],
            numbers=("A above B", "Predicted difference"),
        )
    reasons: dict[tuple[str, str], list[str]] = {}
    for target, about in {p.target: (p.status, p.reason) for p in result.pairs if p.reason}.items():
        reasons.setdefault(about, []).append(target)
    for (status, reason), targets in reasons.items():
        o.console().print(f"{status}: {', '.join(targets)}: {reason}", markup=False)
    groups: dict[str, list[str]] = {}
    for target, reason in result.uncompared.items():
        groups.setdefault(reason, []).append(target)
    for reason, targets in groups.items():
        o.console().print(f"not compared: {', '.join(targets)}: {reason}", markup=False)


def _probability(p: float) -> str:
    """Return a probability in percent; none is 0 or 1."""
    from capspace.fit.report.words import share

    return "< 1%" if p < 0.01 else "> 99%" if p > 0.99 else share(p)

"""The command ``compare`` says which of two models would score higher on a target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options as o
from . import tables as t
from .predict import benchmarks_of

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
            "a row per score. Errors of models of one family correlate: a column family names it.",
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
    keep: t.Keep = False,
    as_json: o.Json = False,
) -> None:
    """Say how probable it is that one model scores above another on each target."""
    from capspace.fit import compare_models, load_reference
    from capspace.fit.table.facts import family_of_each
    from capspace.fit.table.readers import read_table

    known = load_reference(reference)
    table = read_table(file, benchmarks=[*known.benchmarks, *known.targets])
    own = benchmarks_of(table, known, file, keep)
    result = compare_models(
        own.wide(),
        known,
        models=models or None,
        targets=target,
        families=dict(zip(own.models.index, family_of_each(own.models), strict=True)),
        stderr=own.wide(value="stderr"),
        keep=True,
    )
    if as_json:
        document = result.to_dict()
        o.print_json({**document, "notes": [*document["notes"], *own.notes]})
        return
    _print_comparison(result)
    t.print_notes([*result.notes, *own.notes])


def _probability(p: float) -> str:
    """Return a probability in percent; none is 0 or 1."""
    from capspace.fit.report.words import share

    return "< 1%" if p < 0.01 else "> 99%" if p > 0.99 else share(p)


def _print_comparison(result: Comparison) -> None:
    for first, second in dict.fromkeys((p.first, p.second) for p in result.pairs):
        o.print_table(
            f"{first} (A) and {second} (B)",
            ("Target", "A above B", "Predicted difference", "Fitted on"),
            [
                (
                    p.label,
                    _probability(p.probability),
                    f"{p.difference:+.3f}",
                    f"{p.n_models} models",
                )
                for p in result.pairs
                if (p.first, p.second) == (first, second)
            ],
            numbers=("A above B", "Predicted difference"),
        )
    for target, reason in result.uncompared.items():
        o.console().print(f"{target}: not compared: {reason}", markup=False)

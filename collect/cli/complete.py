"""The command ``complete`` fills the gaps of a table of scores, each with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options as o

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(complete)


def complete(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="SCORES",
            help="Scores of the models on any benchmarks and targets of the reference: a CSV or "
            "Parquet table with a row per model, or a row per score. Columns release_date and "
            "mode (plain, chat, thinking) say when a model was released and how it answered.",
        ),
    ],
    level: o.Level = 0.9,
    reference: o.Reference = None,
    release_date: o.ReleaseDate = None,
    as_json: o.Json = False,
    csv: Annotated[
        Path | None,
        typer.Option(help="Also write every cell to this CSV file, the known ones included."),
    ] = None,
) -> None:
    """Fill the gaps of a sparse table from all its known scores, without torch."""
    from capspace.fit.prediction import complete_table

    from . import tables as t
    from .chosen_reference import reference_dict, scores_and_reference
    from .predict import write_csv

    table, known, reason = scores_and_reference(file, reference, None)
    today = o.last_day_of(release_date)
    filled = complete_table(table.require_fractions(), known, level=level, today=today)
    about = reference_dict(known, reason)
    if csv is not None:
        write_csv(filled, csv)
    if as_json:
        records = filled.to_dict("records")
        o.print_json({"reference": about, "level": level, "cells": records, "notes": table.notes})
        return
    o.console().print(about["reason"], style="dim", markup=False)
    for model, cells in filled[~filled["known"]].groupby("model", sort=False):
        o.print_table(
            f"{model}: scores that are missing",
            ("Name", "Score", f"{level:.0%} interval", "Back-test"),
            [
                (
                    c["benchmark"],
                    f"{c['score']:.3f}",
                    f"{c['lower']:.3f} – {c['upper']:.3f}",
                    c["status"],
                )
                for c in cells.to_dict("records")
            ],
            numbers=("Score", f"{level:.0%} interval"),
        )
    t.print_notes(table.notes)
    o.console().print(about["attribution"], style="dim", markup=False)

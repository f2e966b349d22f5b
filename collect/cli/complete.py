"""The command ``complete`` fills the gaps of a table of scores, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from . import options as o
from . import tables as t

__all__ = ["add_to"]

_MOST_NAMES = 12
_NO_NUMBER = "no number for {}"


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(complete)


def complete(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="SCORES",
            help="Scores of the models on any benchmarks and targets of the reference: a CSV or "
            "Parquet table with a row per model, or a row per score, or the folder of a store. The "
            "columns release_date and mode (plain, chat, thinking) describe a model.",
        ),
    ],
    level: o.Level = 0.9,
    reference: o.Reference = None,
    release_date: o.ReleaseDate = None,
    force: t.Force = False,
    as_json: o.Json = False,
    csv: o.Csv = None,
) -> None:
    """Fill the gaps of a sparse table from all its known scores, without torch.

    Numbers are refused by the same rules as in predict. A model's own later scores are never used:
    rows dated after their cut (columns date and cut) are left out, and so are the reference's
    scores of the same model. For targets, trust predict, whose intervals are better calibrated;
    complete also fills columns that predict does not, such as cheap benchmarks. --csv writes every
    cell, including the known ones.
    """
    from capspace.fit.prediction import complete_table

    from .chosen_reference import reference_dict, scores_and_reference
    from .predict import write_csv
    from .store_scores import readable_table
    from .two_estimators import TRUSTED

    with readable_table(file) as path:
        table, known, reason = scores_and_reference(path, reference, None)
    today = o.last_day_of(release_date)
    own = table.require_fractions()
    filled = complete_table(own, known, level=level, force=force, today=today)
    has_targets = (filled["score"].notna() & ~filled["known"] & (filled["status"] != "")).any()
    both = [TRUSTED] if has_targets else []
    bare = t.without_scores(own, filled["model"])
    notes = [
        *(*t.own_dates(own, release_date), *bare, *table.notes),
        *(*filled.attrs["notes"], *both),
    ]
    about = reference_dict(known, reason)
    if csv is not None:
        write_csv(filled, csv)
    if as_json:
        records = filled.to_dict("records")
        o.print_json({"reference": about, "level": level, "cells": records, "notes": notes})
        return
    o.console().print(about["reason"], style="dim", markup=False)
    for model, cells in filled[~filled["known"]].groupby("model", sort=False):
        named = [{str(k): v for k, v in c.items()} for c in cells.to_dict("records")]
        _print_cells(str(model), named, level)
    t.print_notes(notes)
    o.console().print(about["attribution"], style="dim", markup=False)


def _print_cells(model: str, cells: Sequence[dict[str, Any]], level: float) -> None:
    """Print the missing cells of a model: numbers, and reasons against them or instead of them."""
    shown = [c for c in cells if math.isfinite(c["score"])]
    if shown:
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
                for c in shown
            ],
            numbers=("Score", f"{level:.0%} interval"),
        )
    groups: dict[tuple[str, str], list[str]] = {}
    for c in cells:
        has_number = math.isfinite(c["score"])
        is_forced = c["gate"] or c["status"] == "refused"
        label = ("shown by --force" if is_forced else c["status"]) if has_number else _NO_NUMBER
        if reason := c["gate"] or c["reason"]:
            groups.setdefault((label, reason), []).append(c["benchmark"])
    ordered = sorted(groups.items(), key=lambda group: group[0][0] == _NO_NUMBER)
    for (label, reason), names in ordered:
        listed = ", ".join(names) if len(names) <= _MOST_NAMES else f"{len(names)} columns"
        o.console().print(f"{label.replace('{}', model)}: {listed}: {reason}", markup=False)
    o.console().print()

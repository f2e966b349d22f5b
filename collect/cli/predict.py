"""The command ``predict`` uses scores that exist already, without torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as o
from . import tables as t

if TYPE_CHECKING:
    import pandas as pd

    from capspace.fit.prediction import Prediction
    from capspace.fit.reference import Reference
    from capspace.fit.table import ScoreTable

__all__ = ["add_to", "benchmarks_of", "write_csv"]


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(predict)


def predict(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="SCORES",
            help="Benchmark scores of the models to predict: a CSV or Parquet table with a row per "
            "model, or a row per score. Columns release_date and mode (plain, chat, thinking) "
            "say when a model was released, today by default, and how it answered.",
        ),
    ],
    target: o.Targets = None,
    level: o.Level = 0.9,
    reference: o.Reference = None,
    keep: t.Keep = False,
    force: Annotated[
        bool,
        typer.Option(
            help="Also give the numbers that a gate or a back-test refuses, beside the reason."
        ),
    ] = False,
    as_json: o.Json = False,
    csv: Annotated[
        Path | None, typer.Option(help="Also write the predictions to this CSV file.")
    ] = None,
) -> None:
    """Predict the scores that were not measured from those that were, without torch."""
    from .chosen_reference import reference_dict, scores_and_reference

    table, known, reason = scores_and_reference(file, reference, target)
    own = benchmarks_of(table, known, file, keep)
    notes = [*_not_comparable(own, known), *own.notes, *_left_out(table, known)]
    about = reference_dict(known, reason)
    if known.laws is None:
        _by_fitted_laws(own, known, target, level, as_json, csv, about, notes)
    else:
        _by_stored_laws(own, known, target, level, force, as_json, csv, about, notes)


def _by_stored_laws(
    own: ScoreTable,
    reference: Reference,
    targets: list[str] | None,
    level: float,
    force: bool,
    as_json: bool,
    csv: Path | None,
    about: dict[str, Any],
    notes: list[str],
) -> None:
    """Predict by laws that lie beside the reference, with the baselines."""
    from capspace.fit.prediction import predict_targets

    from .target_tables import print_target_predictions, target_frame

    predictions = predict_targets(own, reference, targets=targets, level=level, force=force)
    if csv is not None:
        write_csv(target_frame(predictions), csv)
    if as_json:
        documents = [p.to_dict() for p in predictions]
        o.print_json({"reference": about, "predictions": documents, "skipped": [], "notes": notes})
        return
    o.console().print(about["reason"], style="dim", markup=False)
    print_target_predictions(predictions, all_shown=bool(targets))
    _print_notes([line for p in predictions for line in p.notes], notes)
    o.console().print(about["attribution"], style="dim", markup=False)


def _by_fitted_laws(
    own: ScoreTable,
    reference: Reference,
    targets: list[str] | None,
    level: float,
    as_json: bool,
    csv: Path | None,
    about: dict[str, Any],
    notes: list[str],
) -> None:
    """Predict by a law that is fitted to each target now."""
    from capspace.fit.errors import DegenerateError
    from capspace.fit.prediction import Predictions, TargetLaw

    from .show import print_predictions

    wide, stderr = own.wide(), own.wide(value="stderr")
    predictions: list[Prediction] = []
    skipped: list[str] = []
    for chosen in [reference.target(name) for name in (targets or reference.targets)]:
        usable = set(reference.space_benchmarks(chosen)) & set(wide.columns[wide.notna().any()])
        if not usable and not targets:
            skipped.append(f"{chosen.label}: none of its benchmarks is in the table")
            continue
        try:
            law = TargetLaw(chosen).fit(reference)
            made = law.predict(wide, level=level, stderr=stderr, keep=True)
        except DegenerateError as error:
            skipped.append(f"{chosen.label}: {error}")
            continue
        predictions += [p for p in made if not math.isnan(p.mean)]
    if csv is not None:
        write_csv(Predictions(predictions).to_frame(), csv)
    if as_json:
        documents = [p.to_dict() for p in predictions]
        o.print_json(
            {"reference": about, "predictions": documents, "skipped": skipped, "notes": notes}
        )
        return
    o.console().print(about["reason"], style="dim", markup=False)
    for model in wide.index:
        rows = [p for p in predictions if p.model == model]
        print_predictions(str(model), rows)
        inferred = sorted({b for p in rows for b in p.missing})
        if inferred:
            o.console().print(
                f"inferred from the other benchmarks: {', '.join(inferred)}", markup=False
            )
        _print_notes([note for p in rows for note in p.notes], [])
    _print_notes(skipped, notes)


def _print_notes(lines: list[str], warnings: list[str]) -> None:
    for line in dict.fromkeys(lines):
        o.console().print(line, markup=False)
    for line in warnings:
        o.console().print(line, style="yellow", markup=False)


def _not_comparable(table: ScoreTable, reference: Reference) -> list[str]:
    from capspace.fit.table.comparable import not_comparable, not_comparable_note

    marked = not_comparable(table, reference.table)
    return [f"{model}: {not_comparable_note(names)}" for model, names in marked.items()]


def _left_out(table: ScoreTable, reference: Reference) -> list[str]:
    """Return a note on benchmarks that only other packaged references know."""
    known = {*reference.benchmarks, *reference.targets}
    others = [b for b in table.benchmarks if b not in known]
    name = reference.name or "the reference"
    return [f"left out, as {name} does not know them: {', '.join(others)}"] if others else []


def benchmarks_of(table: ScoreTable, reference: Reference, file: Path, keep: bool) -> ScoreTable:
    """Return the usable scores of the reference's benchmarks."""
    from capspace.fit.errors import TableError

    known = [b for b in reference.benchmarks if b in table.benchmarks]
    if not known:
        raise TableError(
            f"{file}: no known benchmark; predictions start from {', '.join(reference.benchmarks)}"
        )
    own = table.select(benchmarks=known).require_fractions()
    usable = t.without_doubtful(own, keep=keep, chance=reference.chance_levels)
    if not usable.benchmarks:
        raise TableError(f"{file}: no score is left to predict from; {'; '.join(usable.notes)}")
    return usable


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all, or say in a line why it cannot be written."""
    from capspace.fit._files import write_whole
    from capspace.fit.errors import FitError

    try:
        write_whole(path, frame.to_csv(index=False))
    except OSError as error:
        raise FitError(f"cannot write {path}: {error.strerror or error}") from None

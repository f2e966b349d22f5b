"""The commands ``predict``, ``targets`` and ``models`` use scores that exist already."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options as o
from . import tables as t

if TYPE_CHECKING:
    from capspace.fit.prediction import Prediction, Predictions
    from capspace.fit.reference import Reference, Target
    from capspace.fit.table import ScoreTable

__all__ = ["add_to", "benchmarks_of"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(predict)
    app.command()(targets)
    app.command()(models)


def predict(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="SCORES",
            help="Benchmark scores of the models to predict: a CSV or Parquet table with a row per "
            "model, or a row per score.",
        ),
    ],
    target: o.Targets = None,
    level: o.Level = 0.9,
    reference: o.Reference = None,
    keep: t.Keep = False,
    as_json: o.Json = False,
    csv: Annotated[
        Path | None, typer.Option(help="Also write the predictions to this CSV file.")
    ] = None,
) -> None:
    """Predict the scores that were not measured from those that were, without torch."""
    from capspace.fit import Predictions, TargetLaw
    from capspace.fit.reference import load_reference
    from capspace.fit.table.readers import read_table

    from .show import print_predictions

    known = load_reference(reference)
    chosen_targets = [known.target(name) for name in (target or known.targets)]
    table = read_table(file, benchmarks=[*known.benchmarks, *known.targets])
    own = benchmarks_of(table, known, file, keep)
    wide, stderr = own.wide(), own.wide(value="stderr")
    notes = [*_not_comparable(own, known), *own.notes]
    predictions: list[Prediction] = []
    skipped: list[str] = []
    for chosen in chosen_targets:
        usable = set(known.space_benchmarks(chosen)) & set(wide.columns[wide.notna().any()])
        if not usable and not target:
            skipped.append(f"{chosen.label}: none of its benchmarks is in the table")
            continue
        law = TargetLaw(chosen).fit(known)
        made = law.predict(wide, level=level, stderr=stderr, keep=True)
        predictions += [p for p in made if not math.isnan(p.mean)]
    if csv is not None:
        _write_csv(Predictions(predictions), csv)
    if as_json:
        o.print_json(
            {"predictions": [p.to_dict() for p in predictions], "skipped": skipped, "notes": notes}
        )
        return
    for model in wide.index:
        rows = [p for p in predictions if p.model == model]
        print_predictions(str(model), rows)
        inferred = sorted({b for p in rows for b in p.missing})
        if inferred:
            o.console().print(
                f"inferred from the other benchmarks: {', '.join(inferred)}", markup=False
            )
        for line in dict.fromkeys(note for p in rows for note in p.notes):
            o.console().print(line, markup=False)
    for line in skipped:
        o.console().print(line, markup=False)
    for line in notes:
        o.console().print(line, style="yellow", markup=False)


def _not_comparable(table: ScoreTable, reference: Reference) -> list[str]:
    from capspace.fit.table.comparable import not_comparable, not_comparable_note

    marked = not_comparable(table, reference.table)
    return [f"{model}: {not_comparable_note(names)}" for model, names in marked.items()]


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


def _write_csv(predictions: Predictions, path: Path) -> None:
    from capspace.fit._files import write_whole
    from capspace.fit.errors import FitError

    try:
        write_whole(path, predictions.to_frame().to_csv(index=False))
    except OSError as error:
        raise FitError(f"cannot write {path}: {error.strerror or error}") from None


def targets(reference: o.Reference = None, as_json: o.Json = False) -> None:
    """Show the targets that can be predicted, and what each is fitted on."""
    from capspace.fit.reference import load_reference, target_training_table

    known = load_reference(reference)
    rows = []
    for target in known.targets.values():
        scores, _, families = target_training_table(known, target)
        rows.append((target, len(scores), families.nunique()))
    if as_json:
        o.print_json(
            [{**t.model_dump(mode="json"), "n_models": n, "n_families": f} for t, n, f in rows]
        )
        return
    o.print_table(
        "Targets",
        ("Name", "Target", "Description", "Fitted on", "Predicted from"),
        [
            (
                t.name,
                t.label,
                t.description,
                f"{n} {t.population} models, {f} families",
                _space(known, t),
            )
            for t, n, f in rows
        ],
    )


def _space(reference: Reference, target: Target) -> str:
    """Return which benchmarks a target is predicted from, the short way round."""
    used = reference.space_benchmarks(target)
    left_out = [b for b in reference.benchmarks if b not in used]
    return f"all but {', '.join(left_out)}" if left_out else f"all {len(used)} benchmarks"


def models(
    reference: o.Reference = None,
    family: Annotated[str | None, typer.Option(help="Show only models of this family.")] = None,
    as_json: o.Json = False,
) -> None:
    """Show the models of the reference."""
    from capspace.fit._json import json_safe
    from capspace.fit.reference import load_reference
    from capspace.fit.report.words import flops, size

    known = load_reference(reference)
    table = known.table if family is None else known.table.select(families=[family])
    n_scores = table.scores.groupby("model")["score"].count()
    facts = table.models.reset_index().to_dict("records")
    if as_json:
        o.print_json(
            [json_safe({**f, "n_scores": int(n_scores.get(f["model"], 0))}) for f in facts]
        )
        return
    o.print_table(
        f"{len(table.models)} models",
        ("Model", "Family", "Tuning", "Parameters", "Tokens", "FLOPs", "Scores"),
        [
            (
                str(m["model"]),
                str(m["family"]),
                str(m["tuning"]),
                size(m["parameters"]),
                size(m["training_tokens"]),
                flops(m["training_flops"]),
                str(n_scores.get(m["model"], 0)),
            )
            for m in facts
        ],
        numbers=("Parameters", "Tokens", "FLOPs", "Scores"),
    )

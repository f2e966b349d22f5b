"""The command ``predict`` predicts from scores that already exist, without torch."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as o
from . import tables as t

if TYPE_CHECKING:
    import pandas as pd

    from capspace.fit.reference import Reference
    from capspace.fit.table import ScoreTable

    from .answers import Answer

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
            "model, or a row per score, or the folder of a store. The columns release_date and "
            "mode (plain, chat, thinking) describe a model.",
        ),
    ],
    target: o.Targets = None,
    level: o.Level = 0.9,
    reference: o.References = None,
    release_date: o.ReleaseDate = None,
    keep: t.Keep = False,
    force: t.Force = False,
    as_json: o.Json = False,
    csv: o.Csv = None,
) -> None:
    """Predict the scores that were not measured from those that were, without torch.

    --reference may be repeated: each predicts with its own laws, and targets that several of them
    predict are also shown side by side. The exit code is 2 if a single --target has no number for
    any model. If complete gives a different number for a target, trust
    this one: its intervals are calibrated on models left out of the fit.
    """
    from capspace.fit.prediction._several import targets_of_each

    from .chosen_reference import scores_and_references
    from .store_scores import readable_table

    today = o.last_day_of(release_date)
    with readable_table(file) as path:
        known = scores_and_references(path, reference, target)
    wanted = targets_of_each([each for _, each, _ in known], target or None)
    answers = [
        _answer(file, *each, targets, level, keep=keep, force=force, today=today)
        for each, targets in zip(known, wanted, strict=True)
    ]
    if target and len(set(target)) == 1:
        _require_number(answers, target[0], force=force)
    if dates := t.own_dates(known[0][0], release_date):
        answers[0] = replace(answers[0], notes=[*dates, *answers[0].notes])
    if csv is not None:
        write_csv(_frame(answers), csv)
    if as_json:
        _print_json(answers)
        return
    for answer in answers:
        answer.print_text(all_shown=bool(target))
    if len(answers) > 1:
        from .side_by_side import print_shared

        print_shared(_by_reference(answers))


def _require_number(answers: Sequence[Answer], target: str, *, force: bool) -> None:
    """Raise RefusedTargetError where the one target that is asked for has no number at all."""
    from capspace.fit.errors import RefusedTargetError

    made: list[Any] = [p for answer in answers for p in answer.predictions]
    if any(math.isfinite(p.mean) for p in made):
        return
    is_refused = {p.status for p in made} == {"refused"}
    has_gate = any(getattr(p, "gate", "") for p in made)  # a reason that is about the model, too
    label = "refused by its back-test" if is_refused and not has_gate else "no number is given"
    models: dict[str, dict[str, None]] = {}
    for p in made:
        models.setdefault(p.reason, {})[p.model] = None
    reasons = [
        reason if len(models) == 1 else f"{', '.join(names)}: {reason}"
        for reason, names in models.items()
    ]
    reasons += [line.removeprefix(f"{target}: ") for answer in answers for line in answer.skipped]
    why = "; ".join(reasons) or "no model has a score on a benchmark that it is predicted from"
    can_force = "; --force predicts all the same" if made and not force else ""
    raise RefusedTargetError(f"{target}: {label}: {why}{can_force}")


def _answer(
    file: Path,
    table: ScoreTable,
    reference: Reference,
    reason: str,
    targets: Collection[str] | None,
    level: float,
    *,
    keep: bool,
    force: bool,
    today: date | None,
) -> Answer:
    """Return what a reference predicts, and what was left out."""
    from capspace.fit.decide import check_scores
    from capspace.fit.table.comparable import not_comparable_notes
    from capspace.fit.table.sampling import unstated_errors

    from .answers import by_fitted_laws, by_stored_laws
    from .chosen_reference import reference_dict

    own = benchmarks_of(table, reference, file, keep)
    alarms = check_scores(table, reference)
    notes = [*not_comparable_notes(own, reference.table), *own.notes]
    asked = reference.targets if targets is None else targets
    if known := [name for name in asked if name in table.benchmarks]:
        notes.append(f"also in {file}, and predicted as if it were not: {', '.join(known)}")
    if unstated := unstated_errors(own):
        notes.append(unstated)
    about = reference_dict(reference, reason)
    if reference.laws is None:
        answer: Answer = by_fitted_laws(
            own, reference, targets, about, notes, level=level, force=force, today=today
        )
    else:
        settings = {"level": level, "force": force, "today": today}
        answer = by_stored_laws(own, reference, targets, about, notes, **settings)
    return replace(answer, alarms=alarms)


def _frame(answers: Sequence[Answer]) -> pd.DataFrame:
    """Return a row per prediction, of several references with their names."""
    frames = [answer.to_frame() for answer in answers]
    if len(frames) == 1:
        return frames[0]
    import pandas as pd

    names = [answer.reference["name"] for answer in answers]
    named = [frame.assign(reference=name) for name, frame in zip(names, frames, strict=True)]
    return pd.concat(named, ignore_index=True)


def _print_json(answers: Sequence[Answer]) -> None:
    if len(answers) == 1:
        o.print_json(answers[0].to_dict())
        return
    from .side_by_side import shared_predictions

    shared = [
        {"model": model, "target": target, "predictions": {n: p.to_dict() for n, p in by.items()}}
        for (model, target), by in shared_predictions(_by_reference(answers)).items()
    ]
    o.print_json({"references": [answer.to_dict() for answer in answers], "shared": shared})


def _by_reference(answers: Sequence[Answer]) -> dict[str, Sequence[Any]]:
    names = [str(answer.reference["name"] or answer.reference["title"]) for answer in answers]
    return {name: answer.predictions for name, answer in zip(names, answers, strict=True)}


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
    bare = t.without_scores(table, usable.rows["model"].tolist())
    return replace(usable, notes=(*bare, *usable.notes)) if bare else usable


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all, or say in a line why it cannot be written."""
    from capspace.fit._files import write_whole
    from capspace.fit.errors import FitError

    try:
        write_whole(path, frame.to_csv(index=False))
    except OSError as error:
        raise FitError(f"cannot write {path}: {error.strerror or error}") from None

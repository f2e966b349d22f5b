"""Commands of the ledger of pre-registered predictions: add, score, show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options as o
from . import tables as t

__all__ = ["add_to"]

File = Annotated[Path, typer.Option(help="The ledger: a file that is only ever appended to.")]
_FILE = Path("capspace-ledger.jsonl")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    sub = typer.Typer(
        help="Freeze a law today, score it on models that come later.", no_args_is_help=True
    )
    sub.command()(add)
    sub.command()(score)
    sub.command()(show)
    app.add_typer(sub, name="ledger", rich_help_panel=o.STUDY)


def add(
    target: Annotated[str, typer.Argument(help="Target whose law is frozen.")],
    scores: Annotated[
        Path | None, typer.Option(help="Models to predict now, by their benchmark scores.")
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name of the entry. [default: target and date]", show_default=False)
    ] = "",
    level: o.Level = 0.9,
    reference: o.Reference = None,
    keep: t.Keep = False,
    ledger: File = _FILE,
    as_json: o.Json = False,
) -> None:
    """Freeze a target's law with its data's hash and today's date.

    Models of the reference that --scores holds under any spelling are left out of the law.
    """
    from capspace.fit.analyses.ledger import Ledger
    from capspace.fit.prediction import TargetLaw
    from capspace.fit.reference import load_reference
    from capspace.fit.reference.overlap import find_overlap

    known = load_reference(reference)
    table = None if scores is None else t.read_scores(scores, keep=keep)
    wide = None if table is None else table.wide()
    rows = () if wide is None else wide.iterrows()
    overlaps = [find_overlap(str(model), row, known.scores()) for model, row in rows]
    same = {name for found in overlaps for name in found.reasons}
    fit = TargetLaw(target).fit(known, exclude=same)
    law = Ledger(ledger).add(fit, name=name, scores=wide, level=level)
    if as_json:
        o.print_json(law.to_dict())
        return
    left_out = [found.note() for found in overlaps if found.note()]
    t.say_notes([*left_out, *(() if table is None else table.notes)])
    n = 0 if wide is None else len(wide)
    o.console().print(
        f"{ledger}: froze {law.name}, data {law.data_sha256[:12]}, with predictions for {n} models",
        markup=False,
    )


def score(
    name: Annotated[str, typer.Argument(help="Name of a frozen law.")],
    scores: t.Scores,
    target: Annotated[str, typer.Option(help="Column with the measured target.")],
    target_scores: t.TargetScores = None,
    keep: t.Keep = False,
    ledger: File = _FILE,
    as_json: o.Json = False,
) -> None:
    """Score a frozen law on models it was not fitted on, and keep the result."""
    from capspace.fit.analyses.ledger import Ledger
    from capspace.fit.table.readers import read_table

    if target_scores is None:
        truth = t.target_column(read_table(scores), target, scores)
        table = t.read_scores(scores, drop=[target], keep=keep)
    else:
        truth = t.read_target(target_scores, target)
        table = t.read_scores(scores, keep=keep)
    wide = table.wide()
    found = Ledger(ledger).score(name, wide, truth)
    if as_json:
        o.print_json(found.to_dict())
        return
    _print_scoring(found.to_dict(), found.n_models)
    t.say_notes([*(f"{m}: not scored: {why}" for m, why in found.left_out.items()), *table.notes])


def show(
    name: Annotated[str | None, typer.Argument(help="Only this law.")] = None,
    ledger: File = _FILE,
    as_json: o.Json = False,
) -> None:
    """Show frozen laws, their predictions and how they did."""
    from capspace.fit.analyses.ledger import Ledger

    book = Ledger(ledger)
    laws = [law.to_dict() for law in ([book.law(name)] if name else book.laws())]
    scorings = book.scorings(name)
    if as_json:
        o.print_json({"laws": laws, "scorings": [s.to_dict() for s in scorings]})
        return
    o.print_table(
        f"{ledger}: {len(laws)} frozen laws",
        ("Name", "Target", "Frozen at", "Data", "Fitted on", "Predictions"),
        [
            (
                str(law["name"]),
                str(law["target"]["name"]),
                str(law["frozen_at"]),
                str(law["data_sha256"])[:12],
                f"{len(law['training']['models'])} models",
                str(len(law["predictions"])),
            )
            for law in laws
        ],
    )
    for scoring in scorings:
        _print_scoring(scoring.to_dict(), scoring.n_models)


def _print_scoring(scoring: dict[str, object], n_models: int) -> None:
    from capspace.fit.report.words import score as digits

    results = scoring["results"]
    assert isinstance(results, list)  # noqa: S101 - narrows the type
    inside = sum(bool(r["inside"]) for r in results)
    o.print_table(
        f"{scoring['name']}, scored {scoring['scored_at']}: {inside} of {n_models} inside",
        ("Model", "Truth", "Prediction", "Interval", "", "Predicted"),
        [
            (
                str(r["model"]),
                digits(r["truth"]),
                digits(r["mean"]),
                f"{digits(r['lower'])} – {digits(r['upper'])}",
                "inside" if r["inside"] else "outside",
                "when frozen" if r["frozen"] else "now, by the frozen law",
            )
            for r in results
        ],
        numbers=("Truth", "Prediction", "Interval"),
    )

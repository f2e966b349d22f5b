"""The commands ``ledger add``, ``score`` and ``show`` pre-register predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options as o
from . import tables as t
from .old_names import reading

if TYPE_CHECKING:
    from capspace.fit import Scoring

__all__ = ["add_to"]

LedgerPath = Annotated[
    Path, typer.Option(help="Ledger file; entries are only ever appended to it.")
]
_FILE = Path("capspace-ledger.jsonl")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    sub = typer.Typer(
        help="Freeze a law today, and score it on models released later.", no_args_is_help=True
    )
    sub.command(cls=reading(scores="SCORES"))(add)
    sub.command(cls=reading(scores="SCORES", target="--target-column"))(score)
    sub.command()(show)
    app.add_typer(sub, name="ledger")


def add(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="Name of the target whose law is frozen.")
    ],
    scores: Annotated[
        Path | None,
        typer.Argument(
            metavar="SCORES", help="Table with benchmark scores of the models to predict today."
        ),
    ] = None,
    name: Annotated[str, o.name_of_result("the target and the date")] = "",
    level: o.Level = 0.9,
    reference: o.Reference = None,
    keep: t.Keep = False,
    ledger: LedgerPath = _FILE,
    as_json: o.Json = False,
) -> None:
    """Freeze a target's law, with the hash of its data and today's date.

    Reference models that are also in SCORES, in any spelling, are left out of the fit.
    """
    from capspace.fit import Ledger, load_reference
    from capspace.fit._display import counted
    from capspace.fit.analyses import fit_unseen

    table = None if scores is None else t.read_scores(scores, keep=keep)
    wide = None if table is None else table.wide()
    fit, notes = fit_unseen(load_reference(reference), target, wide)
    law = Ledger(ledger).add(fit, name=name, scores=wide, level=level)
    if as_json:
        o.print_json(law.to_dict())
        return
    t.print_notes([*notes, *(() if table is None else table.notes)])
    n = counted(len(law.predictions), "model")
    o.console().print(
        f"{ledger}: froze {law.name}, data {law.data_sha256[:12]}, with predictions for {n}",
        markup=False,
    )


def score(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a frozen law.")],
    scores: Annotated[
        Path,
        typer.Argument(metavar="SCORES", help="Table with benchmark scores of the new models."),
    ],
    target_column: t.TargetColumn,
    target_scores: t.TargetScores = None,
    keep: t.Keep = False,
    ledger: LedgerPath = _FILE,
    as_json: o.Json = False,
) -> None:
    """Score a frozen law on models it was not fitted on, and add the result to the ledger."""
    from capspace.fit import Ledger
    from capspace.fit.table.readers import read_table

    if target_scores is None:
        truth = t.target_column(read_table(scores), target_column, scores)
        table = t.read_scores(scores, drop=[target_column], keep=keep)
    else:
        truth = t.read_target(target_scores, target_column)
        table = t.read_scores(scores, keep=keep)
    scoring = Ledger(ledger).score(name, table.wide(), truth)
    if as_json:
        o.print_json(scoring.to_dict())
        return
    _print_scoring(scoring)
    left_out = (f"{model}: not scored: {why}" for model, why in scoring.left_out.items())
    t.print_notes([*left_out, *table.notes])


def show(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show only this law.")] = None,
    ledger: LedgerPath = _FILE,
    as_json: o.Json = False,
) -> None:
    """Show frozen laws, their predictions, and how accurate the predictions were."""
    from capspace.fit import Ledger
    from capspace.fit._display import counted

    book = Ledger(ledger)
    laws = [book.law(name)] if name else book.laws()
    scorings = book.scorings(name)
    if as_json:
        o.print_json(
            {
                "laws": [law.to_dict() for law in laws],
                "scorings": [scoring.to_dict() for scoring in scorings],
            }
        )
        return
    o.print_table(
        f"{ledger}: {counted(len(laws), 'frozen law')}",
        ("Name", "Target", "Frozen at", "Data", "Fitted on", "Predictions"),
        [
            (
                law.name,
                law.target.name,
                law.frozen_at.isoformat(timespec="seconds"),
                law.data_sha256[:12],
                counted(len(law.training["models"]), "model"),
                str(len(law.predictions)),
            )
            for law in laws
        ],
    )
    for scoring in scorings:
        _print_scoring(scoring)


def _print_scoring(scoring: Scoring) -> None:
    from capspace.fit.report.words import score as digits

    results = scoring.to_frame()
    o.print_table(
        f"{scoring.name}, scored {scoring.scored_at.isoformat(timespec='seconds')}: "
        f"{int(results['inside'].sum())} of {scoring.n_models} inside",
        ("Model", "Truth", "Prediction", "Interval", "", "Predicted"),
        [
            (
                str(model),
                digits(r["truth"]),
                digits(r["mean"]),
                f"{digits(r['lower'])} – {digits(r['upper'])}",
                "inside" if r["inside"] else "outside",
                "when frozen" if r["frozen"] else "now, by the frozen law",
            )
            for model, r in results.iterrows()
        ],
        numbers=("Truth", "Prediction", "Interval"),
    )

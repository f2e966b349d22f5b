"""The commands ``import`` and ``export`` exchange scores with other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import CollectError
from ..settings import DEFAULT_PANEL
from . import options as o
from .old_names import reading
from .setting_options import option_of

__all__ = ["add_to"]

_MODEL = Annotated[str | None, typer.Argument(help="Export only this model's scores.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("import", cls=reading(model="--answers-of"))(import_)
    app.command()(export)


def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="lm-eval results_*.json, Every Eval Ever records, CSV or Parquet tables, or "
            "folders of results."
        ),
    ],
    answers_of: Annotated[str | None, option_of("answers_of")] = None,
    panel: o.Panel = DEFAULT_PANEL,
    store: o.StorePath = None,
    as_json: o.Json = False,
) -> None:
    """Import scores that were measured elsewhere.

    Scores measured by the panel's protocol are imported as its benchmarks; other scores get names
    of their own. --answers-of NAME or NAME@REVISION names the model of all these files, if they do
    not name it or name only a local path.
    """
    from ..runtime.optional import require_collect_extra

    require_collect_extra()
    from capspace.fit._display import counted
    from capspace.tasks.panel import load_panel

    from ..comparison.twin_comparison import imported_twins
    from ..exchange.importing import import_scores
    from ..exchange.sibling_check import contradictions
    from .show import result_dict

    with o.open_store(store) as opened:
        done = import_scores(paths, store=opened, panel=load_panel(panel), model=answers_of)
        imported = {r.model for r in done.results}
        stored = [r for name in sorted(imported) for r in opened.results(model=name)]
        twins = imported_twins(stored, opened, load_panel(panel))
    drifting = [twin for twin in twins if twin.drifting]
    alarms = contradictions(stored, load_panel(panel))
    if as_json:
        o.print_json(
            {
                "results": [result_dict(r) for r in done.results],
                "notes": done.notes,
                "alarms": [alarm.to_dict() for alarm in alarms],
                "drifts": [twin.to_dict() for twin in drifting],
            }
        )
        return
    out = o.console()
    names = {b.name for b in load_panel(panel).benchmarks}
    n = sum(r.benchmark in names for r in done.results)
    models = len({(r.model, r.revision) for r in done.results})
    out.print(
        f"{counted(len(done.results), 'score')} of {counted(models, 'model')}: "
        f"{n} by the protocol of {panel}, "
        f"{len(done.results) - n} under names of their own",
        markup=False,
    )
    for note in done.notes:
        out.print(f"- {note}", markup=False)
    for line in (*(alarm.line for alarm in alarms), *(twin.line for twin in drifting)):
        out.print(line, style="yellow", markup=False)


def export(
    model: _MODEL = None,
    form: Annotated[
        Literal["csv", "parquet", "lm-eval", "every-eval-ever"],
        typer.Option("--format", help="Format to write."),
    ] = "csv",
    out: Annotated[
        Path | None, o.out("capspace-scores.FORMAT, or a folder named after the format")
    ] = None,
    store: o.StorePath = None,
) -> None:
    """Write the store's scores in a format that other tools can read."""
    from capspace.fit._display import counted
    from capspace.fit.errors import near_matches

    from ..exchange.exporting import export_scores, require_format

    require_format(form)
    place = out or Path(f"capspace-scores.{form}" if form in {"csv", "parquet"} else f"./{form}")
    with o.open_store(store, must_write=False) as opened:
        results = opened.results(model=model)
        if model is not None and not results:
            known = dict.fromkeys(r.model for r in opened.results())
            near = near_matches(model, known)
            raise CollectError(f"{opened.path} has no scores of {model!r}{near}")
        written = export_scores(results, store=opened, form=form, out=place)
    counts = f"{counted(len(results), 'score')} in {counted(len(written), 'file')}"
    o.console().print(f"{counts}: {place}", markup=False)

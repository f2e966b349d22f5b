"""The commands ``place`` and ``collect`` measure checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..settings import DEFAULT_PANEL, RunSettings
from . import options as o
from .setting_options import with_settings
from .tables import Keep

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(place)
    app.command()(collect)


@with_settings
def place(
    model: Annotated[str, typer.Argument(help="Hub name org/model[@revision] or local folder.")],
    panel: o.Panel = DEFAULT_PANEL,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the report.", show_default="capspace-report/MODEL"),
    ] = None,
    store: o.StorePath = None,
    target: o.Targets = None,
    level: o.Level = 0.9,
    reference: o.Reference = None,
    release_date: o.ReleaseDate = None,
    keep: Keep = False,
    *,
    settings: RunSettings,
    as_json: o.Json = False,
) -> None:
    """Measure a checkpoint, place it in the capability space, and report its predicted scores.

    Scores that are in the store already are not measured again.
    """
    from ..runtime.optional import require_collect_extra
    from .chosen_reference import reference_dict
    from .show import print_placement

    require_collect_extra()
    from capspace.fit.reference import choose_reference, load_reference
    from capspace.tasks.panel import load_panel

    from ..exchange._twin import imported_twins, published_twins
    from ..run._place import place_collection, subtitle
    from ..run.collect import collect_scores
    from ..runtime.distributed import is_helper
    from ..runtime.progress import progress_on

    reason = f"{reference}: named by --reference"
    if reference is None:
        choice = choose_reference(
            [b.name for b in load_panel(panel).benchmarks], targets=target or ()
        )
        reference, reason = choice.name, choice.reason
    known = load_reference(reference)
    for name in target or []:
        known.target(name)
    released = o.last_day_of(release_date)
    o.say_what_runs(settings.include_path)
    with o.resumable():
        collection = collect_scores(
            model,
            panel=panel,
            store=store,
            settings=settings,
            progress=progress_on(o.console(stderr=True)),
        )
    if is_helper():
        return
    with o.open_store(store, must_write=False) as opened:
        twins = [
            *published_twins(collection.results, known),
            *imported_twins(collection.results, opened, collection.panel),
        ]
    drifting = [twin for twin in twins if twin.found]
    folder = Path("capspace-report", collection.checkpoints[0].name) if out is None else out
    placed = place_collection(
        collection,
        reference=known,
        targets=target,
        level=level,
        out=folder,
        keep=keep,
        release_date=None if released is None else released.isoformat(),
        notes=[twin.line for twin in drifting],
    )
    if as_json:
        document = placed.placement.to_dict()
        alarms = [alarm.to_dict() for alarm in placed.alarms]
        checks = {"alarms": alarms, "drifts": [twin.to_dict() for twin in drifting]}
        o.print_json({**document, **checks, "reference": reference_dict(known, reason)})
    else:
        o.console().print(reason, style="dim", markup=False)
        print_placement(placed.placement, subtitle=subtitle(collection), report=placed.report)


@with_settings
def collect(
    models: o.Models,
    panel: o.Panel = DEFAULT_PANEL,
    store: o.StorePath = None,
    *,
    settings: RunSettings,
    as_json: o.Json = False,
) -> None:
    """Measure checkpoints on a panel and store every score; nothing is measured twice.

    The exit code is 1 if a cell has no score and was not skipped on purpose.
    """
    from ..runtime.optional import require_collect_extra

    require_collect_extra()
    from ..run.collect import collect_scores
    from ..runtime.distributed import is_helper
    from ..runtime.progress import progress_on
    from .show import print_reasons, print_results, result_dict

    o.say_what_runs(settings.include_path)
    with o.resumable():
        collection = collect_scores(
            models,
            panel=panel,
            store=store,
            settings=settings,
            progress=progress_on(o.console(stderr=True)),
        )
    if is_helper():
        return
    if as_json:
        o.print_json(
            {
                "n_measured": collection.n_measured,
                "results": [result_dict(r) for r in collection.results],
                "missing": [m.to_dict() for m in collection.missing],
            }
        )
    else:
        print_results(collection.results)
        print_reasons((m.model, m.benchmark, m.reason) for m in collection.missing)
    if not all(gap.skipped for gap in collection.missing):
        raise typer.Exit(1)

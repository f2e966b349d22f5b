"""Commands that measure and show what was measured: place, collect, scores, panels, lm-eval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import CollectError
from ..settings import DEFAULT_PANEL, RunSettings
from . import options as o
from .setting_options import option_of, with_settings
from .tables import Keep

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(place)
    app.command()(collect)
    app.command()(scores)
    app.command()(panels)
    app.command(
        "lm-eval",
        context_settings={"ignore_unknown_options": True, "help_option_names": []},
    )(lm_eval)


@with_settings
def place(
    model: Annotated[str, typer.Argument(help="Hub name org/model[@revision] or local folder.")],
    panel: o.Panel = DEFAULT_PANEL,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the report. [default: capspace-report/MODEL]",
                     show_default=False),
    ] = None,
    store: o.StorePath = None,
    target: o.Targets = None,
    level: o.Level = 0.9,
    reference: o.Reference = None,
    keep: Keep = False,
    *,
    settings: RunSettings,
    as_json: o.Json = False,
) -> None:  # fmt: skip
    """Measure a checkpoint, place it, predict its other scores, and write the report.

    What the store holds already is not measured again.
    """
    from ..runtime.optional import require_collect_extra
    from .show import print_placement

    require_collect_extra()
    from capspace.fit.reference import load_reference

    from ..run._place import place_collection, subtitle
    from ..run.collect import collect_scores
    from ..runtime.distributed import is_helper
    from ..runtime.progress import progress_on

    known = load_reference(reference)
    for name in target or []:
        known.target(name)
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
    folder = Path("capspace-report", collection.checkpoints[0].name) if out is None else out
    placed = place_collection(
        collection, reference=known, targets=target, level=level, out=folder, keep=keep
    )
    if as_json:
        o.print_json(placed.placement.to_dict())
    else:
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
    """Measure checkpoints on a panel and keep every score; nothing is measured twice."""
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


def scores(
    model: Annotated[str | None, typer.Argument(help="Only this model.")] = None,
    store: o.StorePath = None,
    as_json: o.Json = False,
    csv: Annotated[
        Path | None, typer.Option(help="Write them as a long CSV, which predict reads.")
    ] = None,
    of: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--receipt", metavar="MODEL BENCHMARK", help="Show what one score is made of."
        ),
    ] = None,
    first: Annotated[int, typer.Option(min=0, help="First item of the receipt.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="Items of the receipt.")] = 10,
) -> None:
    """Show what has been measured, and where each number came from."""
    from capspace.fit.errors import near_matches

    from ..storage.score_table import to_table
    from .show import print_reasons, print_results, result_dict

    if of is not None:
        _receipt(store, of, first, count, as_json)
        return
    with o.open_store(store, must_write=False) as kept:
        path = kept.path
        results = kept.results(model=model)
        failures = [f for f in kept.failures() if model in (None, f.model)]
        if model is not None and not results and not failures:
            known = dict.fromkeys(r.model for r in kept.results())
            raise CollectError(f"{path} has no scores of {model!r}{near_matches(model, known)}")
    if csv is not None:
        try:
            to_table(results).scores.to_csv(csv, index=False)
        except OSError as error:
            raise CollectError(f"cannot write {csv}: {error.strerror or error}") from None
    if as_json:
        o.print_json(
            {
                "results": [result_dict(r) for r in results],
                "failures": [vars(f) for f in failures],
            }
        )
        return
    if not results and not failures:
        o.console().print(f"nothing has been measured yet; the store is {path}", markup=False)
    print_results(results, sources=True)
    print_reasons((f.model, f.benchmark, f"failed: {f.reason}") for f in failures)


def _receipt(
    store: Path | None, of: tuple[str, str], first: int, count: int, as_json: bool
) -> None:
    from ..exchange._receipt import receipt
    from .show import print_receipt

    with o.open_store(store, must_write=False) as kept:
        found = receipt(kept, *of, first=first, count=count)
    if as_json:
        o.print_json([r.to_dict() for r in found])
    else:
        for one in found:
            print_receipt(one)


def panels(
    name: Annotated[str | None, typer.Argument(help="Show this panel's benchmarks.")] = None,
    as_json: o.Json = False,
) -> None:
    """Show what can be measured."""
    from capspace.tasks.panel import load_panel, panel_names

    chosen = [load_panel(n) for n in (panel_names() if name is None else [name])]
    if as_json:
        o.print_json([p.model_dump(mode="json") for p in chosen])
        return
    for panel in chosen:
        o.print_table(
            f"{panel.name} v{panel.version}: {panel.description}",
            ("Benchmark", "lm-eval task", "Shots", "Metric", "Chance"),
            [
                (
                    b.name,
                    ", ".join(b.tasks),
                    str(b.n_shot),
                    b.metric if b.filter == "none" else f"{b.metric} ({b.filter})",
                    "–" if b.chance is None else f"{b.chance:g}",
                )
                for b in panel.benchmarks
            ],
            numbers=("Shots", "Chance"),
        )


def lm_eval(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="What lm-eval's own command line takes.")
    ] = None,
    store: o.StorePath = None,
    no_record: Annotated[
        bool, typer.Option("--no-record", help="Keep no answers, and use none that are kept.")
    ] = False,
    answers_of: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Keep answers of any model class, such as an API's, under this name: your word "
            "for what answers.",
        ),
    ] = None,
    allow_pickle: Annotated[bool, option_of("allow_pickle")] = False,
    allow_missing_weights: Annotated[
        bool,
        typer.Option(
            "--allow-missing-weights",
            help="Go on where the checkpoint's files lack weights, drawn at random then; no "
            "answers are kept.",
        ),
    ] = False,
) -> None:
    """lm-eval's own command line, with capspace's models registered.

    Answers of a Hugging Face checkpoint are kept as 'capspace collect' keeps them: a run that
    was killed goes on where it stopped.
    """
    if {"-h", "--help"} & {*(arguments or [])}:
        typer.echo(f"{context.get_help()}\n")  # then lm-eval prints its own
    from ..runtime.optional import require_collect_extra

    require_collect_extra()
    from ..run.lm_eval_command import lm_eval_main
    from ..runtime.signals import terminable
    from ..storage.store import default_store_path

    def say(line: str) -> None:
        o.console(stderr=True).print(f"capspace: {line}", markup=False, soft_wrap=True)

    if no_record:
        lm_eval_main(
            arguments or [],
            store=None,
            allow_pickle=allow_pickle,
            allow_missing_weights=allow_missing_weights,
            say=say,
        )
        return
    with o.resumable(), terminable():
        lm_eval_main(
            arguments or [],
            store=store or default_store_path(),
            answers_of=answers_of,
            allow_pickle=allow_pickle,
            allow_missing_weights=allow_missing_weights,
            say=say,
        )

"""The commands ``place`` and ``collect`` measure checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import SettingsError
from ..settings import DEFAULT_PANEL, OF_ONE_RUN, RunSettings
from . import options as o
from .advised import THIS_MEASURES_IT, commands_to_measure, print_commands
from .judging import (
    Parameters,
    Price,
    PriceFile,
    RunCost,
    Threshold,
    Tolerance,
    code_execution_notes,
    judge_of,
)
from .setting_options import option_words, with_settings
from .tables import Keep, print_notes

if TYPE_CHECKING:
    from capspace.fit.decide._noise_effect import PredictedWidths
    from capspace.tasks.panel import Panel

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(place)
    app.command()(collect)


@with_settings
def place(
    model: Annotated[
        str | None, typer.Argument(help="Hub name org/model[@revision] or local folder.")
    ] = None,
    served: o.ServedModel = None,
    panel: o.Panel = DEFAULT_PANEL,
    benchmark: Annotated[list[str] | None, o.benchmark()] = None,
    out: Annotated[Path | None, o.out("capspace-report/MODEL")] = None,
    store: o.StorePath = None,
    target: o.Targets = None,
    level: o.Level = 0.9,
    reference: o.References = None,
    release_date: o.ReleaseDate = None,
    keep: Keep = False,
    cost: RunCost = None,
    threshold: Threshold = None,
    tolerance: Tolerance = None,
    price: Price = None,
    prices: PriceFile = None,
    parameters: Parameters = None,
    *,
    settings: RunSettings,
    as_json: o.Json = False,
) -> None:
    """Measure a checkpoint, place it in the capability space, and report its predicted scores.

    Scores that are already in the store are not measured again. --benchmark, which may be repeated,
    measures only these benchmarks of the panel. --reference may be repeated: each
    makes its own predictions and gets a map in the report. Without it, further packaged references
    predict beside the one that fits the panel, if the panel or the store has the scores they need.
    """
    from ..runtime.optional import require_collect_extra
    from .show import print_placements

    require_collect_extra()
    names = o.named_models([] if model is None else [model], served, settings)
    if len(names) > 1:
        raise SettingsError(f"place takes one model at a time, and two are named: {names}")
    from capspace.tasks.panel import load_panel

    from ..comparison.twin_comparison import drifting_twins
    from ..run._measurement_notes import subtitle
    from ..run._place import place_collection
    from ..run._prices import benchmark_prices
    from ..run.collect import collect_scores
    from ..runtime.distributed import is_helper
    from ..runtime.progress import progress_on
    from .lift import outside_notes, print_lifts
    from .placing import (
        chosen_references,
        placement_document,
        require_offered,
        with_further,
    )

    measured = _panel(panel, benchmark)
    advised = partial(
        commands_to_measure,
        model=names[0],
        store=store,
        panels=[(panel, load_panel(panel))],
        options=option_words(settings, but=OF_ONE_RUN),
    )
    chosen = chosen_references(reference, measured, target)
    released = o.last_day_of(release_date)
    judge = judge_of(
        cost, target, (threshold, tolerance), level=level, today=released, keep=keep,
        price=price or (), prices=prices, parameters=parameters,
        how=partial(_how, advised, settings),
    )  # fmt: skip
    if cost is not None and target:
        require_offered(chosen, target[0], named=bool(reference))
    o.say_what_runs(settings.include_path)
    widths = None
    if settings.until is not None:
        from capspace.fit.decide._noise_effect import PredictedWidths
        from capspace.fit.prediction._several import targets_of_each

        first, *_ = targets_of_each([known for known, _ in chosen], target or None)
        widths = PredictedWidths(chosen[0][0], targets=first, level=level)
    with o.resumable():
        collection = collect_scores(
            names[0],
            panel=measured,
            store=store,
            settings=settings,
            progress=progress_on(o.console(stderr=True)),
            widths=widths,
        )
    if is_helper():
        return
    with o.open_store(store, must_write=False) as opened:
        references = [each for each, _ in chosen]
        drifts = drifting_twins(collection.results, opened, collection.panel, references)
    chosen, further = with_further(chosen, collection, store, named=bool(reference), targets=target)
    folder = Path("capspace-report", collection.checkpoints[0].name) if out is None else out
    placed = place_collection(
        collection,
        reference=[known for known, _ in chosen],
        targets=target,
        level=level,
        out=folder,
        keep=keep,
        release_date=release_date,
        further=further,
        drifts=drifts,
        judge=judge,
        prices=lambda known, table, name: benchmark_prices(
            known, table, model=name, given=price or (), file=prices, parameters=parameters
        ),
    )
    verdict = placed.verdict
    steps = () if verdict is None else verdict.steps[: verdict.n_steps]
    commands = advised([step.measurement.benchmark for step in steps])
    if as_json:
        document = placement_document(placed, [reason for _, reason in chosen])
        if verdict is not None:
            document["verdict"] = {**verdict.to_dict(), "commands": commands}
        if placed.no_verdict:
            document["no_verdict"] = placed.no_verdict
        o.print_json({**document, "drifts": [twin.to_dict() for twin in drifts]})
        return
    if verdict is not None:
        from .decision_tables import print_verdict

        print_verdict(verdict)
        print_commands(commands, before=THIS_MEASURES_IT, after="then ask again")
        print_notes(note for note in verdict.notes if not note.startswith(THIS_MEASURES_IT))
    if placed.no_verdict:
        o.console().print(f"NO VERDICT: {placed.no_verdict}", style="bold", markup=False)
    for _, reason in chosen:
        o.console().print(reason, style="dim", markup=False)
    placements = [placed.placement, *placed.others]
    print_placements(placements, subtitle=subtitle(collection), following=placed.following)
    if not commands:
        paths = [each.path for each in placed.following if not isinstance(each, str)]
        following = [path[0].measurement.benchmark for path in paths[:1] if path]
        again = "then place it again" + (" without --limit" if settings.limit is not None else "")
        print_commands(advised(following), before=THIS_MEASURES_IT, after=again)
        print_notes([] if settings.allow_code_execution else code_execution_notes(following))
    if placed.lifts:
        o.console().print()
        print_lifts(placed.lifts)
        print_notes(outside_notes(placed.lifts))
    if placed.report is not None:
        o.console().print(f"report: {placed.report}", markup=False)


@with_settings
def collect(
    models: o.Models = None,
    served: o.ServedModel = None,
    panel: o.Panel = DEFAULT_PANEL,
    benchmark: Annotated[list[str] | None, o.benchmark()] = None,
    store: o.StorePath = None,
    target: o.Targets = None,
    reference: o.Reference = None,
    *,
    settings: RunSettings,
    as_json: o.Json = False,
) -> None:
    """Measure checkpoints on a panel and store every score; nothing is measured twice.

    --benchmark, which may be repeated, measures only these benchmarks of the panel.
    With --until, --reference and --target select the intervals that decide when to stop. The exit
    code is 1 if a benchmark has no score and was not skipped on purpose.
    """
    from ..runtime.optional import require_collect_extra

    require_collect_extra()
    from ..run.collect import collect_scores
    from ..runtime.distributed import is_helper
    from ..runtime.progress import progress_on
    from .show import print_reasons, print_results, result_dict

    widths, measured = None, _panel(panel, benchmark)
    if settings.until is not None:
        widths = _widths(measured, target, reference)
    elif target or reference is not None:
        raise SettingsError(
            "--target and --reference decide when --until stops; give --until as well"
        )
    o.say_what_runs(settings.include_path)
    with o.resumable():
        collection = collect_scores(
            o.named_models(models or [], served, settings),
            panel=measured,
            store=store,
            settings=settings,
            progress=progress_on(o.console(stderr=True)),
            widths=widths,
        )
    if is_helper():
        return
    if as_json:
        o.print_json(
            {
                "n_measured": collection.n_measured,
                "results": [result_dict(r) for r in collection.results],
                "missing": [m.to_dict() for m in collection.missing],
                **(
                    {"stopping": {m: p.to_dict() for m, p in collection.stopping.items()}}
                    if settings.until is not None
                    else {}
                ),
            }
        )
    else:
        print_results(collection.results)
        print_reasons((m.model, m.benchmark, m.reason) for m in collection.missing)
    if not all(gap.skipped for gap in collection.missing):
        raise typer.Exit(1)


def _how(
    advised: Callable[[Sequence[str]], list[str]], settings: RunSettings, benchmarks: Sequence[str]
) -> list[str]:
    """Return in lines how benchmarks are measured that a verdict advises."""
    code = [] if settings.allow_code_execution else code_execution_notes(benchmarks)
    return [*code, *(f"{THIS_MEASURES_IT} {command}" for command in advised(benchmarks))]


def _panel(name: str, benchmarks: list[str] | None) -> Panel:
    """Return the benchmarks of a panel that are to be measured."""
    from capspace.tasks.panel import load_panel

    panel = load_panel(name)
    return panel.select(benchmarks) if benchmarks else panel


def _widths(panel: Panel, targets: list[str] | None, name: str | None) -> PredictedWidths:
    """Return how wide the intervals of the targets are that decide when measuring ends."""
    from capspace.fit.decide._noise_effect import PredictedWidths
    from capspace.fit.reference import choose_reference, load_reference

    if name is None:
        benchmarks = [benchmark.name for benchmark in panel.benchmarks]
        name = choose_reference(benchmarks, targets=targets or ()).name
    return PredictedWidths(load_reference(name), targets=targets)

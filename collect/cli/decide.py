"""The commands ``verdict`` and ``next`` say whether to run an evaluation, and what to measure."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capspace.fit.errors import FitError, UnknownCostError

from . import options as o
from . import tables as t
from .judging import RunCost, Threshold, Tolerance, default_question, question_of

if TYPE_CHECKING:
    from capspace.fit.decide import NextEvaluations, ScoreAlarm, Step, Verdict
    from capspace.fit.reference import Reference
    from capspace.fit.table import ScoreTable

__all__ = ["add_to", "print_verdict"]

PRICES = "Prices"

_LITTLE = 0.05
"""Measurements that narrow an interval by a smaller share are not worth much."""

Scores = Annotated[
    Path,
    typer.Argument(
        metavar="SCORES",
        help="Benchmark scores of the model: a table as capspace predict reads it, whose columns "
        "n_items or stderr say how much was measured, or the folder of a store.",
    ),
]
Model = Annotated[
    str | None,
    typer.Argument(metavar="MODEL", help="Which model of the table.", show_default="its only one"),
]
Price = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COST",
        help="What all items of a benchmark cost, as in MMLU=2gpu-hours or MMLU=5usd. May be "
        "repeated.",
        rich_help_panel=PRICES,
    ),
]
PriceFile = Annotated[
    Path | None,
    typer.Option(
        "--prices",
        metavar="YAML",
        help="A file with a line NAME: COST per benchmark.",
        rich_help_panel=PRICES,
    ),
]
Parameters = Annotated[
    str | None,
    typer.Option(
        metavar="8e9",
        help="Parameters of the model, from which the times of benchmarks without a price follow.",
        show_default="the table's",
        rich_help_panel=PRICES,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        help="Also give the numbers that a gate or a back-test refuses, beside the reason."
    ),
]
Out = Annotated[Path | None, typer.Option(help="Also draw cost against width into this folder.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(verdict)
    app.command(name="next")(next_benchmark)


def verdict(
    file: Scores,
    model: Model = None,
    target: o.Targets = None,
    cost: RunCost = None,
    threshold: Threshold = None,
    tolerance: Tolerance = None,
    price: Price = None,
    prices: PriceFile = None,
    parameters: Parameters = None,
    level: o.Level = 0.9,
    reference: o.Reference = None,
    release_date: o.ReleaseDate = None,
    keep: t.Keep = False,
    force: Force = False,
    out: Out = None,
    as_json: o.Json = False,
) -> None:
    """Say whether a costly evaluation is worth its price, or what to measure before it.

    skip: the threshold lies outside the interval, or the interval is within the tolerance. measure
    first: cheap benchmarks are expected to save more than they cost. run: neither.
    """
    from capspace.fit.decide import judge_run, parse_cost
    from capspace.fit.decide._outlook import only_model

    from .prices import benchmark_prices

    if cost is None:
        raise UnknownCostError("nothing says what the run would cost: --cost, as in 120gpu-hours")
    if target is None or len(target) != 1:
        raise FitError("--target: name the evaluation that would be run, one at a time")
    question = question_of(threshold, tolerance)
    run = parse_cost(cost)
    own, known, about, alarms = _scores(file, reference, target, model=model, keep=keep)
    name = only_model(own, model)
    costs, lines = benchmark_prices(
        known, own, model=name, given=price or (), file=prices, parameters=parameters, unit=run.unit
    )
    result = judge_run(
        own,
        known,
        target=target[0],
        cost=run,
        question=question,
        prices=costs,
        model=name,
        level=level,
        force=force,
        today=o.last_day_of(release_date),
    )
    asked = default_question(threshold, tolerance)
    dates = t.own_dates(own, release_date)
    more = lines if result.decision != "skip" else ()
    notes = [*asked, *dates, *own.notes, *result.notes, *more]
    if as_json:
        more_of = {"notes": notes, "alarms": [alarm.to_dict() for alarm in alarms]}
        o.print_json({"reference": about, **result.to_dict(), **more_of})
    else:
        o.console().print(about["reason"], style="dim", markup=False)
        print_verdict(result)
        t.print_alarms(alarms)
        t.print_notes(notes)
        _print_attribution(about)
    if out is not None:
        _draw(result, out, bool(result.steps))


def next_benchmark(
    file: Scores,
    model: Model = None,
    target: o.Targets = None,
    items: Annotated[
        int | None,
        typer.Option(help="Measure each benchmark on this many items at most.", show_default="all"),
    ] = None,
    price: Price = None,
    prices: PriceFile = None,
    parameters: Parameters = None,
    level: o.Level = 0.9,
    reference: o.Reference = None,
    release_date: o.ReleaseDate = None,
    keep: t.Keep = False,
    force: Force = False,
    out: Out = None,
    as_json: o.Json = False,
) -> None:
    """Say which benchmark to measure next: what each would narrow, and what it costs.

    Without --target every target counts that no back-test refuses.
    """
    from capspace.fit.decide import next_evaluations
    from capspace.fit.decide._outlook import only_model

    from .prices import benchmark_prices

    own, known, about, alarms = _scores(file, reference, target, model=model, keep=keep)
    name = only_model(own, model)
    costs, lines = benchmark_prices(
        known, own, model=name, given=price or (), file=prices, parameters=parameters
    )
    result = next_evaluations(
        own,
        known,
        prices=costs,
        model=name,
        targets=target or None,
        n_items=items,
        level=level,
        force=force,
        today=o.last_day_of(release_date),
    )
    notes = [*t.own_dates(own, release_date), *own.notes, *result.notes, *lines]
    if as_json:
        more_of = {"notes": notes, "alarms": [alarm.to_dict() for alarm in alarms]}
        o.print_json({"reference": about, **result.to_dict(), **more_of})
    else:
        o.console().print(about["reason"], style="dim", markup=False)
        _print_next(result)
        t.print_alarms(alarms)
        t.print_notes(notes)
        _print_attribution(about)
    if out is not None:
        _draw(result, out, bool(result.path))


def print_verdict(result: Verdict) -> None:
    """Print a verdict, why it is so, and what could be measured first."""
    from capspace.fit.report._verdict_section import question_words
    from capspace.fit.report.words import score, share

    console = o.console()
    weak = " (weak)" if result.caution.startswith("weak") else ""
    title = f"{result.decision.upper()}: {result.label} of {result.model}{weak}"
    console.print(title, style="bold", markup=False)
    console.print(result.reason, markup=False)
    if result.caution:
        console.print(result.caution, style="yellow", markup=False)
    console.print()
    o.print_table(
        "",
        (
            "Target",
            "Prediction",
            f"{share(result.level)} interval",
            "Best tenth",
            "Question",
            "Run",
        ),
        [
            (
                result.target,
                score(result.mean),
                f"{score(result.lower)} to {score(result.upper)}",
                score(result.attainable),
                question_words(result),
                str(result.cost),
            )
        ],
        numbers=("Prediction", "Best tenth"),
    )
    if result.steps:
        o.print_table(
            "Measured one after another",
            ("Benchmark", "Items", "Cost", "Together", "Expected width", "Answered"),
            [
                (
                    f"{step.measurement.benchmark}{' *' if i < result.n_steps else ''}",
                    _items(step),
                    str(step.measurement.cost),
                    str(step.total),
                    score(step.widths[0]),
                    share(chance),
                )
                for i, (step, chance) in enumerate(zip(result.steps, result.chances, strict=True))
            ],
            numbers=("Items", "Cost", "Together", "Expected width", "Answered"),
        )
        if result.n_steps:
            console.print("* to be measured first", markup=False)
    record = "no back-test of such verdicts is known" if result.record is None else result.record
    console.print(f"track record: {record}", markup=False)


def _print_next(result: NextEvaluations) -> None:
    from capspace.fit.report.words import score

    places = {step.measurement.benchmark: i + 1 for i, step in enumerate(result.path)}
    title = ", ".join(result.targets[:3]) + (", ..." if len(result.targets) > 3 else "")
    widths = "Expected width" if len(result.targets) == 1 else "Mean expected width"
    now = sum(result.widths) / len(result.widths)
    o.print_table(
        f"{result.model}: what each benchmark would narrow ({title}; width now {score(now)})",
        ("Benchmark", "Items", "Cost", widths, "Saved", "Order"),
        [
            (
                step.measurement.benchmark,
                _items(step),
                "–" if step.measurement.cost is None else str(step.measurement.cost),
                score(sum(step.widths) / len(step.widths)),
                f"{max(step.saved, 0.0):.1%}",
                str(places.get(step.measurement.benchmark, "–")),
            )
            # The rest of them stay by what each saves for its cost.
            for step in sorted(
                result.single, key=lambda s: places.get(s.measurement.benchmark, math.inf)
            )
        ],
        numbers=("Items", "Cost", widths, "Saved", "Order"),
    )
    if not result.path:
        o.console().print("no benchmark is expected to narrow the interval", markup=False)
        return
    last = result.path[-1]
    then = sum(last.widths) / len(last.widths)
    little = ", which is not worth much" if then > (1 - _LITTLE) * now else ""
    o.console().print(
        f"in this order, {len(result.path)} of them narrow it to "
        f"{score(then)} from {score(now)} for {last.total}{little}",
        markup=False,
    )


def _scores(
    file: Path,
    reference: str | None,
    targets: list[str] | None,
    *,
    model: str | None,
    keep: bool,
) -> tuple[ScoreTable, Reference, dict[str, Any], list[ScoreAlarm]]:
    from capspace.fit.decide import check_scores

    from .chosen_reference import reference_dict, scores_and_reference
    from .predict import benchmarks_of
    from .store_scores import readable_table

    with readable_table(file, model=model) as path:
        table, known, reason = scores_and_reference(path, reference, targets)
    own = benchmarks_of(table, known, file, keep)
    alarms = [a for a in check_scores(table, known) if model in (None, a.model)]
    return own, known, reference_dict(known, reason), alarms


def _items(step: Step) -> str:
    n = step.measurement.n_items
    return "all" if n is None or math.isnan(n) else f"{n:,}"


def _print_attribution(about: dict[str, Any]) -> None:
    if about["attribution"]:
        o.console().print(about["attribution"], style="dim", markup=False)


def _draw(result: NextEvaluations | Verdict, out: Path, has_steps: bool) -> None:
    if not has_steps:
        t.print_notes(["no figure: no benchmark with a price is left that narrows the interval"])
        return
    from capspace.fit.figures import draw_cost_and_width

    t.save_figures({"cost-and-width": draw_cost_and_width(result)}, out)

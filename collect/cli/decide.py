"""The commands ``verdict`` and ``next`` advise on costly runs and on what to measure next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from capspace.fit.errors import FitError, RefusedTargetError, UnknownCostError

from . import options as o
from . import tables as t
from .advised import THIS_MEASURES_IT, commands_to_measure, print_commands
from .decision_tables import print_next, print_verdict
from .judging import (
    Parameters,
    Price,
    PriceFile,
    RunCost,
    Threshold,
    Tolerance,
    code_execution_notes,
    default_question,
    question_of,
)
from .measured_before import how_measured
from .old_names import reading

if TYPE_CHECKING:
    from capspace.fit.decide import Cost, NextEvaluations, ScoreAlarm, Verdict
    from capspace.fit.reference import Reference
    from capspace.fit.table import ScoreTable

__all__ = ["add_to"]

Decided = TypeVar("Decided", "Verdict", "NextEvaluations")

Scores = Annotated[
    Path,
    typer.Argument(
        metavar="SCORES",
        help="Benchmark scores of the model: a table that capspace predict can read, whose columns "
        "n_items or stderr state how much was measured, or the folder of a store.",
    ),
]
Model = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL", help="Model of the table to decide about.", show_default="the only one"
    ),
]
Out = Annotated[Path | None, o.out("no figure")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(verdict)
    app.command(name="next", cls=reading(items="--max-items"))(next_benchmark)


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
    force: t.Force = False,
    out: Out = None,
    as_json: o.Json = False,
) -> None:
    """Decide whether a costly evaluation is worth its price, or what to measure before it.

    skip: the threshold lies outside the interval, or the interval is within the tolerance. measure
    first: cheap benchmarks are expected to save more than they cost. run: neither applies. --out
    plots the expected width against the cost.
    """
    from capspace.fit.decide import judge_run, parse_cost

    if cost is None:
        raise UnknownCostError("the cost of the run is not given: add --cost, as in 120gpu-hours")
    if target is None or len(target) != 1:
        raise FitError("--target: name the evaluation that would be run, one at a time")
    question = question_of(threshold, tolerance)
    run = parse_cost(cost)
    case = _case(file, reference, target, model=model, keep=keep)
    costs, lines = case.prices(price or (), prices, parameters, unit=run.unit)
    with _force_named():
        result = judge_run(
            case.own,
            case.known,
            target=target[0],
            cost=run,
            question=question,
            prices=costs,
            model=case.model,
            level=level,
            force=force,
            today=o.last_day_of(release_date),
        )
    asked = default_question(threshold, tolerance)
    dates = t.own_dates(case.own, release_date)
    first = [step.measurement.benchmark for step in result.steps[: result.n_steps]]
    more = [*lines, *code_execution_notes(first)]
    if result.decision == "skip":
        more = []
    commands, open_points = case.commands(first)
    notes = [*case.unlike(), *asked, *dates, *case.own.notes, *result.notes, *more, *open_points]
    _show(result, case, notes, print_verdict, commands, as_json=as_json)
    if out is not None:
        _draw(result, out, bool(result.steps))


def next_benchmark(
    file: Scores,
    model: Model = None,
    target: o.Targets = None,
    max_items: Annotated[
        int | None,
        typer.Option(help="Measure each benchmark on at most this many items.", show_default="all"),
    ] = None,
    price: Price = None,
    prices: PriceFile = None,
    parameters: Parameters = None,
    level: o.Level = 0.9,
    reference: o.Reference = None,
    release_date: o.ReleaseDate = None,
    keep: t.Keep = False,
    force: t.Force = False,
    out: Out = None,
    as_json: o.Json = False,
) -> None:
    """Rank the benchmarks to measure next by how much they narrow predictions, and their cost.

    Without --target, all targets that no back-test refuses are considered. --out plots the expected
    width against the cost.
    """
    from capspace.fit.decide import next_evaluations

    case = _case(file, reference, target, model=model, keep=keep)
    costs, lines = case.prices(price or (), prices, parameters)
    with _force_named():
        result = next_evaluations(
            case.own,
            case.known,
            prices=costs,
            model=case.model,
            targets=target or None,
            n_items=max_items,
            level=level,
            force=force,
            today=o.last_day_of(release_date),
        )
    dates = t.own_dates(case.own, release_date)
    path = [step.measurement.benchmark for step in result.path]
    needed = code_execution_notes(path)
    is_part = bool(result.path) and result.path[0].measurement.n_items == max_items
    commands, open_points = case.commands(path[:1], max_items=max_items if is_part else None)
    notes = [*case.unlike(), *dates, *case.own.notes, *result.notes, *lines, *needed, *open_points]
    _show(result, case, notes, print_next, commands, as_json=as_json)
    if out is not None:
        _draw(result, out, bool(result.path))


@contextmanager
def _force_named() -> Iterator[None]:
    """Let a refusal name the option that decides all the same, where one does."""
    try:
        yield
    except RefusedTargetError as error:
        if not error.can_force:
            raise
        raise RefusedTargetError(f"{error}; --force decides all the same") from None


@dataclass(frozen=True)
class _Case:
    """The scores of a model in a file, and the reference that they are judged by."""

    file: Path
    own: ScoreTable
    model: str
    known: Reference
    about: dict[str, Any]
    alarms: list[ScoreAlarm]

    def prices(
        self,
        given: Sequence[str],
        file: Path | None,
        parameters: str | None,
        *,
        unit: str | None = None,
    ) -> tuple[dict[str, Cost], list[str]]:
        """Return the prices of the benchmarks, and lines on where they come from."""
        from ..run._prices import benchmark_prices

        return benchmark_prices(
            self.known, self.own, model=self.model, given=given, file=file, parameters=parameters,
            unit=unit,
        )  # fmt: skip

    def unlike(self) -> list[str]:
        """Return in a line which scores are not comparable with published ones."""
        from capspace.fit.table.comparable import not_comparable_notes

        return not_comparable_notes(self.own.select(models=[self.model]), self.known.table)

    def commands(
        self, benchmarks: Sequence[str], *, max_items: int | None = None
    ) -> tuple[list[str], list[str]]:
        """Return the commands that measure benchmarks, and in lines what they leave open.

        Of a store, they measure into it as its scores were measured.
        """
        if not benchmarks:
            return [], []
        before = how_measured(self.file, self.own, self.model)
        commands = commands_to_measure(
            benchmarks, before.checkpoint,
            store=self.file.absolute() if self.file.is_dir() else None,
            options=before.options, panels=before.panels, max_items=max_items,
        )  # fmt: skip
        return commands, list(before.notes) if commands else []


def _case(
    file: Path,
    reference: str | None,
    targets: list[str] | None,
    *,
    model: str | None,
    keep: bool,
) -> _Case:
    from capspace.fit.decide import check_scores
    from capspace.fit.decide._outlook import only_model

    from .chosen_reference import reference_dict, scores_and_reference
    from .predict import benchmarks_of
    from .store_scores import readable_table

    with readable_table(file, model=model) as path:
        table, known, reason = scores_and_reference(path, reference, targets)
    own = benchmarks_of(table, known, file, keep)
    alarms = [a for a in check_scores(table, known) if model in (None, a.model)]
    return _Case(file, own, only_model(own, model), known, reference_dict(known, reason), alarms)


def _show(
    result: Decided,
    case: _Case,
    notes: Sequence[str],
    print_result: Callable[[Decided], None],
    commands: Sequence[str],
    *,
    as_json: bool,
) -> None:
    if as_json:
        alarms = [alarm.to_dict() for alarm in case.alarms]
        more = {"notes": notes, "alarms": alarms, "commands": commands}
        o.print_json({"reference": case.about, **result.to_dict(), **more})
        return
    about = case.about
    o.console().print(about["reason"], style="dim", markup=False)
    print_result(result)
    goes_on = "ask again" if case.file.is_dir() else f"add its score to {case.file} and ask again"
    print_commands(commands, before=THIS_MEASURES_IT, after=f"then {goes_on}")
    t.print_alarms(case.alarms)
    t.print_notes(notes)
    if about["attribution"]:
        o.console().print(about["attribution"], style="dim", markup=False)


def _draw(result: NextEvaluations | Verdict, out: Path, has_steps: bool) -> None:
    if not has_steps:
        t.print_notes(["no figure: no remaining benchmark with a price narrows the interval"])
        return
    from capspace.fit.figures import draw_cost_and_width

    t.save_figures({"cost-and-width": draw_cost_and_width(result)}, out)

"""``place`` gives a verdict on a costly run if the user states the cost of the run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capspace.fit.errors import FitError

if TYPE_CHECKING:
    from capspace.fit.decide import Question, Verdict
    from capspace.fit.prediction import Placement

__all__ = [
    "Parameters",
    "Price",
    "PriceFile",
    "RunCost",
    "Threshold",
    "Tolerance",
    "code_execution_notes",
    "judge_of",
    "question_of",
]

DECIDE = "Deciding"
PRICES = "Prices"

RunCost = Annotated[
    str | None,
    typer.Option(
        "--cost",
        help="Cost of running the target, for a verdict on whether to run it: 120gpu-hours, 90min, "
        "250usd, 3e9tokens.",
        rich_help_panel=DECIDE,
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Ask whether the score lies above this.", rich_help_panel=DECIDE),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        help="Ask whether the score is known to within ± this.",
        show_default="0.05 if no threshold is given",
        rich_help_panel=DECIDE,
    ),
]
Price = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COST",
        help="Cost of all items of a benchmark, as in MMLU=2gpu-hours or MMLU=5usd. May be "
        "repeated.",
        rich_help_panel=PRICES,
    ),
]
PriceFile = Annotated[
    Path | None,
    typer.Option(
        "--prices",
        metavar="YAML",
        help="A file with one line per benchmark, NAME: COST.",
        rich_help_panel=PRICES,
    ),
]
Parameters = Annotated[
    str | None,
    typer.Option(
        metavar="8e9",
        help="Number of the model's parameters, to estimate times of benchmarks without a price.",
        show_default="the table's, or as measured",
        rich_help_panel=PRICES,
    ),
]

_TOLERANCE = 0.05


def question_of(threshold: float | None, tolerance: float | None) -> Question:
    """Return what the run is to answer."""
    from capspace.fit.decide import Question

    if threshold is not None and tolerance is not None:
        raise FitError("--threshold and --tolerance: give one of the two")
    is_open = threshold is None and tolerance is None
    return Question(threshold, _TOLERANCE if is_open else tolerance)


def default_question(threshold: float | None, tolerance: float | None) -> tuple[str, ...]:
    """Return in a line what is asked where the user does not say it."""
    if threshold is not None or tolerance is not None:
        return ()
    return (
        f"neither --threshold nor --tolerance is given: the default question is whether the score "
        f"is known to ±{_TOLERANCE:g}",
    )


def code_execution_notes(benchmarks: Collection[str]) -> list[str]:
    """Return in a line which of the benchmarks run code that the model writes, and their option."""
    from capspace.tasks.panel import load_panel, panel_names

    if not benchmarks:
        return []
    running = {
        b.name for panel in map(load_panel, panel_names()) for b in panel.benchmarks
        if b.executes_code
    }  # fmt: skip
    named = [name for name in benchmarks if name in running]
    if not named:
        return []
    run = "runs" if len(named) == 1 else "run"
    return [
        f"{', '.join(named)} {run} code that the model writes: it is measured only with "
        "--allow-code-execution"
    ]


def judge_of(
    cost: str | None,
    target: Sequence[str] | None,
    question: tuple[float | None, float | None],
    *,
    level: float,
    today: date | None,
    keep: bool = False,
    price: Sequence[str] = (),
    prices: Path | None = None,
    parameters: str | None = None,
    how: Callable[[Sequence[str]], Sequence[str]] = code_execution_notes,
) -> Callable[[Sequence[Placement]], Verdict | str | None]:
    """Return what judges a run from placements; wrong options are refused before a measurement.

    The first reference that predicts the target judges; where none does, the reasons are returned.

    Parameters
    ----------
    cost : str or None
        Of the run; no verdict where it is None.
    target : sequence of str or None
        Just one of them is the run.
    question : (threshold, tolerance)
        At most one of them.
    level : float
        Nominal coverage of the intervals.
    today : date or None
        The release of a model that states none.
    keep : bool, default False
        Use scores far below chance, too.
    price, prices, parameters
        As of the command ``verdict``: prices of benchmarks, a file of them, and the model's size.
    how : callable
        Returns in lines how benchmarks that are to be measured first are measured.

    """
    from capspace.fit.decide.cost import parse_prices

    from ..run._prices import benchmark_prices, parse_parameters

    if parameters is not None:
        parse_parameters(parameters)
    parse_prices(price, [text.rpartition("=")[0].strip() for text in price])
    if prices is not None and not prices.is_file():
        raise FitError(f"--prices: {prices} is no file")
    if cost is None:
        if question != (None, None):
            raise FitError("--threshold and --tolerance are about a run: give its --cost too")
        return lambda placements: None
    from dataclasses import replace

    from capspace.fit.decide import judge_run, parse_cost
    from capspace.fit.errors import RefusedTargetError, TableError, UnknownNameError
    from capspace.fit.table.doubtful import leave_out_doubtful

    if target is None or len(target) != 1:
        raise FitError("--target: name the evaluation that would be run, one at a time")
    run, asked = parse_cost(cost), question_of(*question)
    (name,) = target

    def judge(placements: Sequence[Placement]) -> Verdict | str | None:
        reasons: list[str] = []
        for placement in placements:
            names = [n for t in placement.reference.targets.values() for n in (t.name, t.label)]
            if name.lower() not in map(str.lower, names):
                continue
            model, reference = placement.model, placement.reference
            table = leave_out_doubtful(placement.table, reference.chance_levels, keep=keep)
            try:
                costs, lines = benchmark_prices(
                    reference, table, model=model, given=price, file=prices,
                    parameters=parameters, unit=run.unit,
                )  # fmt: skip
                verdict = judge_run(
                    table, reference, target=name, cost=run, question=asked,
                    prices=costs, model=model, level=level, today=today,
                )  # fmt: skip
            except (RefusedTargetError, UnknownNameError, TableError) as error:
                # UnknownNameError: no score is left, or a price is of no benchmark of this one
                reasons.append(f"by {reference.name}: {error}")
                continue
            by = (f"judged by {reference.name}",) if len(placements) > 1 else ()
            notes: tuple[str, ...] = (*by, *(f"no verdict {reason}" for reason in reasons))
            more = lines if verdict.decision != "skip" else []
            first = [s.measurement.benchmark for s in verdict.steps[: verdict.n_steps]]
            notes = (*notes, *default_question(*question), *verdict.notes, *more, *how(first))
            return replace(verdict, notes=notes)
        return "; ".join(reasons) or None

    return judge

"""Print verdicts and the benchmarks to measure next as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .options import console, print_table

if TYPE_CHECKING:
    from capspace.fit.decide import NextEvaluations, Step, Verdict

__all__ = ["print_next", "print_verdict"]


def print_verdict(result: Verdict) -> None:
    """Print a verdict, why it is so, and what could be measured first."""
    from capspace.fit.report._verdict_section import question_words
    from capspace.fit.report.words import score, share

    shown = console()
    weak = " (weak)" if result.caution.startswith("weak") else ""
    title = f"{result.decision.upper()}: {result.label} of {result.model}{weak}"
    shown.print(title, style="bold", markup=False)
    shown.print(result.reason, markup=False)
    if result.caution:
        shown.print(result.caution, style="yellow", markup=False)
    shown.print()
    print_table(
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
        print_table(
            "Measured one after another",
            ("Benchmark", "Items", "Cost", "Total cost", "Expected width", "Answered"),
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
            numbers=("Items", "Cost", "Total cost", "Expected width", "Answered"),
        )
        if result.n_steps:
            shown.print("* measure first", markup=False)
    record = "no back-test of such verdicts is known" if result.record is None else result.record
    shown.print(f"track record: {record}", markup=False)


def print_next(result: NextEvaluations) -> None:
    """Print what each benchmark would narrow, and the order in which to measure several."""
    from capspace.fit.report._next_section import path_words, saved_note, saved_words
    from capspace.fit.report.words import score

    places = {step.measurement.benchmark: i + 1 for i, step in enumerate(result.path)}
    title = ", ".join(result.targets[:3]) + (", ..." if len(result.targets) > 3 else "")
    is_one = len(result.targets) == 1
    now = f"; width now {score(result.widths[0])}" if is_one else ""
    widths = ("Expected width",) if is_one else ()
    print_table(
        f"{result.model}: what each benchmark would narrow ({title}{now})",
        ("Benchmark", "Items", "Cost", *widths, "Saved", "Order"),
        [
            (
                step.measurement.benchmark,
                _items(step),
                "–" if step.measurement.cost is None else str(step.measurement.cost),
                *([score(step.widths[0])] if is_one else []),
                saved_words(step),
                str(places.get(step.measurement.benchmark, "–")),
            )
            for step in result.in_order
        ],
        numbers=("Items", "Cost", *widths, "Saved", "Order"),
    )
    console().print(saved_note(result), style="dim", markup=False)
    console().print(path_words(result), markup=False)


def _items(step: Step) -> str:
    n = step.measurement.n_items
    return "all" if n is None or math.isnan(n) else f"{n:,}"

"""Results, placements and predictions as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capspace.collect.cli.options import console, print_table
from capspace.fit.report.words import count, flops, flops_interval, outside, score, share

if TYPE_CHECKING:
    from capspace.collect.store import Result
    from capspace.fit.placement import Placement
    from capspace.fit.prediction import Prediction

__all__ = ["print_placement", "print_predictions", "print_results", "result_dict"]


def result_dict(result: Result) -> dict[str, Any]:
    """Return a stored result as a JSON-safe mapping."""
    from capspace.fit._json import json_safe

    safe: dict[str, Any] = json_safe({**vars(result), "tasks": list(result.tasks)})
    return safe


def print_results(results: Sequence[Result], *, sources: bool = False) -> None:
    """Print stored results, a table per model."""
    for model in dict.fromkeys(r.model for r in results):
        own = [r for r in results if r.model == model]
        columns = ["Benchmark", "Score", "Stderr", "Items", "Shots", "Protocol"]
        print_table(
            model,
            [*columns, "Source"] if sources else columns,
            [
                (
                    r.benchmark,
                    score(r.score),
                    score(r.stderr),
                    count(r.n_items),
                    count(r.n_shot),
                    r.protocol,
                    *([r.source] if sources else []),
                )
                for r in own
            ],
            numbers=("Score", "Stderr", "Items", "Shots"),
        )


def print_predictions(title: str, predictions: Iterable[Prediction]) -> None:
    """Print one model's predictions, and which models they were fitted on."""
    rows = list(predictions)
    if not rows:
        return
    level = share(rows[0].level)
    print_table(
        title,
        ("Target", "Prediction", f"{level} interval", "Support", "Fitted on"),
        [
            (
                p.label,
                score(p.mean),
                f"{score(p.lower)} – {score(p.upper)}",
                "inside" if p.support.inside else f"outside {outside(p)}",
                f"{p.n_models} models, {len(p.families)} families",
            )
            for p in rows
        ],
        numbers=("Prediction", f"{level} interval"),
    )


def print_placement(
    placement: Placement, *, subtitle: Iterable[str] = (), report: Path | None = None
) -> None:
    """Print a placement: scores, place, predictions, what is missing, and where the report is."""
    out = console()
    out.print(f"\n{placement.model}", style="bold", markup=False)
    out.print(" · ".join(subtitle), style="dim", markup=False)
    for note in placement.notes:
        out.print(note, style="yellow", markup=False)
    out.print()
    rows = placement.table.scores.to_dict("records")
    print_table(
        "Measured scores",
        ("Benchmark", "Score", "Stderr", "Items", "Shots"),
        [
            (
                str(r["benchmark"]),
                score(r["score"]),
                score(r["stderr"]),
                count(r["n_items"]),
                count(r["n_shot"]),
            )
            for r in rows
        ],
        numbers=("Score", "Stderr", "Items", "Shots"),
    )
    for benchmark, reason in placement.missing.items():
        out.print(f"{benchmark}: {reason}", style="dim", markup=False)
    out.print("\nPlace", style="bold")
    out.print(f"nearest: {', '.join(placement.nearest)}", markup=False)
    if placement.equivalent is not None:
        e = placement.equivalent
        out.print(
            f"equivalent training compute in {e.family} terms: {flops(e.scale[0])} FLOPs "
            f"({flops_interval(e)}{'' if e.inside[0] else '; beyond the range of that family'})",
            markup=False,
        )
    for step in placement.next_benchmarks[:1]:
        out.print(
            f"measure next: {step.benchmark}; the place would be {share(step.shrinkage)} less "
            "uncertain",
            markup=False,
        )
    out.print()
    print_predictions("Predicted scores", placement.predictions)
    for target, reason in placement.unpredicted.items():
        out.print(f"{target}: not predicted: {reason}", style="dim", markup=False)
    if report is not None:
        out.print(f"report: {report}", markup=False)

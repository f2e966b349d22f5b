"""Results, placements and predictions are printed as tables on a terminal."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich.text import Text

from capspace.fit.report.words import (
    count,
    equivalent_flops,
    outside,
    reference_words,
    score,
    share,
)

from .options import console, print_table

if TYPE_CHECKING:
    from capspace.fit.decide import NextEvaluations
    from capspace.fit.prediction import Placement, Prediction

    from ..storage._receipt import Receipt
    from ..storage.result import Missing, Result

__all__ = [
    "failure_dict",
    "print_placements",
    "print_predictions",
    "print_reasons",
    "print_receipt",
    "print_results",
    "result_dict",
]


def result_dict(result: Result) -> dict[str, Any]:
    """Return a stored result as a JSON-safe mapping."""
    from capspace.fit._json import json_dict

    return json_dict(vars(result))


def failure_dict(failure: Missing) -> dict[str, str]:
    """Return a stored failure as a JSON-safe mapping."""
    names = ("model", "revision", "benchmark", "reason", "failed_at")
    return {name: getattr(failure, name) for name in names}


def print_results(results: Sequence[Result], *, sources: bool = False) -> None:
    """Print stored results, a table per model; models of one name by their revisions."""
    from capspace.fit.table.sampling import shown_stderr

    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.model, result.revision), []).append(result)
    n_revisions = Counter(model for model, _ in groups)
    for (model, revision), own in groups.items():
        columns = ["Benchmark", "Score", "Stderr", "Items", "Shots", "Protocol"]
        print_table(
            model if n_revisions[model] == 1 else f"{model} @ {revision[:12]}",
            [*columns, "Source"] if sources else columns,
            [
                (
                    r.benchmark,
                    score(r.score),
                    score(shown_stderr(r.score, r.stderr, r.n_items)),
                    _count(r.n_items),
                    _count(r.n_shot),
                    r.protocol,
                    *([r.source] if sources else []),
                )
                for r in own
            ],
            numbers=("Score", "Stderr", "Items", "Shots"),
        )
        for line in _unfinished(own):
            console().print(line, markup=False)


def _unfinished(results: Iterable[Result]) -> Iterator[str]:
    """Yield a line for each score that says more of the token budget than of the model."""
    from ..recorder.thoughts import MOST_UNFINISHED

    for result in results:
        unfinished = result.provenance.get("unfinished")
        if isinstance(unfinished, float) and unfinished > MOST_UNFINISHED:
            yield (
                f"{result.benchmark}: {unfinished:.1%} of the answers did not end their thought "
                "and count as wrong; the score is not comparable"
            )


def print_reasons(cells: Iterable[tuple[str, str, str]]) -> None:
    """Print why cells have no score, given as (model, benchmark, reason): a line per reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for model, benchmark, reason in cells:
        groups.setdefault((model, reason), []).append(benchmark)
    for (model, reason), benchmarks in groups.items():
        console().print(f"{model}: {', '.join(benchmarks)}: {reason}", markup=False)


def _count(n: int | None) -> str:
    return count(math.nan if n is None else n)


def print_receipt(receipt: Receipt) -> None:
    """Print what a score is made of: identity, versions, and a page of items."""
    out, r = console(), receipt.result
    out.print(f"{r.model} · {r.benchmark}", style="bold", markup=False)
    out.print(
        f"{score(r.score)} ± {score(r.stderr)} over {_count(r.n_items)} items; {r.source}",
        markup=False,
    )
    print_table("", ("Identity", ""), [(k, v) for k, v in _flat(json.loads(r.identity))])
    print_table("", ("Measured", ""), [*_flat(r.provenance)])
    for item in receipt.items:
        measures = ", ".join(f"{k} {v:g}" for k, v in item.metrics.items())
        out.rule(f"{item.task} {item.item}: {measures}", align="left", style="dim")
        out.print(Text(item.prompt))
        values = item.log_likelihoods or (None,) * len(item.answers)
        for answer, value in zip(item.answers, values, strict=True):
            number = "" if value is None else f"{value:10.4f}  "
            out.print(f"  {number}{answer!r}", style="cyan", markup=False)
        out.print(f"  expected {item.expected!r}", style="dim", markup=False)
    last = receipt.first + len(receipt.items)
    out.print()
    out.print(f"items {receipt.first} to {last - 1} of {receipt.n_items}", style="dim")


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested mappings as dotted names."""
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            text = inner if isinstance(inner, str) else json.dumps(inner)
            yield f"{prefix}{key}", text if len(text) < 200 else f"{text[:200]}…"


def print_predictions(title: str, predictions: Iterable[Prediction]) -> None:
    """Print one model's predictions, and which models they were fitted on."""
    every = list(predictions)
    rows = [p for p in every if math.isfinite(p.mean)]
    if rows:
        _print_prediction_rows(title, rows)
        _print_baselines(title, [p for p in rows if p.baselines])
    groups: dict[tuple[str, str], list[str]] = {}
    for p in every:
        if p.reason:
            forced = "refused, shown by --force" if p.status == "refused" else p.status
            label = forced if math.isfinite(p.mean) else "no number for"
            groups.setdefault((label, p.reason), []).append(p.target)
    for (label, reason), targets in groups.items():
        line = f"{', '.join(targets)}: {reason}"
        console().print(
            f"{label} {line}" if label == "no number for" else f"{label}: {line}", markup=False
        )


def _print_prediction_rows(title: str, rows: Sequence[Prediction]) -> None:
    has_status = any(p.status for p in rows)
    level = share(rows[0].level)
    print_table(
        title,
        (
            *("Name", "Prediction", f"{level} interval", "Best tenth"),
            *(("Status",) if has_status else ()),
            *("Support", "Fitted on"),
        ),
        [
            (
                p.target,
                score(p.mean),
                f"{score(p.lower)} – {score(p.upper)}",
                score(p.attainable),
                *((p.status or "not back-tested",) if has_status else ()),
                "inside" if p.support.inside else f"outside {outside(p)}",
                f"{p.n_models} models",
            )
            for p in rows
        ],
        numbers=("Prediction", f"{level} interval", "Best tenth"),
    )


def _print_baselines(title: str, rows: Sequence[Prediction]) -> None:
    """Print predictions beside what needs no law, in a table of their own to keep both narrow."""
    if not rows:
        return
    numbers = ("Prediction", *(name.capitalize() for name in rows[0].baselines))
    print_table(
        f"{title}: beside the baselines",
        ("Name", *numbers),
        [(p.target, score(p.mean), *map(score, p.baselines.values())) for p in rows],
        numbers=numbers,
    )


def print_placements(
    placements: Sequence[Placement],
    *,
    subtitle: Iterable[str] = (),
    following: Sequence[NextEvaluations | str] = (),
) -> None:
    """Print scores, then by each reference place, predictions, and what to measure next."""
    from capspace.fit.table.sampling import shown_stderr

    out, first = console(), placements[0]
    out.print()
    out.print(first.model, style="bold", markup=False)
    out.print(" · ".join(subtitle), style="dim", markup=False)
    for note in dict.fromkeys(note for placement in placements for note in placement.notes):
        out.print(note, style="yellow", markup=False)
    out.print()
    rows = first.table.scores.to_dict("records")
    print_table(
        "Measured scores",
        ("Benchmark", "Score", "Stderr", "Items", "Shots"),
        [
            (
                str(r["benchmark"]),
                score(r["score"]),
                score(shown_stderr(r["score"], r["stderr"], r["n_items"])),
                count(r["n_items"]),
                count(r["n_shot"]),
            )
            for r in rows
        ],
        numbers=("Score", "Stderr", "Items", "Shots"),
    )
    for placement, advice in zip_longest(placements, following[: len(placements)]):
        if len(placements) > 1:
            out.print()
            out.print(reference_words(placement.reference), style="bold", markup=False)
        _print_placement(placement, advice)
    if len(placements) > 1:
        from .side_by_side import print_shared, shared_predictions

        by_reference = {
            p.reference.name or p.reference.title: [*p.evaluated.values()] or p.predictions
            for p in placements
        }
        if shared_predictions(by_reference):
            print_shared(by_reference)


def _print_placement(placement: Placement, advice: NextEvaluations | str | None) -> None:
    """Print what one reference says of a model, and what to measure next for its targets."""
    out = console()
    missing: dict[str, list[str]] = {}
    for benchmark, reason in placement.missing.items():
        missing.setdefault(reason, []).append(benchmark)
    for reason, benchmarks in missing.items():
        out.print(f"{', '.join(benchmarks)}: {reason}", style="dim", markup=False)
    out.print()
    out.print("Place", style="bold")
    out.print(f"nearest: {', '.join(placement.nearest)}", markup=False)
    if placement.equivalent is not None:
        value, note = equivalent_flops(placement.equivalent)
        out.print(
            f"equivalent training compute in {placement.equivalent.family} terms: {value}"
            f"{f' ({note})' if note else ''}",
            markup=False,
        )
    is_known = advice is not None and not isinstance(advice, str)
    for step in () if is_known else placement.next_benchmarks[:1]:
        out.print(
            f"measure next: {step.benchmark}; the place would be {share(step.shrinkage)} less "
            f"uncertain{'' if step.reason == 'not measured' else f' (no score: {step.reason})'}"
            f"{f'; no width is known, as {advice}' if advice else ''}",
            markup=False,
        )
    out.print()
    print_predictions("Predicted scores", placement.predictions)
    for reason, targets in placement.unpredicted_by_reason().items():
        out.print(f"not predicted: {', '.join(targets)}: {reason}", style="dim", markup=False)
    if advice is not None and not isinstance(advice, str):
        from .decision_tables import print_next

        out.print()
        print_next(advice)
        for note in advice.notes:
            out.print(note, style="dim", markup=False)

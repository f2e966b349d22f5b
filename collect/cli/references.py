"""The commands ``references``, ``targets`` and ``models`` show what is predicted from what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as o
from . import references_build
from .references_show import NamedReferences, show_reference

if TYPE_CHECKING:
    from capspace.fit.reference import Reference, Target

__all__ = ["add_to"]

_ORDER = ("offered", "", "weak", "refused")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    group = typer.Typer(invoke_without_command=True, callback=references, cls=NamedReferences)
    group.command("show")(show_reference)
    references_build.add_to(group)
    app.add_typer(group, name="references")
    app.command()(targets)
    app.command()(models)


def references(context: typer.Context, as_json: o.Json = False) -> None:
    """Show the packaged references: their age, size, licence and attribution."""
    if context.invoked_subcommand is None:
        _list_references(as_json)


def _list_references(as_json: bool) -> None:
    from capspace.fit.reference import load_reference, reference_names

    from .chosen_reference import reference_dict

    rows: list[dict[str, Any]] = []
    for name in reference_names():
        known = load_reference(name)
        offered = [e for e in known.evaluations.values() if e.status == "offered"]
        rows.append(
            {
                **reference_dict(known),
                "n_models": len(known.table.facts["model"]),
                "n_families": len({f for f in known.table.facts["family"] if f}),
                "benchmarks": list(known.benchmarks),
                "n_targets": len(known.targets),
                "n_offered": len(offered) if known.evaluations else None,
                "sources": [s.model_dump(mode="json") for s in known.about.sources]
                if known.about is not None
                else [],
            }
        )
    if as_json:
        o.print_json(rows)
        return
    o.print_table(
        "References",
        ("Name", "Last model", "Models", "Families", "Targets", "Licence", "Benchmarks"),
        [
            (
                r["name"],
                str(r["date"]),
                str(r["n_models"]),
                str(r["n_families"]),
                str(r["n_targets"])
                + ("" if r["n_offered"] is None else f", {r['n_offered']} offered"),
                r["licence"],
                ", ".join(r["benchmarks"]),
            )
            for r in rows
        ],
        numbers=("Models", "Families"),
    )
    for r in rows:
        o.console().print(f"{r['name']}: {r['attribution']}", style="dim", markup=False)


def targets(reference: o.EveryReference = None, as_json: o.Json = False) -> None:
    """Show the targets that can be predicted, how well, and the data each law was fitted on.

    Without --reference, the targets of all packaged references are shown.
    """
    from capspace.fit.reference import load_reference, reference_names

    names: list[str | None] = [reference] if reference is not None else [*reference_names()]
    known = [load_reference(name) for name in names]
    rows = []
    for each in known:
        counts = each.training_counts()
        for target in sorted(each.targets.values(), key=lambda t: _place(each, t)):
            rows.append((each, target, *counts[target.name]))
    if as_json:
        o.print_json([_target_dict(*row) for row in rows])
        return
    for each in known:
        own = [(target, n, f) for reference, target, n, f in rows if reference is each]
        if each.evaluations:
            _print_evaluated(each, own)
        else:
            _print_described(each, own)


def _print_described(reference: Reference, rows: Sequence[tuple[Target, int, int]]) -> None:
    """Print targets that were not back-tested, with their descriptions."""
    o.print_table(
        _title(reference),
        ("Name", "Target", "Description", "Fitted on", "Predicted from"),
        [
            (
                target.name,
                target.label,
                target.description,
                f"{n} {target.population} models, {f} families",
                _space(reference, target),
            )
            for target, n, f in rows
        ],
    )


def _print_evaluated(reference: Reference, rows: Sequence[tuple[Target, int, int]]) -> None:
    """Print targets with what their back-tests found, offered ones first."""
    from .target_tables import evaluation_words

    o.print_table(
        _title(reference),
        ("Name", "Target", "Status", "With score", "Error", "Naive error", "Inside", "Why"),
        [
            (
                target.name,
                target.label,
                *evaluation_words(reference.evaluations.get(target.name), n),
                _reason(reference, target),
            )
            for target, n, _ in rows
        ],
        numbers=("With score", "Error", "Inside"),
    )


def _title(reference: Reference) -> str:
    if not reference.name:
        return "Targets"
    return (
        f"{reference.name} (models until {reference.date}), predicted from "
        f"{', '.join(reference.benchmarks)}"
    )


def _place(reference: Reference, target: Target) -> int:
    evaluation = reference.evaluations.get(target.name)
    return _ORDER.index("" if evaluation is None else evaluation.status)


def _target_dict(reference: Reference, target: Target, n: int, families: int) -> dict[str, Any]:
    evaluation = reference.evaluations.get(target.name)
    return {
        "reference": reference.name,
        **target.model_dump(mode="json"),
        "n_models": n,
        "n_families": families,
        "status": None if evaluation is None else evaluation.status,
        "reason": _reason(reference, target),
        "evaluation": None if evaluation is None else evaluation.to_dict(),
    }


def _reason(reference: Reference, target: Target) -> str:
    """Return why a target is not offered."""
    evaluation = reference.evaluations.get(target.name)
    return "" if evaluation is None else evaluation.reason


def _space(reference: Reference, target: Target) -> str:
    """Return which benchmarks a target is predicted from, the short way round."""
    used = reference.space_benchmarks(target)
    left_out = [b for b in reference.benchmarks if b not in used]
    return f"all but {', '.join(left_out)}" if left_out else f"all {len(used)} benchmarks"


def models(
    reference: o.StudyReference = None,
    family: Annotated[str | None, typer.Option(help="Show only models of this family.")] = None,
    as_json: o.Json = False,
) -> None:
    """Show the models of a reference, of study-2024 by default."""
    from capspace.fit._json import json_safe
    from capspace.fit.reference import load_reference
    from capspace.fit.report.words import flops, size

    known = load_reference(reference)
    table = known.table if family is None else known.table.select(families=[family])
    n_scores = Counter(table.rows["model"].tolist())
    columns = table.facts
    facts = [
        dict(zip(columns, row, strict=True))
        for row in zip(*(cells.tolist() for cells in columns.values()), strict=True)
    ]
    if as_json:
        o.print_json([json_safe({**f, "n_scores": n_scores[f["model"]]}) for f in facts])
        return
    o.print_table(
        f"{len(facts)} models",
        ("Model", "Family", "Tuning", "Released", "Parameters", "Tokens", "FLOPs", "Scores"),
        [
            (
                str(m["model"]),
                str(m["family"]),
                str(m["tuning"]),
                str(m["release_date"]),
                size(m["parameters"]),
                size(m["training_tokens"]),
                flops(m["training_flops"]),
                str(n_scores[m["model"]]),
            )
            for m in facts
        ],
        numbers=("Parameters", "Tokens", "FLOPs", "Scores"),
    )

"""The commands ``scores`` and ``panels`` show what was measured, and what can be measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capspace.tasks.panel import Benchmark

from ..errors import CollectError
from . import options as o
from .old_names import reading
from .shrinking import NamedPanels, shrink

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(scores)
    group = typer.Typer(invoke_without_command=True, callback=panels, cls=NamedPanels)
    group.command("show")(show_panel)
    group.command(cls=reading(by="--answers"))(shrink)
    app.add_typer(group, name="panels")


def scores(
    model: Annotated[str | None, typer.Argument(help="Show only this model's scores.")] = None,
    store: o.StorePath = None,
    as_json: o.Json = False,
    csv: o.Csv = None,
    of: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--receipt",
            metavar="MODEL BENCHMARK",
            help="Show the items, prompts and responses behind one score.",
        ),
    ] = None,
    first: Annotated[int, typer.Option(min=0, help="Index of the receipt's first item.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="Number of items that the receipt shows.")] = 10,
) -> None:
    """Show the scores in the store, and where each of them comes from.

    --csv writes them in the long form that predict can read.
    """
    from capspace.fit._files import write_whole
    from capspace.fit.errors import near_matches

    from ..storage.score_table import to_table
    from .show import failure_dict, print_reasons, print_results, result_dict

    if of is not None:
        _receipt(store, of, first, count, as_json)
        return
    with o.open_store(store, must_write=False) as opened:
        path = opened.path
        results = opened.results(model=model)
        failures = [f for f in opened.failures() if model in (None, f.model)]
        if model is not None and not results and not failures:
            known = dict.fromkeys(r.model for r in opened.results())
            raise CollectError(f"{path} has no scores of {model!r}{near_matches(model, known)}")
    if csv is not None:
        try:
            write_whole(csv, to_table(results).scores.to_csv(index=False))
        except OSError as error:
            raise CollectError(f"cannot write {csv}: {error.strerror or error}") from None
    if as_json:
        o.print_json(
            {
                "results": [result_dict(r) for r in results],
                "failures": [failure_dict(f) for f in failures],
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
    from ..storage._receipt import receipt
    from .show import print_receipt

    with o.open_store(store, must_write=False) as opened:
        receipts = receipt(opened, *of, first=first, count=count)
    if as_json:
        o.print_json([r.to_dict() for r in receipts])
    else:
        for each in receipts:
            print_receipt(each)


def panels(context: typer.Context, as_json: o.Json = False) -> None:
    """Show the panels: which benchmarks each of them measures, and by which protocol."""
    from capspace.tasks.panel import panel_names

    if context.invoked_subcommand is None:
        _show_panels(panel_names(), as_json)


def show_panel(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A panel's name, or the path of its YAML file.")
    ],
    as_json: o.Json = False,
) -> None:
    """Show one panel."""
    before = context.parent is not None and context.parent.params["as_json"]  # panels --json NAME
    _show_panels([name], as_json or before)


def _show_panels(names: list[str], as_json: bool) -> None:
    from capspace.tasks.panel import load_panel

    chosen = [load_panel(name) for name in names]
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
                    _metric(b),
                    "–" if b.chance is None else f"{b.chance:g}",
                )
                for b in panel.benchmarks
            ],
            numbers=("Shots", "Chance"),
        )
        if panel.differences:
            o.print_table(
                "What matches the board, and what does not",
                ("", "The board", "lm-eval", "This panel", "Why"),
                [
                    tuple(
                        text.replace("`", "")
                        for text in (d.subject, d.board, d.lm_eval, d.panel, d.reason)
                    )
                    for d in panel.differences
                ],
            )


def _metric(benchmark: Benchmark) -> str:
    """Return metric and filter, with how many items and samples where a panel says so."""
    chosen = "" if benchmark.filter == "none" else f" ({benchmark.filter})"
    items = "" if benchmark.items is None else f", {benchmark.items:,} items"
    if benchmark.estimate is not None:
        own = benchmark.estimate
        items = f", estimated from {own.n_items:,} of {own.n_all:,} items (± {own.error:.3f})"
    samples = "" if benchmark.repeats is None else f", {benchmark.repeats} samples"
    return f"{benchmark.metric}{chosen}{items}{samples}"

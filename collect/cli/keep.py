"""Commands that look after the store: info, check, compact, remove."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from . import options as o

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    sub = typer.Typer(help="Look after the store: its size, its integrity.", no_args_is_help=True)
    for command in (info, check, compact, remove):
        sub.command()(command)
    app.add_typer(sub, name="store")


def info(store: o.StorePath = None, as_json: o.Json = False) -> None:
    """Show what the store holds and how much room it takes."""
    from capspace.fit.report.words import count

    from ..storage.maintenance import store_info

    with o.open_store(store, must_write=False) as kept:
        found = store_info(kept)
    if as_json:
        o.print_json(found.to_dict())
        return
    o.console().print(str(found.path), style="bold", markup=False)
    o.print_table(
        "",
        ("Model", "Scores", "Answers"),
        [
            (name, count(found.n_results.get(name, 0)), count(found.n_answers.get(name, 0)))
            for name in dict.fromkeys([*found.n_results, *found.n_answers])
        ],
        numbers=("Scores", "Answers"),
    )
    parts = ", ".join(f"{part} {n / 1e6:,.1f} MB" for part, n in found.n_bytes.items())
    o.console().print(f"{parts}; {found.n_quarantined} damaged files put aside", markup=False)
    if found.longest_unanswered is not None:
        o.console().print(
            f"{count(found.n_unanswered)} requests got no answer; the longest has "
            f"{count(found.longest_unanswered)} characters",
            markup=False,
        )


def check(store: o.StorePath = None, as_json: o.Json = False) -> None:
    """Read everything and name what is not whole; exit code 1 if anything is."""
    from ..storage.maintenance import check_store

    with o.open_store(store, must_write=False) as kept:
        problems = check_store(kept)
    if as_json:
        o.print_json({"problems": problems})
    else:
        for line in problems or ["everything is whole"]:
            o.console().print(line, markup=False, soft_wrap=True)
    if problems:
        sys.exit(1)


def compact(store: o.StorePath = None) -> None:
    """Give back room that is not used, and delete what stopped runs and damage left behind."""
    from ..storage.maintenance import compact_store

    with o.open_store(store) as kept:
        before, after = compact_store(kept)
    o.console().print(f"{before / 1e6:,.1f} MB before, {after / 1e6:,.1f} MB after", markup=False)


def remove(
    model: Annotated[str, typer.Argument(help="Name as capspace store info or scores shows it.")],
    benchmark: Annotated[str | None, typer.Option(help="Only this score.")] = None,
    store: o.StorePath = None,
) -> None:
    """Remove a model's scores, samples, answers and failures."""
    from ..storage.maintenance import remove_model

    with o.open_store(store) as kept:
        gone = remove_model(kept, model, benchmark=benchmark)
    failures = f", and {gone.n_failures} failures" if gone.n_failures else ""
    o.console().print(
        f"removed {gone.n_scores} scores and {gone.n_answers} answers{failures}", markup=False
    )

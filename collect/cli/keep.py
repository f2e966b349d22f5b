"""The commands ``store info``, ``check``, ``compact`` and ``remove`` maintain the store."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from . import options as o

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    sub = typer.Typer(
        help="Maintain the store: its size, its integrity, and what it holds.", no_args_is_help=True
    )
    for command in (info, check, compact, remove):
        sub.command()(command)
    app.add_typer(sub, name="store")


def info(store: o.StorePath = None, as_json: o.Json = False) -> None:
    """Show what the store holds and how much disk space it takes."""
    from capspace.fit.report.words import count

    from ..storage.maintenance import store_info

    with o.open_store(store, must_write=False) as opened:
        held = store_info(opened)
    if as_json:
        o.print_json(held.to_dict())
        return
    o.console().print(str(held.path), style="bold", markup=False)
    names = list(dict.fromkeys([*held.n_results, *held.n_responses]))
    if names:
        o.print_table(
            "",
            ("Model", "Scores", "Responses"),
            [
                (name, count(held.n_results.get(name, 0)), count(held.n_responses.get(name, 0)))
                for name in names
            ],
            numbers=("Scores", "Responses"),
        )
    else:
        o.console().print("no score and no response is stored here yet")
    parts = ", ".join(f"{part} {n / 1e6:,.1f} MB" for part, n in held.n_bytes.items())
    o.console().print(f"{parts}; {held.n_quarantined} damaged files quarantined", markup=False)
    if held.longest_without_response is not None:
        o.console().print(
            f"{count(held.n_without_response)} requests got no response; the longest has "
            f"{count(held.longest_without_response)} characters",
            markup=False,
        )


def check(store: o.StorePath = None, as_json: o.Json = False) -> None:
    """Read the whole store and name what is damaged; the exit code is 1 if anything is."""
    from ..storage.maintenance import check_store

    with o.open_store(store, must_write=False) as opened:
        problems = check_store(opened)
    if as_json:
        o.print_json({"problems": problems})
    else:
        for line in problems or ["everything is intact"]:
            o.console().print(line, markup=False, soft_wrap=True)
    if problems:
        sys.exit(1)


def compact(store: o.StorePath = None) -> None:
    """Free unused disk space, and delete what interrupted runs and damage left behind."""
    from ..storage.maintenance import compact_store

    with o.open_store(store) as opened:
        before, after = compact_store(opened)
    o.console().print(f"{before / 1e6:,.1f} MB before, {after / 1e6:,.1f} MB after", markup=False)


def remove(
    model: Annotated[
        str, typer.Argument(help="Model to remove, by the name that `capspace store info` shows.")
    ],
    benchmark: Annotated[str | None, o.benchmark()] = None,
    store: o.StorePath = None,
) -> None:
    """Remove a model's scores, samples, responses and failures."""
    from capspace.fit._display import counted

    from ..storage.maintenance import remove_model

    with o.open_store(store) as opened:
        gone = remove_model(opened, model, benchmark=benchmark)
    failures = f", and {counted(gone.n_failures, 'failure')}" if gone.n_failures else ""
    counts = f"{counted(gone.n_scores, 'score')} and {counted(gone.n_responses, 'response')}"
    o.console().print(f"removed {counts}{failures}", markup=False)

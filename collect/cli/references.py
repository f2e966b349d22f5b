"""The commands of ``capspace references`` list and build references of published scores."""

from __future__ import annotations

import typer

from . import references_build

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line, below ``references``."""
    group = typer.Typer(
        help="Build references, the tables of published scores that predictions come from.",
        no_args_is_help=True,
    )
    references_build.add_to(group)
    app.add_typer(group, name="references")

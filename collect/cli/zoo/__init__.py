"""The commands of ``capspace zoo`` measure many checkpoints and fit a law to their scores."""

from __future__ import annotations

import typer

from ..old_names import reading
from .following import cancel, retry, status
from .measuring import plan, run
from .results import export, fit
from .starting import init

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line, below ``zoo``."""
    group = typer.Typer(
        help="Measure many checkpoints on one machine or on Slurm, and fit the law they follow.",
        no_args_is_help=True,
    )
    for command in (init, plan, run, status, retry, cancel, fit, export):
        measures = command in (plan, run)
        group.command(cls=reading(budget="--compute-budget") if measures else None)(command)
    app.add_typer(group, name="zoo")

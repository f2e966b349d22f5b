"""Commands that keep the store."""

import typer

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""

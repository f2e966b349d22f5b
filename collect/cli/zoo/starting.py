"""The command ``zoo init`` begins a zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options as o

__all__ = ["init"]


def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("zoo.yaml"),
) -> None:
    """Write a commented zoo.yaml that lists the checkpoints beside it; never overwrite a file.

    It works unchanged, with items that come with capspace. Edit it to name other checkpoints.
    """
    from ...zoo.config.example import write_example

    globs = write_example(path)
    what = (
        f"it names {', '.join(globs)}"
        if globs
        else "put checkpoints into models/, or name them there"
    )
    o.console().print(f"wrote {path}: {what}; then `capspace zoo plan {path}`", soft_wrap=True)

"""Every command of a zoo opens the zoo.yaml, its store and its folder in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import console

if TYPE_CHECKING:
    from ...storage.store import Store
    from ...zoo.config.config import ZooFile
    from ...zoo.work.folder import ZooFolder

__all__ = ["ZooPath", "opened_zoo", "read_file"]

ZooPath = Annotated[Path, typer.Argument(help="The zoo.yaml.", metavar="ZOO_YAML")]


def read_file(path: Path) -> ZooFile:
    """Read a zoo.yaml, and say which of its names are old."""
    from ...zoo.config.config import read_zoo

    file = read_zoo(path)
    for notice in file.notices:
        console(stderr=True).print(notice, style="yellow", markup=False, soft_wrap=True)
    return file


@contextmanager
def opened_zoo(
    file: ZooFile, store: Path | None, *, must_have_run: bool = False
) -> Iterator[tuple[Store, ZooFolder]]:
    """Open the store and the folder of a zoo; results that workers left are in the store then.

    Neither is made before something is written to it. A command for a zoo that ``must_have_run``
    refuses another one.
    """
    from ...zoo.driver import import_outcomes, open_zoo
    from ...zoo.work.folder import ZooFolder

    with open_zoo(file, store, must_have_run=must_have_run) as opened:
        folder = ZooFolder.of(opened, file.name, create=False)
        import_outcomes(folder, opened)
        yield opened, folder

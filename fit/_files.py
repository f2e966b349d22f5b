"""A file is written whole or not at all, wherever a user's path leads: a link, a pipe, a mount."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import BinaryIO

__all__ = [
    "append_line",
    "making_folder",
    "replacing",
    "write_new",
    "write_together",
    "write_whole",
]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to, of the same name, which becomes ``path`` where nothing fails.

    On an error the new file is removed and an earlier one stays as it was. A link keeps pointing
    where it did; what is no plain file, such as a pipe, is written to as it is.

    Raises
    ------
    OSError
        The file cannot be written, or the links of its path lead around a circle.

    """
    try:
        is_plain = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        is_plain = True
    if not is_plain:
        yield path
        return
    target = Path(os.path.realpath(path))
    folder = _folder_for(target)  # keeps the name, of whatever length: its ending is the format
    try:
        partial = folder / path.name
        yield partial
        _put(partial, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8, whole or not at all."""
    write_together({path: content})


def write_together(contents: Mapping[Path, str | bytes]) -> None:
    """Write files that belong together; where one of them does not fit, none is replaced."""
    with ExitStack() as stack:
        for path, content in contents.items():
            partial = stack.enter_context(replacing(path))
            partial.write_bytes(_as_bytes(content))


def write_new(path: Path, content: str | bytes) -> None:
    """Write a file that is not there yet, whole or not at all.

    Raises
    ------
    FileExistsError
        It is there already, and stays as it was.

    """
    with path.open("xb", buffering=0) as file:
        try:
            _write_all(file, _as_bytes(content))
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def append_line(path: Path, line: str) -> None:
    """Append a line to a file, and make the file if it is not there; on an error all is as it was.

    A last line without its end gets one first. The line is on disk when this returns.
    """
    is_new = not path.exists()
    with making_folder(path.parent), path.open("a+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        try:
            file.seek(max(size - 1, 0))
            has_end = file.read(1) in (b"", b"\n")
            _write_all(file, _as_bytes(line + "\n" if has_end else f"\n{line}\n"))
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(size)
            if is_new:
                Path(os.path.realpath(path)).unlink()  # what a link leads to, not the link
            raise


@contextmanager
def making_folder(folder: Path) -> Iterator[None]:
    """Make a folder and those above it; on an error those that are new and empty are removed."""
    new = [f for f in (folder, *folder.parents) if not f.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for made in new:  # the deepest first
            with suppress(OSError):  # it was never made, or others write into it
                made.rmdir()
        raise


def _folder_for(target: Path) -> Path:
    """Return a new folder to write in: beside a file, or elsewhere where nothing may be put there.

    That is so for a file that may be written in a folder that may not.
    """
    try:
        return Path(mkdtemp(prefix=".partial-", dir=target.parent))
    except OSError:
        if not os.access(target, os.W_OK):
            raise
    return Path(mkdtemp())


def _put(partial: Path, target: Path) -> None:
    """Move a file to its place, or write it over one that cannot be replaced, such as a mount."""
    if not target.exists():
        partial.replace(target)
        return
    shutil.copymode(target, partial)
    try:
        partial.replace(target)
    except OSError:
        _overwrite(target, partial.read_bytes())


def _overwrite(target: Path, content: bytes) -> None:
    """Write over a file in place; on an error it gets back what it held."""
    with target.open("r+b", buffering=0) as file:
        earlier = file.read()
        try:
            _rewrite(file, content)
        except BaseException:
            _rewrite(file, earlier)
            raise


def _rewrite(file: BinaryIO, content: bytes) -> None:
    file.seek(0)
    _write_all(file, content)
    file.truncate(len(content))  # after it, so that the disk's room is never given away


def _write_all(file: BinaryIO, content: bytes) -> None:
    """Write to an unbuffered file, which may take a part at a time."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def _as_bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content

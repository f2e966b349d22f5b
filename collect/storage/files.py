"""Files are written whole or not at all, and are on disk when the caller needs them there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["replaced_file", "sync_path", "write_atomically"]


def write_atomically(path: Path, content: str | bytes, *, sync: bool = True) -> None:
    """Write a file so that a reader sees the previous content or the new one, never a part.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    content : str or bytes
        Text is written as UTF-8.
    sync : bool, default True
        Whether the content is on disk when the call returns. Without it a power cut may cost the
        file, so leave it out only for what is cheap to compute again.

    Raises
    ------
    OSError
        The file cannot be written; what was at ``path`` before is unchanged.

    """
    with replaced_file(path, sync=sync) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replaced_file(path: Path, *, sync: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the place of ``path`` at the end of the block.

    Where the block raises, the temporary file is removed and ``path`` is unchanged. A process
    that is killed leaves a hidden ``.<random>.part`` beside it.
    """
    # Not tempfile: its files are closed to the group, which may share the folder.
    # Without the name, which may be as long as a name can be.
    part = path.with_name(f".{secrets.token_hex(6)}.part")
    try:
        with part.open("xb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if sync:
        sync_path(path.parent)


def sync_path(path: Path) -> None:
    """Wait until a file's content is on disk, or of a folder the names of its files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""A digest of a reference's tables tells whether stored laws were fitted to them."""

from __future__ import annotations

import gzip
import zlib
from hashlib import sha256
from importlib.resources.abc import Traversable

from ..errors import TableError

__all__ = ["TABLES", "table_content", "tables_digest"]

TABLES = ("scores.csv", "models.csv")


def tables_digest(folder: Traversable) -> str:
    """Return the SHA-256 of scores and models; "" where a folder does not have both.

    Compression and the ends of lines do not move it.
    """
    if not all((folder / n).is_file() or (folder / f"{n}.gz").is_file() for n in TABLES):
        return ""
    digest = sha256()
    for name in TABLES:
        content = table_content(folder, name).replace(b"\r\n", b"\n")
        digest.update(b"%s %d\n" % (name.encode(), len(content)))
        digest.update(content)
    return digest.hexdigest()


def table_content(folder: Traversable, name: str) -> bytes:
    """Return the bytes of a table, compressed (NAME.gz, which goes first) or not.

    Raises
    ------
    TableError
        It cannot be read; the message names it.

    """
    packed = folder / f"{name}.gz"
    file = packed if packed.is_file() else folder / name
    try:
        return gzip.decompress(file.read_bytes()) if file is packed else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise TableError(f"{file}: {error}") from None

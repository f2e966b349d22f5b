"""A digest of a reference's tables tells whether stored laws were fitted to them."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

from .._digests import sha256
from ..errors import TableError

if TYPE_CHECKING:
    from ._reference import Reference

__all__ = ["TABLES", "table_content", "tables_digest"]

TABLES = ("scores.csv", "models.csv")


def tables_digest(folder: Traversable, reference: Reference) -> str:
    """Return two SHA-256, of the tables and of the entries; "" where a table is missing.

    The first is of scores and models; compression and the ends of lines do not move it. The second
    is of what else decides a fit: the kind of the reference, its benchmarks and targets in their
    order, and what the benchmarks measure. Descriptions may be improved.
    """
    if not all((folder / n).is_file() or (folder / f"{n}.gz").is_file() for n in TABLES):
        return ""
    digest = hashlib.sha256()
    for name in TABLES:
        content = table_content(folder, name).replace(b"\r\n", b"\n")
        digest.update(b"%s %d\n" % (name.encode(), len(content)))
        digest.update(content)
    entries = {
        "kind": reference.kind,
        "benchmarks": [[b.name, b.measures] for b in reference.benchmarks.values()],
        "targets": list(reference.targets),
    }
    text = json.dumps(entries, ensure_ascii=False)
    return f"{digest.hexdigest()} {sha256(text)}"


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

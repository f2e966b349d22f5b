"""Tables that others publish are read, compared with each other, and built into a reference."""

from ._building import BuiltReference, build_reference
from ._imported import ImportedTable, Terms
from ._joining import Join
from ._reading import IMPORTERS, kind_of, read_published
from ._updating import update_reference
from ._writing import write_reference
from .artificial_analysis import from_answers

__all__ = [
    "IMPORTERS",
    "BuiltReference",
    "ImportedTable",
    "Join",
    "Terms",
    "build_reference",
    "from_answers",
    "kind_of",
    "read_published",
    "update_reference",
    "write_reference",
]

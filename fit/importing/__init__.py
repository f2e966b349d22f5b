"""Published tables are read, compared with each other, and built into a reference."""

from ._building import BuiltReference, build_reference
from ._imported import ImportedTable, SourceTerms
from ._joining import JoinedModel
from ._reading import read_published
from ._updating import update_reference
from ._writing import write_reference

__all__ = [
    "BuiltReference",
    "ImportedTable",
    "JoinedModel",
    "SourceTerms",
    "build_reference",
    "read_published",
    "update_reference",
    "write_reference",
]

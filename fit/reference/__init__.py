"""A reference holds published scores of known models, and the targets they predict."""

from ._entries import About, Benchmark, Evaluation, Kind, Population, Source, Status, Target
from ._load import load_reference
from ._packaged import reference_names
from ._reference import Reference, target_training_table
from .choice import ReferenceChoice, choose_reference

__all__ = [
    "About",
    "Benchmark",
    "Evaluation",
    "Kind",
    "Population",
    "Reference",
    "ReferenceChoice",
    "Source",
    "Status",
    "Target",
    "choose_reference",
    "load_reference",
    "reference_names",
    "target_training_table",
]

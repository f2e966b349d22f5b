"""A reference holds published scores of known models, and the targets they predict."""

from ._load import (
    Benchmark,
    Population,
    Reference,
    Target,
    load_reference,
    target_training_table,
)

__all__ = [
    "Benchmark",
    "Population",
    "Reference",
    "Target",
    "load_reference",
    "target_training_table",
]

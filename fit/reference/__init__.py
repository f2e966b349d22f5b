"""The reference: published scores of known models, and the targets they make predictable."""

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

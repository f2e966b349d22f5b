"""A run may consist of several processes, as torchrun and accelerate start them."""

from __future__ import annotations

import os

__all__ = ["group_size", "is_helper"]


def group_size() -> int:
    """Return how many processes torchrun or accelerate started as one run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_helper() -> bool:
    """Return whether another process of this run keeps and shows the results."""
    return group_size() > 1 and os.environ.get("RANK", "0") != "0"

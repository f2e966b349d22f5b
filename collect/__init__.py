"""Gather scores: checkpoints, the store, the harness adapter, the command line."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capspace.collect._place import place
    from capspace.collect.runner import collect_scores
    from capspace.collect.store import Store

__all__ = ["Store", "collect_scores", "place"]

_MODULES = {"Store": "store", "collect_scores": "runner", "place": "_place"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)

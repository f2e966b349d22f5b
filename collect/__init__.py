"""Gather scores: checkpoints, the store, the harness adapter, the command line."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if __name__ != "capspace.collect":
    raise ImportError(
        f"this package is capspace.collect, not {__name__}: install it (pip install -e .)"
    )

if TYPE_CHECKING:
    from .run._place import place
    from .run.collect import collect_scores
    from .settings import LoadSettings, RunSettings
    from .storage.store import Store

__all__ = ["LoadSettings", "RunSettings", "Store", "collect_scores", "place"]

_MODULES = {
    "LoadSettings": "settings",
    "RunSettings": "settings",
    "Store": "storage.store",
    "collect_scores": "run.collect",
    "place": "run._place",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)

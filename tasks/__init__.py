"""Panels, protocols and data define what is measured, and import nothing of capspace."""

if __name__ != "capspace.tasks":
    raise ImportError(
        f"this package is capspace.tasks, not {__name__}: install it (pip install -e .)"
    )

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import PanelError

if TYPE_CHECKING:
    from .panel import Benchmark, Panel, load_panel, panel_names

__all__ = ["Benchmark", "Panel", "PanelError", "load_panel", "panel_names"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.panel"), name)

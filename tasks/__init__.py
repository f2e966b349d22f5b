"""Panels, protocols and data define what is measured, and import nothing of capspace."""

if __name__ != "capspace.tasks":
    raise ImportError(
        f"this package is capspace.tasks, not {__name__}: install it (pip install -e .)"
    )

from .errors import PanelError
from .panel import Benchmark, Panel, load_panel, panel_names

__all__ = ["Benchmark", "Panel", "PanelError", "load_panel", "panel_names"]

"""What is measured: panels, protocols, data; plain data that imports nothing of capspace."""

if __name__ != "capspace.tasks":
    raise ImportError(
        f"this package is capspace.tasks, not {__name__}: install it (pip install -e .)"
    )

from .errors import PanelError
from .panel import Benchmark, Panel, load_panel, panel_names

__all__ = ["Benchmark", "Panel", "PanelError", "load_panel", "panel_names"]

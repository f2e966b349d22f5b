"""What is measured: panels, protocols, data; plain data that imports nothing of capspace."""

from capspace.tasks.errors import PanelError
from capspace.tasks.panel import Benchmark, Panel, load_panel, panel_names

__all__ = ["Benchmark", "Panel", "PanelError", "load_panel", "panel_names"]

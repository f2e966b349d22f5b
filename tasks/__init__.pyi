from .errors import PanelError as PanelError
from .panel import Benchmark as Benchmark
from .panel import Panel as Panel
from .panel import load_panel as load_panel
from .panel import panel_names as panel_names

"""Each function takes fitted results and returns a matplotlib Figure; none fits or shows."""

from ..law.path import Curve
from .backtest import (
    draw_backtest,
    draw_backtest_baselines,
    draw_backtest_predictions,
)
from .decisions import draw_cost_and_width
from .efficiency import draw_efficiency
from .errors import draw_baselines, draw_error_curves, draw_predicted
from .gain import Treatment, draw_gain, draw_gain_analysis, draw_weights
from .law import NewModel, draw_target
from .placement import draw_predictions, draw_scores
from .selection import draw_budget_curve, draw_selection
from .space import draw_map, draw_space
from .stopping import draw_stopping
from .style import save

__all__ = [
    "Curve",
    "NewModel",
    "Treatment",
    "draw_backtest",
    "draw_backtest_baselines",
    "draw_backtest_predictions",
    "draw_baselines",
    "draw_budget_curve",
    "draw_cost_and_width",
    "draw_efficiency",
    "draw_error_curves",
    "draw_gain",
    "draw_gain_analysis",
    "draw_map",
    "draw_predicted",
    "draw_predictions",
    "draw_scores",
    "draw_selection",
    "draw_space",
    "draw_stopping",
    "draw_target",
    "draw_weights",
    "save",
]

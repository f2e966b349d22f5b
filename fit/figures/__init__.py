"""Figures: each takes fitted results and returns a matplotlib Figure; none fits, none shows."""

from capspace.fit.figures.backtest import (
    draw_backtest,
    draw_backtest_baselines,
    draw_backtest_predictions,
)
from capspace.fit.figures.efficiency import draw_efficiency
from capspace.fit.figures.errors import draw_baselines, draw_error_curves, draw_predicted
from capspace.fit.figures.gain import Treatment, draw_gain, draw_weights
from capspace.fit.figures.law import NewModel, draw_target
from capspace.fit.figures.placement import draw_predictions, draw_scores
from capspace.fit.figures.selection import draw_selection
from capspace.fit.figures.space import draw_map, draw_space
from capspace.fit.figures.style import save
from capspace.fit.path import Curve

__all__ = [
    "Curve",
    "NewModel",
    "Treatment",
    "draw_backtest",
    "draw_backtest_baselines",
    "draw_backtest_predictions",
    "draw_baselines",
    "draw_efficiency",
    "draw_error_curves",
    "draw_gain",
    "draw_map",
    "draw_predicted",
    "draw_predictions",
    "draw_scores",
    "draw_selection",
    "draw_space",
    "draw_target",
    "draw_weights",
    "save",
]

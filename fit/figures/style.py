"""All figures share one style of type and colours, and are saved by one function."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from .._files import making_folder, replacing

__all__ = [
    "ACCENT",
    "BLUE",
    "DIVERGING",
    "GREEN",
    "GREY",
    "INK",
    "LIGHT",
    "ORANGE",
    "PURPLE",
    "SKY",
    "format_flops",
    "headline",
    "new_figure",
    "panel",
    "save",
    "short_name",
    "signed",
    "styled",
]

# Okabe & Ito's colours, told apart with any colour vision; yellow is too light for white paper.
BLUE, ACCENT, GREEN = "#0072B2", "#D55E00", "#009E73"
ORANGE, SKY, PURPLE = "#E69F00", "#56B4E9", "#CC79A7"
INK, GREY, LIGHT = "#222222", "#6b6b6b", "#d9d9d9"
DIVERGING = "PuOr_r"

_RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 11,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8a8a8a",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#ececec",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "xtick.major.size": 3.5,
    "ytick.major.size": 3.5,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "legend.handletextpad": 0.4,
    "legend.borderaxespad": 0.2,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Outlines instead of text: the figure looks the same where the font is not installed.
    "svg.fonttype": "path",
    "svg.hashsalt": "capspace",
}

P = ParamSpec("P")
R = TypeVar("R")


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function in the house style, leaving matplotlib's settings as they were."""

    @wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        with style.context(_RC):
            return function(*args, **kwargs)

    return inner


def new_figure(width: float = 7.2, height: float = 4.5) -> Figure:
    """Return an empty figure, in inches, laid out by constraints; no pyplot state is touched."""
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    return figure


def panel(width: float = 7.2, height: float = 4.5) -> tuple[Figure, Axes]:
    """Return a figure with one set of axes."""
    figure = new_figure(width, height)
    return figure, figure.add_subplot()


def headline(axes: Axes, title: str, subtitle: str = "") -> None:
    """Write a title flush left, with a quieter line under it."""
    text = axes.set_title(title, loc="left", pad=24 if subtitle else 8)
    if subtitle:
        # Hung on the title itself, which moves up by itself where there is a top axis.
        axes.annotate(
            subtitle,
            (0, 0),
            (0, -4),
            xycoords=text,
            textcoords="offset points",
            va="top",
            fontsize=9.5,
            color=GREY,
            annotation_clip=False,
        )


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, a true minus, and no sign where it rounds to zero."""
    text = f"{value:+.{digits}f}"
    if float(text) == 0:
        return text[1:]
    return text.replace("-", "−")


def short_name(model: str) -> str:
    """Return a model's name without its organisation and its ``-hf`` ending."""
    return model.rstrip("/").rsplit("/", 1)[-1].removesuffix("-hf")


def format_flops(flops: float) -> str:
    """Return FLOPs as mathtext, ``8.4 × 10²²``."""
    mantissa, exponent = f"{flops:.1e}".split("e")
    return rf"${mantissa}\times10^{{{int(exponent)}}}$"


@styled
def save(figure: Figure, path: str | Path, *, dpi: int = 200) -> list[Path]:
    """Write a figure as PNG and as SVG beside each other; return both paths.

    Parameters
    ----------
    figure : Figure
        The same figure gives the same bytes.
    path : path
        It may end in .png, .svg or nothing; its folder is made if it is not there.
    dpi : int, default 200
        Resolution of the PNG.

    See Also
    --------
    write_report : Saves all figures of a placement, with a page.

    Examples
    --------
    >>> from capspace.fit import draw_baselines, save
    >>> figure = draw_baselines({"law": 1e-3, "FLOPs": 0.04}, ours="law", label="BBH")
    >>> [path.name for path in save(figure, "baselines")]
    ['baselines.png', 'baselines.svg']

    """
    stem = Path(path)
    if stem.suffix in {".png", ".svg"}:
        stem = stem.with_suffix("")
    png, svg = (stem.with_name(stem.name + ending) for ending in (".png", ".svg"))
    # Laid out once for both, as each time takes as long as drawing does, and by the canvas and at
    # the resolution of the PNG, which then has the sizes of all texts at hand.
    layout, canvas, resolution = figure.get_layout_engine(), figure.canvas, figure.dpi
    FigureCanvasAgg(figure)
    figure.dpi = dpi
    try:
        if layout is not None:
            layout.execute(figure)
        figure.set_layout_engine(None)
        with making_folder(stem.parent), replacing(png) as drawn, replacing(svg) as outlined:
            figure.savefig(
                drawn, dpi=dpi, metadata={"Software": None}, pil_kwargs={"compress_level": 3}
            )
            figure.savefig(outlined, metadata={"Date": None, "Creator": "capspace"})
    finally:
        figure.set_layout_engine(layout)
        figure.dpi = resolution
        figure.set_canvas(canvas)
    return [png, svg]

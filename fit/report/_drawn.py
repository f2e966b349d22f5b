"""The page's figures are written beside it and embedded in it as data."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

__all__ = ["Drawn", "written"]


@dataclass(frozen=True)
class Drawn:
    """A figure on disk and in the page."""

    uri: str
    caption: str


def written(figure: Figure, caption: str, path: Path) -> Drawn:
    """Write a figure as PNG and SVG, ``path`` without the ending, and return it for the page."""
    from ..figures import save

    svg = next(file for file in save(figure, path) if file.suffix == ".svg")
    data = base64.b64encode(svg.read_bytes()).decode("ascii")
    return Drawn(f"data:image/svg+xml;base64,{data}", caption)

"""Write the page of the reproduction: sections of words, tables and figures in one file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape

__all__ = ["Card", "Gallery", "Section", "Shown", "Table", "embed", "render_page"]


@dataclass(frozen=True)
class Shown:
    """A drawn figure: its file's name, its caption, and itself as a data URI."""

    name: str
    caption: str
    uri: str


@dataclass(frozen=True)
class Table:
    """A table of texts; the first ``text_columns`` are words, the others numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    note: str = ""
    text_columns: int = 1
    folded: bool = False


@dataclass(frozen=True)
class Gallery:
    """Figures side by side, in one, two or three columns."""

    figures: Sequence[Shown]
    columns: int = 2
    title: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    id: str
    title: str
    texts: Sequence[str] = ()
    tables: Sequence[Table] = ()
    galleries: Sequence[Gallery] = ()


@dataclass(frozen=True)
class Card:
    """A headline number."""

    label: str
    value: str
    note: str


def embed(svg: Path, caption: str) -> Shown:
    """Return an SVG file as a figure that the page holds itself."""
    data = base64.b64encode(svg.read_bytes()).decode("ascii")
    return Shown(svg.stem, caption, f"data:image/svg+xml;base64,{data}")


def render_page(
    sections: Sequence[Section], cards: Sequence[Card], *, subtitle: str, footer: str
) -> str:
    """Return the page's HTML; all text is escaped."""
    environment = Environment(
        loader=PackageLoader("capspace.fit.studies.ruan2024", package_path=""),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
    )
    template = environment.get_template("page.html.j2")
    return template.render(sections=sections, cards=cards, subtitle=subtitle, footer=footer)

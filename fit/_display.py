"""Results have a one-line repr and, in a notebook, a line of text above a table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["counted", "frame_html"]

_MOST_ROWS = 60


class _HasFrame(Protocol):
    def to_frame(self) -> pd.DataFrame:
        """Return the result's data."""


def frame_html(result: _HasFrame) -> str:
    """Return a result's ``repr`` and data frame as HTML; all text from outside is escaped."""
    table = result.to_frame().to_html(
        max_rows=_MOST_ROWS, border=0, na_rep="–", float_format="{:.4g}".format
    )
    return f"<p><code>{escape(repr(result))}</code></p>\n{table}"


def counted(n: int, noun: str) -> str:
    """Return a number with its noun, in the plural but for one.

    Examples
    --------
    >>> counted(1, "model"), counted(1200, "model")
    ('1 model', '1,200 models')

    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"

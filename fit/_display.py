"""Results have a one-line repr and, in a notebook, a line of text above a table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SingleRow", "counted", "frame_html"]

_MOST_ROWS = 60


class _HasFrame(Protocol):
    def to_frame(self) -> pd.DataFrame:
        """Return the result's data."""


class _HasDict(Protocol):
    def to_dict(self) -> dict[str, Any]:
        """Return the result's data in JSON's own types."""


class SingleRow:
    """A result that is a table of one row; it is mixed into classes that have ``to_dict``."""

    def to_frame(self: _HasDict) -> pd.DataFrame:
        """Return a table of one row, the values of ``to_dict``; what is unknown is NaN.

        A mapping within has a column for each of its values, ``outer.inner``; what is a table of
        its own, such as steps, is left out.
        """
        import pandas as pd

        frame = pd.json_normalize([{k: v for k, v in self.to_dict().items() if not _is_table(v)}])
        return frame.astype({name: float for name in frame if frame[name].isna().all()})

    def _repr_html_(self: _HasFrame) -> str:
        return frame_html(self)


def frame_html(result: _HasFrame) -> str:
    """Return a result's ``repr`` and data frame as HTML; all text from outside is escaped."""
    table = result.to_frame().to_html(
        max_rows=_MOST_ROWS, border=0, na_rep="–", float_format="{:.4g}".format
    )
    return f"<p><code>{escape(repr(result))}</code></p>\n{table}"


def _is_table(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(row, dict) for row in value)


def counted(n: int, noun: str) -> str:
    """Return a number with its noun, in the plural but for one.

    Examples
    --------
    >>> counted(1, "model"), counted(1200, "model")
    ('1 model', '1,200 models')

    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"

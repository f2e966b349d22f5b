"""Tables of single-line cells are laid out directly, in the style of rich's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["flat_table"]

_GAP = "   "
_RULE = "─"


def flat_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Sequence[str],
    width: int,
) -> tuple[Text, int] | None:
    """Return a table of so many columns of a terminal at most, and its width.

    None where it is wider and a column might be folded, or a text has to be looked at closely:
    rich lays that out, at thirty times the cost.
    """
    from rich.text import Text

    lines = [tuple(columns), *map(tuple, rows)]
    if not all(text.isprintable() and text == text.strip() for line in lines for text in line):
        return None
    lengths = [[_length(text) for text in line] for line in lines]
    widths = [max(own) for own in zip(*lengths, strict=True)]
    whole = sum(widths) + len(_GAP) * (len(widths) - 1)
    folds = any(name not in numbers for name in columns[1:])
    if (folds and whole > width) or not title.isprintable() or _length(title) > whole:
        return None
    to_right = [name in numbers for name in columns]
    head, *body = (
        _GAP.join(
            " " * (w - n) + text if right else text + " " * (w - n)
            for text, n, w, right in zip(line, own, widths, to_right, strict=True)
        )
        for line, own in zip(lines, lengths, strict=True)
    )
    text = Text(no_wrap=True, overflow="ignore")
    text.append(title + " " * (whole - _length(title)) + "\n", "bold")
    text.append(head + "\n", "dim")
    text.append("\n".join([_RULE * whole, *body]))
    return text, whole


def _length(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)

"""A regular CSV file is read without pandas; an irregular one is left to pandas."""

from __future__ import annotations

import csv
from io import StringIO

__all__ = ["SEPARATORS", "regular_cells"]

SEPARATORS = (",", ";", "\t")


def regular_cells(content: bytes) -> dict[str, list[str]] | None:
    """Return the cells of a CSV file by column, as pandas reads them; None where it is not regular.

    Regular is text in UTF-8 of a header, which names each column once, and at least a row; all
    rows have as many cells as the header, none begins with a blank, and quotation marks stand
    around whole cells of one line.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if "\0" in text or "\ufeff" in text or text.count("\r") != text.count("\r\n"):
        return None
    rows: list[list[str]] = []
    for separator in (*SEPARATORS, SEPARATORS[0]):  # commas where no header names a model
        separated = _rows(text, separator)
        if separated is None:
            return None
        rows = separated
        names = [name.strip() for name in rows[0] if name.strip()]
        if len(names) > 1 and "model" in {name.lower() for name in names}:
            break
    header, *body = rows
    is_regular = (
        len(set(names)) == len(header)
        and bool(body)
        and all(len(row) == len(header) for row in body)
    )
    return (
        dict(zip(header, map(list, zip(*body, strict=True)), strict=True)) if is_regular else None
    )


def _rows(text: str, separator: str) -> list[list[str]] | None:
    """Return the rows of a text, those without anything left out; None where they are not sure."""
    lines = StringIO(text, newline="")
    skips = separator != "\t"
    try:
        rows = [
            row
            for row in csv.reader(lines, delimiter=separator, skipinitialspace=skips, strict=True)
            if row
        ]
    except csv.Error:
        return None
    starts_blank = any(row[0][:1].isspace() for row in rows) or "\n " in text or text[:1] == " "
    has_long_cells = '"' in text and any("\n" in cell for row in rows for cell in row)
    return None if starts_blank or has_long_cells or not rows else rows

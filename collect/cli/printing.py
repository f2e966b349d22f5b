"""All commands print text, tables and JSON documents in the same way."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

import typer

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console", "only_json_on_stdout", "print_json", "print_table"]

_PIPE_WIDTH = 160
_RAW_IN_JSON = re.compile(r"[\x7f-\x9f\u2028\u2029]")

_JSON_STREAM: ContextVar[TextIO | None] = ContextVar("json_stream", default=None)


@contextmanager
def only_json_on_stdout() -> Iterator[None]:
    """Leave standard output to ``print_json``: whatever else is printed goes to standard error."""
    before = _JSON_STREAM.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _JSON_STREAM.reset(before)


def console(*, stderr: bool = False) -> Console:
    """Return the console commands print to."""
    from .plain_console import PlainConsole

    stream = sys.stderr if stderr else sys.stdout
    # A pipe has no width; 80 columns would fold every table.
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return PlainConsole(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def print_json(value: Any) -> None:
    """Print a value as the JSON document of a command; what JSON lacks, such as NaN, is null."""
    from capspace.fit._json import json_safe

    document = json.dumps(json_safe(value), indent=2, allow_nan=False, ensure_ascii=False)
    # JSON leaves these as they are, a terminal does not; they can only stand in its strings.
    escaped = _RAW_IN_JSON.sub(lambda raw: f"\\u{ord(raw[0]):04x}", document)
    typer.echo(escaped, file=_JSON_STREAM.get())


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Sequence[str] = (),
) -> None:
    """Print a table; columns named in ``numbers`` are aligned to the right.

    No number and no name in the first column is cut: a table that needs more columns than a
    terminal has is printed as wide as it needs, and the terminal breaks its lines.
    """
    from .flat_tables import flat_table

    lines = [tuple(row) for row in rows]
    shown = console()
    flat = (
        None
        if shown.options.ascii_only
        else flat_table(title, columns, lines, numbers=numbers, width=shown.width)
    )
    if flat is None:
        _print_folded(title, columns, lines, numbers)
        return
    text, width = flat
    shown.width = max(shown.width, width)
    shown.print(text)
    shown.print()


def _print_folded(
    title: str, columns: Sequence[str], lines: Sequence[Sequence[str]], numbers: Sequence[str]
) -> None:
    """Print a table some of whose cells may take several lines."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        pad_edge=False, show_edge=False, header_style="dim",
    )  # fmt: skip
    for i, column in enumerate(columns):
        is_whole = column in numbers or i == 0
        cells = [column, *(line[i] for line in lines)]
        table.add_column(
            column,
            justify="right" if column in numbers else "left",
            no_wrap=is_whole,
            overflow="fold",
            width=_width(cells) if is_whole else None,
            min_width=None if is_whole else min(_LEAST_TEXT, max(map(len, cells))),
        )
    for line in lines:
        table.add_row(*line)
    shown = console()
    unbound = shown.options.update(width=_NO_BOUND)
    shown.width = max(shown.width, shown.measure(table, options=unbound).minimum)
    shown.print(table)
    shown.print()


_LEAST_TEXT = 12
"""Columns of a terminal that a text gets at least before it is folded."""
_NO_BOUND = 10_000


def _width(texts: Iterable[str]) -> int | None:
    """Return the width of a column that is not folded, None where only rich can tell it.

    Rich would measure each cell twice.
    """
    from rich.cells import cell_len

    texts = list(texts)
    is_plain = all(text.isprintable() and text == text.strip() for text in texts)
    return max(map(cell_len, texts)) if is_plain else None

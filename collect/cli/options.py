"""Several commands share these options, and print in the same way."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from capspace.fit.errors import FitError

if TYPE_CHECKING:
    from rich.console import Console

    from ..settings import RunSettings
    from ..storage.store import Store

__all__ = [
    "EveryReference",
    "Json",
    "Level",
    "Models",
    "Panel",
    "Reference",
    "References",
    "ReleaseDate",
    "ServedModel",
    "StorePath",
    "StudyReference",
    "Targets",
    "console",
    "last_day_of",
    "named_models",
    "only_json_on_stdout",
    "open_store",
    "print_json",
    "print_table",
    "resumable",
    "say_what_runs",
]

_PIPE_WIDTH = 160
_RAW_IN_JSON = re.compile(r"[\x7f-\x9f\u2028\u2029]")

GATHER = "Measuring"
PREDICT = "Predicting"


def _panels(incomplete: str) -> list[str]:
    """Return what a shell completes ``--panel`` with; a path is allowed too."""
    from capspace.tasks.panel import panel_names

    return [name for name in panel_names() if name.startswith(incomplete)]


Models = Annotated[
    list[str] | None, typer.Argument(help="Hub names org/model[@revision] or local folders.")
]
ServedModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="With --endpoint: the model's name on the server.",
        rich_help_panel="A model behind a server",
    ),
]
Panel = Annotated[
    str,
    typer.Option(
        autocompletion=_panels,
        help="What to measure: the name of a panel, or the path of a panel's YAML file.",
        rich_help_panel=GATHER,
    ),
]
StorePath = Annotated[
    Path | None,
    typer.Option(
        "--store",
        envvar="CAPSPACE_STORE",
        help="Folder of the store, which holds results and responses.",
        show_default="the user's data folder",
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target", help="Predict only this target; may be repeated.", rich_help_panel=PREDICT
    ),
]
Level = Annotated[
    float, typer.Option(help="Nominal coverage of the intervals.", rich_help_panel=PREDICT)
]


def _reference(default: str) -> Any:
    """Return the option ``--reference`` of a command that does without it what ``default`` says."""
    return typer.Option(
        "--reference",
        metavar="NAME|PATH",
        help="Published scores to predict from: a packaged reference, or a folder or a table of "
        "your own.",
        show_default=default,
        rich_help_panel=PREDICT,
    )


Reference = Annotated[str | None, _reference("the packaged one that fits, else study-2024")]
References = Annotated[list[str] | None, _reference("the packaged one that fits, else study-2024")]
EveryReference = Annotated[str | None, _reference("all packaged ones")]
StudyReference = Annotated[str | None, _reference("study-2024")]
ReleaseDate = Annotated[
    str | None,
    typer.Option(
        help="When models that state no release date were released, such as 2025-08.",
        show_default="today",
        rich_help_panel=PREDICT,
    ),
]
_JSON_STREAM: ContextVar[TextIO | None] = ContextVar("json_stream", default=None)


def named_models(names: Sequence[str], served: str | None, settings: RunSettings) -> list[str]:
    """Return the models that a command names, as arguments or by ``--model``.

    Raises
    ------
    SettingsError
        It names none, or a served one without its server.

    """
    from ..errors import SettingsError

    if served is not None and settings.endpoint is None:
        raise SettingsError(
            "--model names a model of an endpoint; give its URL with --endpoint, or a checkpoint "
            "as an argument"
        )
    models = [*names, *([] if served is None else [served])]
    if not models:
        raise SettingsError(
            "no model is named: give a checkpoint, or --endpoint URL with --model NAME"
        )
    return models


@contextmanager
def only_json_on_stdout() -> Iterator[None]:
    """Leave standard output to ``print_json``: whatever else is printed goes to standard error."""
    _JSON_STREAM.set(sys.stdout)
    with redirect_stdout(sys.stderr):
        yield


def _while_the_command_runs(context: typer.Context, is_wanted: bool) -> bool:
    if is_wanted:
        context.with_resource(only_json_on_stdout())
    return is_wanted


Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON document on standard output, and everything else on standard error.",
        callback=_while_the_command_runs,
    ),
]


def console(*, stderr: bool = False) -> Console:
    """Return the console commands print to."""
    from .plain_console import PlainConsole

    stream = sys.stderr if stderr else sys.stdout
    # A pipe has no width; 80 columns would fold every table.
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return PlainConsole(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def last_day_of(release_date: str | None) -> date | None:
    """Return the last day that ``--release-date`` may mean, or None where it is not given."""
    if release_date is None:
        return None
    from capspace.fit.table.facts import last_day, read_release_date

    iso = read_release_date(release_date, "--release-date")
    if ":" in release_date:
        raise FitError(f"--release-date is {release_date!r:.60}; write the day alone, as {iso}")
    if not iso:
        raise FitError("--release-date is empty; write it as 2025-08-01, 2025-08 or 2025")
    return last_day(iso)


def open_store(path: Path | None, *, must_write: bool = True) -> Store:
    """Open the store named, or the user's own; say where it can be read only."""
    from ..storage.store import Store, default_store_path

    store = Store(default_store_path() if path is None else path, must_write=must_write)
    for notice in store.notices:
        console(stderr=True).print(notice, style="yellow", markup=False, soft_wrap=True)
    return store


def say_what_runs(include_path: Path | None) -> None:
    """Say that a folder of tasks runs code, where one was given."""
    if include_path is not None:
        console(stderr=True).print(
            f"--include-path: this runs the code that the tasks in {include_path} name",
            style="yellow",
            markup=False,
        )


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
    from .flat_table import flat_table

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


@contextmanager
def resumable() -> Iterator[None]:
    """Say how to go on where a run is stopped by Ctrl-C or SIGTERM, and exit as shells expect."""
    from ..runtime.signals import Terminated

    try:
        yield
    except KeyboardInterrupt as stop:
        terminated = isinstance(stop, Terminated)
        console(stderr=True).print()
        console(stderr=True).print(
            f"{'terminated' if terminated else 'interrupted'}: every finished chunk of responses "
            "is stored; run the same command again to continue from here",
            markup=False,
        )
        raise typer.Exit(143 if terminated else 130) from None

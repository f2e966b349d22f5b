"""Options that several commands share, and how they speak."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from ..storage.store import Store

__all__ = [
    "AllowCode",
    "AllowPickle",
    "Backend",
    "BatchSize",
    "ChatTemplate",
    "DataRoot",
    "Device",
    "Dtype",
    "IncludePath",
    "Json",
    "Level",
    "Limit",
    "Models",
    "Panel",
    "Parallelize",
    "Reference",
    "Seed",
    "StorePath",
    "Targets",
    "TrustRemoteCode",
    "console",
    "only_json_on_stdout",
    "open_store",
    "print_json",
    "print_table",
    "resumable",
    "say_what_runs",
]

_PIPE_WIDTH = 160
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but the tab and the end of a line

GATHER = "Measuring"
LOAD = "Loading the checkpoint"
PREDICT = "Predicting"

Models = Annotated[
    list[str], typer.Argument(help="Hub names org/model[@revision] or local folders.")
]
Panel = Annotated[
    str,
    typer.Option(help="A panel's name, or a path to a YAML file.", rich_help_panel=GATHER),
]
StorePath = Annotated[
    Path | None,
    typer.Option(
        "--store",
        envvar="CAPSPACE_STORE",
        help="Folder where results are kept. [default: the user's data folder]",
        show_default=False,
    ),
]
DataRoot = Annotated[
    str | None,
    typer.Option(
        envvar="CAPSPACE_DATA_ROOT",
        help="Read data sets from this folder, laid out as on the Hub, and ask nothing of the "
        "network; 'embedded' is the small one that comes with capspace.",
        rich_help_panel=GATHER,
    ),
]
IncludePath = Annotated[
    Path | None,
    typer.Option(
        help="Folder with lm-eval tasks of your own. This runs the code they name.",
        rich_help_panel=GATHER,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(help="Items per task; kept apart from full runs.", rich_help_panel=GATHER),
]
Seed = Annotated[
    int | None,
    typer.Option(help="One seed for everything random. [default: lm-eval's own]",
                 show_default=False, rich_help_panel=GATHER),
]  # fmt: skip
ChatTemplate = Annotated[
    bool,
    typer.Option(
        "--chat-template", help="Use the checkpoint's chat template.", rich_help_panel=GATHER
    ),
]
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code-execution",
        help="Measure benchmarks that run code which the model writes (HumanEval).",
        rich_help_panel=GATHER,
    ),
]
Device = Annotated[str, typer.Option(help="auto, cuda, cuda:1, mps, cpu.", rich_help_panel=LOAD)]
Dtype = Annotated[
    str,
    typer.Option(
        help="auto (the checkpoint's own), float32, bfloat16, float16.", rich_help_panel=LOAD
    ),
]
BatchSize = Annotated[str, typer.Option(help="A number, or auto.", rich_help_panel=LOAD)]
Backend = Annotated[
    str | None,
    typer.Option(help="Which model class answers.", rich_help_panel=LOAD, show_default=False),
]
Parallelize = Annotated[
    bool,
    typer.Option(
        "--parallelize",
        help="Spread the layers over all GPUs that CUDA_VISIBLE_DEVICES leaves visible.",
        rich_help_panel=LOAD,
    ),
]
AllowPickle = Annotated[
    bool,
    typer.Option(
        "--allow-pickle",
        help="Load pickled weights, which can run code.",
        rich_help_panel=LOAD,
    ),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Run code that comes with the checkpoint.",
        rich_help_panel=LOAD,
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
Reference = Annotated[
    Path | None,
    typer.Option(
        help="Your own reference: a folder or a table. [default: the packaged one]",
        show_default=False,
        rich_help_panel=PREDICT,
    ),
]
_JSON_STREAM: ContextVar[TextIO | None] = ContextVar("json_stream", default=None)


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
        help="Print one JSON document, and anything else on standard error.",
        callback=_while_the_command_runs,
    ),
]


class _PlainConsole(Console):
    """Prints texts without control characters: names and reasons come from strangers."""

    def render_str(self, text: str, **settings: Any) -> Text:
        """Return a text as it is printed."""
        return super().render_str(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", text), **settings)


def console(*, stderr: bool = False) -> Console:
    """Return the console commands print to."""
    stream = sys.stderr if stderr else sys.stdout
    # A pipe has no width; 80 columns would fold every table.
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return _PlainConsole(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


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
    typer.echo(document, file=_JSON_STREAM.get())


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Sequence[str] = (),
) -> None:
    """Print a table; columns named in ``numbers`` are aligned to the right."""
    from rich import box

    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        pad_edge=False, show_edge=False, header_style="dim",
    )  # fmt: skip
    for i, column in enumerate(columns):
        right = column in numbers
        table.add_column(
            column, justify="right" if right else "left", no_wrap=right or i == 0, overflow="fold"
        )
    for row in rows:
        table.add_row(*row)
    console().print(table)
    console().print()


@contextmanager
def resumable() -> Iterator[None]:
    """Say how to go on where a run is stopped by Ctrl-C or SIGTERM, and exit as shells expect."""
    from ..runtime.signals import Terminated

    try:
        yield
    except KeyboardInterrupt as stop:
        terminated = isinstance(stop, Terminated)
        console(stderr=True).print(
            f"\n{'terminated' if terminated else 'interrupted'}: every finished chunk of answers "
            "is kept; run the same command again to go on from here",
            markup=False,
        )
        raise typer.Exit(143 if terminated else 130) from None

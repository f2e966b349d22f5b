"""These options are shared by several commands, and each means the same in all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capspace.fit.errors import FitError

from .printing import console, only_json_on_stdout, print_json, print_table

if TYPE_CHECKING:
    from ..settings import RunSettings
    from ..storage.store import Store

__all__ = [
    "Csv",
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
    "benchmark",
    "console",
    "last_day_of",
    "name_of_result",
    "named_models",
    "only_json_on_stdout",
    "open_store",
    "out",
    "print_json",
    "print_table",
    "resumable",
    "say_what_runs",
    "target_scores",
]

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
        "--target", help="Consider only this target. May be repeated.", rich_help_panel=PREDICT
    ),
]
Level = Annotated[
    float, typer.Option(help="Nominal coverage of the intervals.", rich_help_panel=PREDICT)
]


Csv = Annotated[Path | None, typer.Option("--csv", help="Also write the numbers to this CSV file.")]


def out(default: str | None = None) -> Any:
    """Return the option ``--out`` of a command that does without it what ``default`` says."""
    return typer.Option(
        "--out",
        help="Where to write: the folder of a report, figures or a reference, or the file of a "
        "table or a panel.",
        show_default=False if default is None else default,
    )


def benchmark() -> Any:
    """Return the option ``--benchmark``."""
    return typer.Option("--benchmark", help="Use only this benchmark.", show_default="all")


def name_of_result(default: str | None = None) -> Any:
    """Return the option ``--name`` of a command that takes ``default`` without it."""
    return typer.Option(
        "--name",
        help="Name under which the result is stored.",
        show_default=False if default is None else default,
    )


def target_scores(default: str) -> Any:
    """Return the option ``--target-scores`` of a command that reads ``default`` without it."""
    return typer.Option(
        "--target-scores",
        help="Table with scores on targets, matched by model name.",
        show_default=default,
    )


def _reference(default: str) -> Any:
    """Return the option ``--reference`` of a command that does without it what ``default`` says."""
    return typer.Option(
        "--reference",
        metavar="NAME|PATH",
        help="Published scores to predict from: a packaged reference, or your own folder or table.",
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
        help="Release date, such as 2025-08, of models whose date is not stated.",
        show_default="today",
        rich_help_panel=PREDICT,
    ),
]


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
    """Open the store named, or the user's own; say where it can be read only.

    One that is not there is empty, and created at the first write: a command that only asks, or is
    refused, leaves nothing behind.
    """
    from ..storage.store import Store, default_store_path

    named = default_store_path() if path is None else path
    store = Store(named, must_write=must_write, create=False)
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

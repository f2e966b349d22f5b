"""The root of the command line collects the commands and turns errors into one line."""

from __future__ import annotations

import gc
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast, get_args

import typer
from typer.core import TyperGroup
from typer.main import get_group

from capspace.fit.errors import FitError
from capspace.tasks.errors import PanelError

from ..errors import CollectError, ZooError
from .options import console

__all__ = ["PANELS", "app", "main", "registered"]

# The base of all errors in the words of a command line, of which typer exports only this one.
_UsageError = cast("type[Exception]", typer.BadParameter.__bases__[0])

PANELS = {
    "Measure": {
        "place": "gather",
        "collect": "gather",
        "twin": "twin",
        "lm-eval": "lm_eval",
        "zoo": "zoo",
    },
    "Predict": {
        "predict": "predict",
        "compare": "compare",
        "complete": "complete",
        "lift": "lift",
        "references": "references",
        "targets": "references",
        "models": "references",
    },
    "Decide": {
        "verdict": "decide",
        "next": "decide",
    },
    "Analyse": {
        "backtest": "backtest",
        "space": "space",
        "efficiency": "space",
        "gain": "study",
        "select": "selection",
        "reproduce": "study",
    },
    "Data": {
        "scores": "scores",
        "store": "keep",
        "import": "exchange",
        "export": "exchange",
        "panels": "scores",
        "ledger": "ledger",
    },
}
"""The commands as ``capspace --help`` groups and orders them, each with the module it is in."""

_MODULES = {name: module for names in PANELS.values() for name, module in names.items()}
_PANEL_OF = {name: panel for panel, names in PANELS.items() for name in names}
_SHORT = ("predict", "compare", "complete", "targets", "models")
_BLAS_THREADS = "OPENBLAS_NUM_THREADS"
_PYDANTIC_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"
_RARELY = 200_000
_SIGPIPE = 141  # as for any program that this signal ends


def registered(modules: Iterable[str]) -> typer.Typer:
    """Return an application with the commands of these modules alone."""
    part = typer.Typer()
    for module in dict.fromkeys(modules):
        import_module(f".{module}", __package__).add_to(part)
    return part


class _Commands(Mapping[str, Any]):
    """All commands by name; the module of a command is imported when the command is used."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            command: Any = get_group(registered([_MODULES[name]])).commands[name]
            command.rich_help_panel = _PANEL_OF[name]
            _flow_help(command)
            _escape_help(command)
            _refuse_empty_paths(command)
            self._made[name] = command
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


class Root(TyperGroup):
    """All commands, in panels; help texts are shown as written, ``[brackets]`` included."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.commands = cast("Any", _Commands())

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands in the order of their panels."""
        return list(_MODULES)


def _flow_help(command: Any) -> None:
    """Let a terminal fold the paragraphs of a command's help, whose source has lines of its own."""
    if command.help:
        paragraphs = inspect.cleandoc(command.help).split("\n\n")
        command.help = "\n\n".join(" ".join(text.splitlines()) for text in paragraphs)
    for subcommand in getattr(command, "commands", {}).values():
        _flow_help(subcommand)


def _escape_help(command: Any) -> None:
    """Mark the help of a command, of its parameters and of its subcommands as no markup."""
    inner = getattr(command, "commands", {}).values()
    for described in (command, *command.params):
        if "[" in (getattr(described, "help", None) or ""):
            from rich.markup import escape

            described.help = escape(described.help)
    for subcommand in inner:
        _escape_help(subcommand)


def _refuse_empty_paths(command: Any) -> None:
    """Let no path of a command be empty, which would stand for the current folder."""
    for parameter in command.params:
        if _is_path(parameter):
            parameter.process_value = partial(_process_path, parameter, parameter.process_value)
    for subcommand in getattr(command, "commands", {}).values():
        _refuse_empty_paths(subcommand)


def _is_path(parameter: Any) -> bool:
    described = getattr(parameter, "type_descriptor", None)
    if described is None:  # typer before it had them
        return type(parameter.type).__name__ == "TyperPath"
    inner = get_args(described.annotation) or (described.annotation,)
    return any(isinstance(kind, type) and issubclass(kind, Path) for kind in inner)


def _process_path(parameter: Any, process: Callable[..., Any], ctx: Any, value: Any) -> Any:
    if "" in (value if isinstance(value, (list, tuple)) else [value]):
        raise typer.BadParameter("an empty text names no file or folder", ctx, parameter)
    return process(ctx, value)


app = typer.Typer(
    name="capspace",
    cls=Root,
    help="Predict the benchmark scores you cannot afford to measure, from the ones you can.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"capspace {version('capspace')}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line with ``args`` (default: the process's own) and exit."""
    try:
        _run(None if args is None else list(args))
    except BrokenPipeError:
        _end_for_want_of_a_reader()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # which rich and typer answer with 1
            _end_for_want_of_a_reader()
        raise


def _run(words: Sequence[str] | None) -> NoReturn:
    """Run the command line and exit; what is wrong with its input is one line."""
    try:
        # Back to standard output even where --json stops half-way.
        with _short_run(words), redirect_stdout(sys.stdout):
            code = app(args=words, prog_name="capspace", standalone_mode=False)
            sys.stdout.flush()  # here a closed pipe can still be answered
            sys.exit(code)
    except (PanelError, ZooError) as error:
        _refuse(*str(error).splitlines())  # a line for each field of a file that is wrong
    except (FitError, CollectError) as error:
        _refuse(" ".join(str(error).splitlines()))  # names of strangers may hold several
    except _UsageError as error:
        if type(error).__name__ != "NoArgsIsHelpError":
            _refuse(_usage_line(error))
        typer.echo(str(error), err=True, nl=False)  # help; with rich typer has printed it
        sys.exit(2)


@contextmanager
def _short_run(words: Sequence[str] | None) -> Iterator[None]:
    """Spare a short command the work that pays in long runs.

    Garbage is collected rarely, as most that is made lives until the end, and not once more where
    the process ends with the command. The libraries of linear algebra start no threads for small
    matrices, unless the user says how many. Pydantic does not search all installed packages for
    plugins, unless the user says so.
    """
    given = sys.argv[1:] if words is None else words
    command = next((word for word in given if not word.startswith("-")), "")
    if command not in _SHORT:
        yield
        return
    spared = {_PYDANTIC_PLUGINS: "1"}
    if "OMP_NUM_THREADS" not in os.environ:
        spared[_BLAS_THREADS] = "1"
    new = {name: value for name, value in spared.items() if name not in os.environ}
    thresholds = gc.get_threshold()
    gc.set_threshold(_RARELY, *thresholds[1:])
    os.environ.update(new)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        if words is None:
            gc.freeze()
        for name in new:
            os.environ.pop(name, None)


def _end_for_want_of_a_reader() -> NoReturn:
    """Exit as shells expect where nobody reads what is printed any more, without a word."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:  # or the interpreter, as it ends, would flush it again
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(_SIGPIPE)


def _refuse(*reasons: str) -> NoReturn:
    """Print one line about bad input, or one for each thing that is wrong, and exit."""
    from rich.text import Text

    from ..runtime.redaction import redacted

    lines = redacted("capspace: " + "\n".join(reasons))
    console(stderr=True).print(Text(lines), style="red", soft_wrap=True)
    sys.exit(2)


def _usage_line(error: Any) -> str:
    """Return what is wrong with the words of a command line, and where they are explained."""
    text = " ".join(error.format_message().replace(": Value error, ", ": ").split()).rstrip(".")
    command = error.ctx.command_path if error.ctx else "capspace"
    return f"{text[:1].lower()}{text[1:]} (see {command} --help)"

"""Every command's help says what its source says, brackets included."""

from __future__ import annotations

import inspect
import re

import pytest
from all_commands import ALL, COMMANDS
from commands import Command
from typer.main import get_command_from_info
from typer.models import CommandInfo, ParameterInfo, TyperInfo
from typer.utils import get_params_from_function

from capspace.collect.cli._main import PANELS

GROUPS: dict[str, TyperInfo] = {str(group.name): group for group in ALL.registered_groups}


@pytest.fixture
def wide(capspace: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line on a terminal wide enough for any help text."""
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 1000)  # read from the environment on import
    return capspace


def plain(text: str) -> str:
    """Return a text without frames, and with single blanks."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


def texts(command: CommandInfo) -> list[str]:
    """Return the help texts in the source of a command: its docstring's and its options'."""
    assert command.callback is not None
    described = [
        parameter.default.help
        for parameter in get_params_from_function(command.callback).values()
        if isinstance(parameter.default, ParameterInfo) and parameter.default.help
    ]
    return [*described, *inspect.cleandoc(command.callback.__doc__ or "").split("\n\n")]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_each_text_whole(wide: Command, path: tuple[str, ...]) -> None:
    run = wide(*path, "--help")
    assert run.code == 0
    written = texts(COMMANDS[path])
    assert written
    shown = plain(run.out)
    assert [text for text in written if plain(text) not in shown] == []


@pytest.mark.parametrize("group", GROUPS)
def test_help_of_a_group_lists_its_commands(wide: Command, group: str) -> None:
    shown = plain(wide(group, "--help").out)
    for path, command in COMMANDS.items():
        if path[0] == group:
            assert command.callback is not None
            first = inspect.cleandoc(command.callback.__doc__ or "").split("\n\n")[0]
            assert f"{path[1]} {plain(first)}" in shown


def test_some_help_has_brackets() -> None:
    """What the test above is about is there: text that markup would take for its own."""
    bracketed = [t for c in COMMANDS.values() for t in texts(c) if re.search(r"\[[a-z@]", t)]
    assert bracketed


def test_every_command_is_in_one_panel_of_the_help(wide: Command) -> None:
    named = [name for names in PANELS.values() for name in names]
    assert sorted(named) == sorted({path[0] for path in COMMANDS})
    shown = wide("--help").out
    order = [re.search(rf"^│ {name} ", shown, re.MULTILINE) for name in named]
    assert [place.start() for place in order if place] == sorted(p.start() for p in order if p)
    assert None not in order
    assert all(f"─ {panel} ─" in shown for panel in PANELS)


def test_an_option_means_one_thing_in_every_command() -> None:
    meanings: dict[str, set[str]] = {}
    for info in COMMANDS.values():
        assert info.callback is not None
        command = get_command_from_info(info, pretty_exceptions_short=True, rich_markup_mode=None)
        for parameter in command.params:
            for name in parameter.opts:
                meanings.setdefault(name, set()).add(str(getattr(parameter, "help", "")))
    assert {n: t for n, t in meanings.items() if n.startswith("--") and len(t) > 1} == {}


def test_a_paragraph_of_help_folds_where_the_terminal_does(
    capspace: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 80)  # read from the environment on import
    paragraph = capspace("complete", "--help").out.split("Numbers are refused")[1].split("╭")[0]
    inner = paragraph.strip().splitlines()[:-1]
    assert len(inner) > 3
    assert min(len(line.strip()) for line in inner[1:]) > 60

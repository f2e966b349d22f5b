"""Every command of ``capspace``, each with what was registered for it."""

from collections.abc import Iterator

import typer
from typer.models import CommandInfo

from capspace.collect.cli._main import PANELS, registered


def _all_commands(group: typer.Typer, *path: str) -> Iterator[tuple[tuple[str, ...], CommandInfo]]:
    """Yield the words of each command below a group, and what was registered."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield (*path, command.name or command.callback.__name__.strip("_")), command
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from _all_commands(inner.typer_instance, *path, str(inner.name))


ALL = registered(module for modules in PANELS.values() for module in modules.values())
COMMANDS = dict(_all_commands(ALL))

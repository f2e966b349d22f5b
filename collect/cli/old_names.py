"""Old spellings of options are still read; a line on standard error names the new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand

from .options import console

__all__ = ["reading"]


def reading(**old: str) -> type[TyperCommand]:
    """Return a class of commands that read old spellings of their options.

    Parameters
    ----------
    old : str
        The old option, such as ``target`` for ``--target``, and its new spelling; an argument's
        name, such as ``SCORES``, where the value is now given without an option.

    """
    renamed = {f"--{name.replace('_', '-')}": new for name, new in old.items()}

    class Command(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            words, lines = _in_new_words(args, renamed)
            if not ctx.resilient_parsing:  # the shell completes a line: nobody reads ours
                for line in lines:
                    console(stderr=True).print(line, style="yellow", markup=False, soft_wrap=True)
            return super().parse_args(ctx, words)

    return Command


def _in_new_words(args: list[str], renamed: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the arguments in today's spelling, and a line for each old one."""
    end = args.index("--") if "--" in args else len(args)
    words: list[str] = []
    positional: list[str] = []
    lines: list[str] = []
    rest = iter(args[:end])
    for word in rest:
        name, equals, value = word.partition("=")
        new = renamed.get(name)
        if new is None:
            words.append(word)
            continue
        values = [value] if equals else [v for v in (next(rest, None),) if v is not None]
        if new.startswith("--"):
            words += [new, *values]
            lines.append(f"{name} is now {new}")
        else:
            positional += values
            lines.append(f"{name} is now the argument {new}: give the value without {name}")
    return [*words, *positional, *args[end:]], lines

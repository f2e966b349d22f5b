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
            return super().parse_args(ctx, _in_new_words(args, renamed))

    return Command


def _in_new_words(args: list[str], renamed: Mapping[str, str]) -> list[str]:
    """Return the arguments in today's spelling."""
    end = args.index("--") if "--" in args else len(args)
    words, positional = [], []
    left = iter(args[:end])
    for word in left:
        name, equals, value = word.partition("=")
        if name not in renamed:
            words.append(word)
            continue
        new = renamed[name]
        values = [value] if equals else [v for v in (next(left, None),) if v is not None]
        if new.startswith("--"):
            words += [new, *values]
            line = f"{name} is now {new}"
        else:
            positional += values
            line = f"{name} is now the argument {new}: give the value without {name}"
        console(stderr=True).print(line, style="yellow", markup=False, soft_wrap=True)
    return [*words, *positional, *args[end:]]

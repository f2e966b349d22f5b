"""The commands that measure what ``verdict`` and ``next`` advise, to be copied."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .options import console

if TYPE_CHECKING:
    from capspace.fit.table import ScoreTable
    from capspace.tasks.panel import Benchmark, Panel

__all__ = [
    "THIS_MEASURES_IT",
    "checkpoint_of",
    "commands_to_measure",
    "mode_options",
    "print_commands",
]

THIS_MEASURES_IT = "to measure what is advised:"

_MODES = {"chat": ("--chat-template",), "thinking": ("--thinking", "on")}


def commands_to_measure(
    benchmarks: Sequence[str],
    model: str,
    *,
    store: Path | None = None,
    options: Sequence[str] = (),
    panels: Sequence[tuple[str, Panel]] = (),
    max_items: int | None = None,
) -> list[str]:
    """Return the commands that measure benchmarks, one for each panel that it takes.

    Parameters
    ----------
    benchmarks : sequence of str
        Those that no panel has are left out.
    model : str
        As ``capspace collect`` takes it.
    store : Path, optional
        Where the scores are to be stored; the user's own store by default.
    options : sequence of str
        Further options of the command.
    panels : sequence of (str, Panel)
        Panels with the names by which they were given, which go before the packaged ones.
    max_items : int, optional
        Measure about this many items of each benchmark.

    """
    from capspace.tasks.panel import load_panel, panel_names

    packaged = [(name, load_panel(name)) for name in panel_names()]
    own = dict(panels)
    having = {
        name: {b.name: b for b in each.benchmarks if name in own or b.comparable}
        for name, each in {**own, **dict(packaged), **own}.items()
    }
    order = sorted(having, key=lambda name: (name not in own, -_common(having, name, benchmarks)))
    groups: dict[tuple[str, int | None], list[Benchmark]] = {}
    for wanted in benchmarks:
        source = next((name for name in order if wanted in having[name]), None)
        if source is not None:
            benchmark = having[source][wanted]
            limit = None if max_items is None else math.ceil(max_items / benchmark.n_tasks)
            groups.setdefault((source, limit), []).append(benchmark)
    return [
        shlex.join(
            [
                *("capspace", "collect", model, "--panel", source),
                *(word for each in chosen for word in ("--benchmark", each.name)),
                *([] if limit is None else ["--limit", str(limit)]),
                *(["--allow-code-execution"] if any(b.executes_code for b in chosen) else []),
                *options,
                *([] if store is None else ["--store", str(store)]),
            ]
        )
        for (source, limit), chosen in groups.items()
    ]


def _common(having: dict[str, dict[str, Benchmark]], name: str, wanted: Sequence[str]) -> int:
    return len(set(wanted) & having[name].keys())


def mode_options(table: ScoreTable, model: str) -> tuple[str, ...]:
    """Return the options by which a model is measured in the mode that a table states."""
    return _MODES.get(str(table.fact(model, "mode") or ""), ())


def print_commands(commands: Sequence[str], *, before: str, after: str = "") -> None:
    """Print commands on lines of their own, never wrapped, between lines that say what they do."""
    if not commands:
        return
    shown = console()
    shown.print(before, markup=False)
    for command in commands:
        shown.print(f"  {command}", markup=False, soft_wrap=True)
    if after:
        shown.print(after, markup=False)


def checkpoint_of(model: str) -> str:
    """Return the checkpoint that a row of a table names, without the mode that may stand behind."""
    return re.sub(r" \((plain|chat|thinking)\)$", "", model)

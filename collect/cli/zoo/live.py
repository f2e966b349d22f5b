"""The progress of a zoo is shown as a live table on a terminal, as plain lines in a pipe."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich import box
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..options import console
from .show import duration, unmeasurable

if TYPE_CHECKING:
    from ...zoo.status import ModelStatus, ZooStatus
    from ...zoo.work.records import WorkerState

__all__ = ["Watcher", "print_outcome", "print_status", "watch"]

_MOST_ROWS = 40
_MOST_PLACES = 4
_LIVE_SECONDS = 1.0
_PLAIN_SECONDS = 30.0


def print_status(state: ZooStatus) -> None:
    """Print where a zoo stands."""
    console().print(_view(state))
    for line in (*unmeasurable(state.unmeasurable), *state.notices):
        console().print(line, markup=False)


def print_outcome(state: ZooStatus) -> None:
    """Print what a run came to: counts, and each failure with its reason."""
    console().print(_summary(state), markup=False)
    for model in state.models:
        for reason in model.reasons:
            console().print(f"{model.model}: {reason}", markup=False)
    for line in state.notices:
        console().print(line, markup=False, soft_wrap=True)


class Watcher:
    """Shows a zoo while it runs: a live table on a terminal, a line now and then in a pipe."""

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._live: Live | None = None
        self._shown = -math.inf
        self._last = ""
        self._noted: set[str] = set()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, transient=True, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def is_due(self) -> bool:
        """Return whether it is time to show again."""
        every = _LIVE_SECONDS if self._live else _PLAIN_SECONDS
        return time.monotonic() - self._shown > every

    def show(self, state: ZooStatus) -> None:
        """Show where the zoo stands."""
        self._shown = time.monotonic()
        self.note_new(state.notices)
        if self._live is not None:
            self._live.update(_view(state), refresh=True)
        elif (line := _summary(state)) != self._last:
            self._last = line
            self._console.print(line, markup=False)

    def note_new(self, lines: Iterable[str]) -> None:
        """Print above those of the lines that were not printed before."""
        for line in lines:
            if line not in self._noted:
                self._noted.add(line)
                self.note(line)

    def note(self, text: str) -> None:
        """Print a line above."""
        self._console.print(text, markup=False)


def watch(look: Callable[[], ZooStatus], *, is_over: Callable[[ZooStatus], bool]) -> None:
    """Show a zoo until it is over; Ctrl-C ends the watching, not the zoo."""
    with Watcher() as watcher:
        try:
            while True:
                state = look()
                if watcher.is_due():
                    watcher.show(state)
                if is_over(state):
                    return
                time.sleep(_LIVE_SECONDS)
        except KeyboardInterrupt:
            watcher.note("no longer watching; jobs on the cluster go on")


def _view(state: ZooStatus) -> Group:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    table.add_column("Checkpoint", no_wrap=True)
    for name in ("Done", "Failed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Now")
    ranked = sorted(state.models, key=_interest)
    for model in ranked[:_MOST_ROWS]:
        at_it = [_doing(w) for w in state.workers if w.unit and w.model == model.model]
        more = f" (and {len(model.reasons) - 1} more)" if len(model.reasons) > 1 else ""
        now = ", ".join(at_it) or "".join(model.reasons[:1]) + more
        table.add_row(
            model.model,
            f"{model.n_done}/{model.n_cells}",
            Text(str(model.n_failed), style="red") if model.n_failed else "",
            now,
        )
    parts: list[RenderableType] = [_summary(state), table]
    if len(ranked) > _MOST_ROWS:
        parts.append(f"... and {len(ranked) - _MOST_ROWS} more")
    if state.jobs:
        parts.append(Text(_jobs(state.jobs), style="dim"))
    return Group(*parts)


def _jobs(jobs: Iterable[dict[str, str]]) -> str:
    """Return Slurm's jobs in a line: how many are in each state, and where or why."""
    groups: dict[str, list[str]] = {}
    for job in jobs:
        groups.setdefault(job["state"].lower(), []).append(job["node"] or job["reason"])
    parts = []
    for state, places in groups.items():
        names = [name for name in dict.fromkeys(places) if name]
        more = ", ..." if len(names) > _MOST_PLACES else ""
        where = f" ({', '.join(names[:_MOST_PLACES])}{more})" if names else ""
        parts.append(f"{len(places)} {state}{where}")
    return f"jobs: {', '.join(parts)}"


def _doing(worker: WorkerState) -> str:
    doing = worker.benchmark or "loading"
    if worker.items_total:
        doing += f" {worker.items_done}/{worker.items_total}"
    return doing + (f" (try {worker.attempt})" if worker.attempt > 1 else "")


def _interest(model: ModelStatus) -> tuple[int, str]:
    """Sort what runs first, then failures, then what waits, then what is done."""
    if model.running:
        return 0, model.model
    if model.n_failed:
        return 1, model.model
    return (3 if model.n_done == model.n_cells else 2), model.model


def _summary(state: ZooStatus) -> str:
    parts = [f"{state.zoo}: {state.n_done} of {state.n_cells} cells done"]
    if state.n_running:
        parts.append(f"{state.n_running} running")
    if state.n_queued:
        parts.append(f"{state.n_queued} queued")
    if state.n_failed:
        parts.append(f"{state.n_failed} failed")
    if n := sum(not cell.skipped for cell in state.unmeasurable):
        parts.append(f"{n} cannot be measured")
    if not math.isnan(state.items_per_second) and state.n_running:
        parts.append(f"{state.items_per_second:.1f} items/s")
    if state.seconds_left and not math.isnan(state.seconds_left):
        parts.append(f"about {duration(state.seconds_left)} left")
    return ", ".join(parts)

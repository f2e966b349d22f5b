"""A zoo's plan, state and fit on a terminal: tables, a live view, or plain lines in a pipe."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .options import console, print_table

if TYPE_CHECKING:
    from capspace.fit.zoo.fitting import ZooFit

    from ..run.collection import Missing
    from ..zoo.planning.cost import Estimate
    from ..zoo.planning.plan import Plan
    from ..zoo.status import ModelStatus, ZooStatus
    from ..zoo.work.records import WorkerState

__all__ = [
    "Watcher",
    "duration",
    "print_fit",
    "print_outcome",
    "print_plan",
    "print_status",
    "unmeasurable",
    "watch",
]

_MOST_ROWS = 40
_MOST_PLACES = 4
_LIVE_SECONDS = 1.0
_PLAIN_SECONDS = 30.0


def duration(seconds: float) -> str:
    """Return a time as a person says it: 45 s, 12 min, 3.4 h; "?" where unknown."""
    if math.isnan(seconds):
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def size(n_bytes: float) -> str:
    """Return bytes as a person says them."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.3g} {unit}"
    return f"{n_bytes:.0f} B"


def print_plan(plan: Plan) -> None:
    """Print what is done and missing and what the rest costs."""
    from ..zoo.planning.cost import total

    rows = []
    order = {u.model.identity: i for i, u in reversed(list(enumerate(plan.units)))}
    models = sorted(plan.models, key=lambda m: order.get(m.identity, len(plan.units)))
    for model in models[:_MOST_ROWS]:
        cells = plan.cells[model.identity]
        units = [u.estimate for u in plan.units if u.model.identity == model.identity]
        place = order.get(model.identity)
        rows.append(
            (
                model.name,
                "" if place is None else str(place + 1),
                f"{sum(c.is_done for c in cells)}/{len(cells)}",
                _parameters(model.n_parameters),
                size(model.memory_bytes),
                str(model.devices),
                size(model.n_download_bytes) if model.n_download_bytes else "",
                _spread(total(units)) if units else "",
            )
        )
    print_table(
        f"zoo {plan.name}: {plan.n_done} cells done, {plan.n_missing} missing",
        ("Checkpoint", "Order", "Done", "Params", "Memory", "Devices", "Download", "Time (90%)"),
        rows,
        numbers=("Order", "Done", "Params", "Memory", "Devices", "Download"),
    )
    if len(models) > _MOST_ROWS:
        console().print(f"... and {len(models) - _MOST_ROWS} more (--json shows all)\n")
    if plan.units:
        to_come = {u.model.ref: u.model.n_download_bytes for u in plan.units}
        download = f", {size(n)} to download" if (n := sum(to_come.values())) else ""
        console().print(f"total: {_spread(plan.gpu_seconds)} on one device{download}")
    for notice in plan.notices:
        console().print(notice, markup=False)
    for line in unmeasurable(plan.unmeasurable):
        console().print(line, markup=False)


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
            Text(model.model),
            f"{model.n_done}/{model.n_cells}",
            Text(str(model.n_failed), style="red") if model.n_failed else "",
            Text(now),
        )
    parts: list[Table | Text] = [Text(_summary(state)), table]
    if len(ranked) > _MOST_ROWS:
        parts.append(Text(f"... and {len(ranked) - _MOST_ROWS} more"))
    if state.jobs:
        parts.append(Text(_jobs(state.jobs), style="dim"))
    return Group(*parts)


def _jobs(jobs: Iterable[dict[str, str]]) -> str:
    """Return Slurm's jobs in a line: how many are in each state, and where or why."""
    groups: dict[str, list[str]] = {}
    for job in jobs:
        groups.setdefault(job["state"].lower(), []).append(job["node"] or job["reason"])
    told = []
    for state, places in groups.items():
        names = [name for name in dict.fromkeys(places) if name]
        more = ", ..." if len(names) > _MOST_PLACES else ""
        where = f" ({', '.join(names[:_MOST_PLACES])}{more})" if names else ""
        told.append(f"{len(places)} {state}{where}")
    return f"jobs: {', '.join(told)}"


def _doing(worker: WorkerState) -> str:
    said = worker.benchmark or "loading"
    if worker.items_total:
        said += f" {worker.items_done}/{worker.items_total}"
    return said + (f" (try {worker.attempt})" if worker.attempt > 1 else "")


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


def _spread(estimate: Estimate) -> str:
    return f"{duration(estimate.seconds)} ({duration(estimate.lower)}-{duration(estimate.upper)})"


def _parameters(n: float) -> str:
    for unit, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= scale:
            return f"{n / scale:.3g}{unit}"
    return f"{n:.0f}"


def unmeasurable(cells: Iterable[Missing]) -> list[str]:
    """Return a line for each reason why cells cannot be measured."""
    found: dict[tuple[str, str], list[str]] = {}
    by_model: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        by_model.setdefault((cell.model, cell.reason), []).append(cell.benchmark)
    for (model, reason), benchmarks in by_model.items():
        what = benchmarks[0] if len(benchmarks) == 1 else f"{len(benchmarks)} benchmarks"
        found.setdefault((what, reason), []).append(model)
    return [
        f"cannot be measured: {what} of "
        f"{names[0] if len(names) == 1 else f'{len(names)} checkpoints'}: {reason}"
        for (what, reason), names in found.items()
    ]


def print_fit(fit: ZooFit) -> None:
    """Print what a measured zoo shows."""
    from capspace.fit._display import counted
    from capspace.fit.zoo.report import verdict

    laws = {} if fit.efficiency is None else fit.efficiency.laws
    share = fit.space.explained_variance_ratio_[0]
    models = counted(len(fit.places), "model")
    title = f"zoo {fit.name}: PC-1 explains {share:.0%} of the variance of {models}"
    if laws:
        print_table(
            title,
            ("Family", "Models", "PC-1 per tenfold compute", "R²"),
            [
                (law.family, str(law.n_models), f"{law.slope:+.3f}", _figure(law.r2, 2))
                for law in laws.values()
            ],
            numbers=("Models", "PC-1 per tenfold compute", "R²"),
        )
    else:
        console().print(title, markup=False)
    if fit.predictions:
        print_table(
            f"{fit.largest}, predicted from smaller models",
            (
                "Benchmark", "Predicted", f"{fit.level:.0%} interval", "Measured",
                "From compute alone",
            ),
            [
                (
                    p.benchmark,
                    _figure(p.mean, 3),
                    f"{p.lower:.3f}-{p.upper:.3f}",
                    _figure(p.measured, 3) + ("" if p.is_inside else " outside"),
                    _figure(p.compute_only, 3),
                )
                for p in fit.predictions
                if p.model == fit.largest
            ],
            numbers=("Predicted", "Measured", "From compute alone"),
        )  # fmt: skip
    console().print(verdict(fit), markup=False)
    if fit.targets:
        print_table(
            "Targets",
            ("Model", "Target", "Predicted", f"{fit.level:.0%} interval"),
            [
                (p.model, p.benchmark, _figure(p.mean, 3), f"{p.lower:.3f}-{p.upper:.3f}")
                for p in fit.targets
            ],
            numbers=("Predicted",),
        )
    for notice in fit.notices:
        console().print(notice, markup=False)


def _figure(value: float, digits: int) -> str:
    return "?" if math.isnan(value) else f"{value:.{digits}f}"

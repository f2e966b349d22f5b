"""A run shows its progress live on a terminal, as plain lines elsewhere, or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

__all__ = ["LiveProgress", "PlainProgress", "ProgressDisplay", "SilentProgress", "progress_on"]


class ProgressDisplay(Protocol):
    """What a run reports while it goes on."""

    def model(self, name: str, n_missing: int, n_known: int) -> None:
        """Begin a model: how many benchmarks will be measured and how many are known."""

    def benchmark(self, name: str, index: int, total: int) -> None:
        """Begin benchmark ``index`` of ``total``, counted from 1."""

    def items(self, done: int, total: int) -> None:
        """Tell how many items of the benchmark are done."""

    def scored(self, name: str, score: float, stderr: float, n_items: int) -> None:
        """End a benchmark with its score, which is in the store by now."""

    def missing(self, name: str, reason: str) -> None:
        """End a benchmark without a score."""

    def note(self, text: str) -> None:
        """Tell anything else."""

    def notices(self, model: str, lines: Sequence[str]) -> None:
        """Tell, before a model's first benchmark, what is done otherwise; mostly nothing."""

    def close(self) -> None:
        """End the run."""


class SilentProgress:
    """Says nothing."""

    def model(self, name: str, n_missing: int, n_known: int) -> None:
        """Say nothing."""

    def benchmark(self, name: str, index: int, total: int) -> None:
        """Say nothing."""

    def items(self, done: int, total: int) -> None:
        """Say nothing."""

    def scored(self, name: str, score: float, stderr: float, n_items: int) -> None:
        """Say nothing."""

    def missing(self, name: str, reason: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def notices(self, model: str, lines: Sequence[str]) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Do nothing."""


class PlainProgress:
    """One line per event, for logs and pipes.

    Parameters
    ----------
    write : callable
        Takes a line without its end.
    every : float
        Least seconds between two lines about items.

    """

    def __init__(self, write: Callable[[str], None], *, every: float = 30.0) -> None:
        self._write = write
        self._every = every
        self._label = ""
        self._started = self._last_line = time.monotonic()

    def model(self, name: str, n_missing: int, n_known: int) -> None:
        """Write which model begins, and how much of it is known."""
        self._write(f"{name}: {_plan(n_missing, n_known)}")

    def benchmark(self, name: str, index: int, total: int) -> None:
        """Write which benchmark begins."""
        self._label = f"[{index}/{total}] {name}"
        self._started = self._last_line = time.monotonic()
        self._write(f"{self._label}: started")

    def items(self, done: int, total: int) -> None:
        """Write items, items/s and time left, now and then."""
        now = time.monotonic()
        if now - self._last_line < self._every or not done:
            return
        self._last_line = now
        rate = done / (now - self._started)
        self._write(
            f"{self._label}: {done}/{total} items, {rate:.1f} items/s, "
            f"{(total - done) / rate:.0f} s left"
        )

    def scored(self, name: str, score: float, stderr: float, n_items: int) -> None:
        """Write the score."""
        seconds = time.monotonic() - self._started
        self._write(f"{self._label}: {_score(score, stderr)}, {n_items} items, {seconds:.1f} s")

    def missing(self, name: str, reason: str) -> None:
        """Write why a benchmark has no score."""
        self._write(f"{name}: no score: {reason}")

    def note(self, text: str) -> None:
        """Write the text."""
        self._write(text)

    def notices(self, model: str, lines: Sequence[str]) -> None:
        """Write a line for each."""
        for line in lines:
            self._write(f"{model}: {line}")

    def close(self) -> None:
        """Do nothing: every line is out."""


class LiveProgress:
    """A bar over the benchmarks of a model and one over the items of the current benchmark."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._benchmarks: TaskID | None = None
        self._items: TaskID | None = None
        self._started = time.monotonic()
        self._bars.start()

    def model(self, name: str, n_missing: int, n_known: int) -> None:
        """Show which model begins, and how much of it is known."""
        self.note(f"{name}: {_plan(n_missing, n_known)}")
        self._drop(self._benchmarks)
        self._benchmarks = (
            self._bars.add_task(_line(name), total=n_missing, rate="") if n_missing else None
        )

    def benchmark(self, name: str, index: int, total: int) -> None:
        """Show a new bar for the benchmark's items."""
        self._drop(self._items)
        self._items = self._bars.add_task(_line(f"  {name}"), total=None, rate="")
        self._started = time.monotonic()

    def items(self, done: int, total: int) -> None:
        """Advance the bar over items."""
        if self._items is not None:
            rate = done / max(time.monotonic() - self._started, 1e-9)
            self._bars.update(self._items, completed=done, total=total, rate=f"{rate:.1f} items/s")

    def scored(self, name: str, score: float, stderr: float, n_items: int) -> None:
        """Print the score above the bars."""
        self._end(f"  {name}: {_score(score, stderr)}, {n_items} items")

    def missing(self, name: str, reason: str) -> None:
        """Print why a benchmark has no score above the bars."""
        self._end(f"  {name}: no score: {reason}")

    def note(self, text: str) -> None:
        """Print the text above the bars."""
        self._console.print(text, markup=False, highlight=False)

    def notices(self, model: str, lines: Sequence[str]) -> None:
        """Print a line for each above the bars."""
        for line in lines:
            self.note(f"{model}: {line}")

    def close(self) -> None:
        """Take the bars away."""
        self._bars.stop()

    def _end(self, text: str) -> None:
        self.note(text)
        if self._items is not None and self._benchmarks is not None:
            self._bars.advance(self._benchmarks)
        self._drop(self._items)
        self._items = None

    def _drop(self, task: TaskID | None) -> None:
        if task is not None:
            self._bars.remove_task(task)


def progress_on(console: Console) -> ProgressDisplay:
    """Return the display that suits a console: live on a terminal, plain lines elsewhere."""
    if console.is_terminal:
        return LiveProgress(console)
    return PlainProgress(
        lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)
    )


def _line(text: str) -> str:
    return " ".join(text.splitlines())


def _plan(n_missing: int, n_known: int) -> str:
    if not n_missing and not n_known:
        return "nothing can be measured"
    if not n_missing:
        return f"nothing to measure, all {n_known} scores are in the store"
    known = f", {n_known} are in the store" if n_known else ""
    return f"{n_missing} benchmark{'s' * (n_missing != 1)} to measure{known}"


def _score(score: float, stderr: float) -> str:
    return f"{score:.4f}" if stderr != stderr else f"{score:.4f} ± {stderr:.4f}"

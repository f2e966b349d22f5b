"""Measuring a checkpoint stops when more items would hardly narrow its predictions' intervals.

A first round measures a few items of each benchmark. The results determine how many items of each
are enough; these are measured, and so on. Items are drawn in one random order, so
that each round requests only what is new.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from capspace.fit.decide._item_pool import ItemPool
from capspace.fit.decide._noise_effect import PredictedWidths
from capspace.fit.decide._stopping import (
    FIRST_ITEMS,
    MeasuredItems,
    StoppingPlan,
    first_round,
    plan_items,
)
from capspace.fit.decide._tolerance import Tolerance, read_seconds
from capspace.fit.errors import UnknownCostError
from capspace.tasks.panel import Benchmark

from ..checkpoints.checkpoint import Checkpoint
from ..errors import CollectError
from ..recorder.accelerator import free_memory
from ..runtime.progress import ProgressDisplay, SilentProgress
from ..storage.result import Missing, Result
from ..storage.score_table import to_table
from ..storage.store import Store
from .cells import Cell, measurable_cells
from .draws import drawn, stored_draws
from .panel_run import PanelRun

__all__ = ["StoppingRun"]


@dataclass(frozen=True)
class StoppingRun(PanelRun):
    """A run of a panel over checkpoints that measures only as many items as predictions need.

    Attributes
    ----------
    widths : PredictedWidths
        How wide the intervals of the targets are that matter.
    first_items : int
        Items of each benchmark in the first round, or two for each of its tasks.

    """

    widths: PredictedWidths
    first_items: int = FIRST_ITEMS
    _plans: dict[str, StoppingPlan] = field(default_factory=dict)
    _last_note: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def plans(self) -> Mapping[str, StoppingPlan]:
        """By checkpoint, why measuring stopped."""
        return self._plans

    def benchmarks_of(self, checkpoint: Checkpoint) -> Sequence[Benchmark]:
        """Return each benchmark with the most items that are measured, or those of a first round.

        A benchmark that fixes its items keeps them.
        """
        stored = [r for r in self.store.results() if r.revision == checkpoint.revision]
        return [self._known(checkpoint, b, stored) for b in self.panel.benchmarks]

    def _known(
        self, checkpoint: Checkpoint, benchmark: Benchmark, stored: Sequence[Result]
    ) -> Benchmark:
        if not benchmark.is_whole:
            return benchmark
        first = drawn(benchmark, first_round(benchmark.n_tasks, self.first_items))
        try:
            if self.is_stored(self.key_of(checkpoint, benchmark)):
                return benchmark
            draws = stored_draws(benchmark, stored, partial(self.key_of, checkpoint))
            return next(draws, first)
        except CollectError:  # which `measurable_cells` makes the reason why it has no score
            return first

    def measure_cells(
        self, checkpoint: Checkpoint, cells: list[Cell], todo: list[Cell]
    ) -> tuple[list[Cell], int, list[Missing]]:
        """Measure items of all benchmarks, round by round, until they are enough."""
        lm, n_measured, seconds = None, 0, 0.0
        failed: list[Missing] = []
        before: list[Cell] = []
        failing: set[str] = set()
        tried = {cell.key for cell in cells}
        while True:
            if todo:
                if lm is None:
                    lm, failed = self.loaded(checkpoint, todo)
                if lm is None:
                    break
                began = time.perf_counter()
                complete = self._complete(checkpoint)
                same = [cell for cell in todo if cell.benchmark.name in complete]
                n, gaps = self.measure_with(
                    lm, checkpoint, [cell for cell in todo if cell not in same]
                )
                failed += gaps
                if same:  # scores of the same responses, under the key of all items
                    quiet = replace(self, progress=_SameItems(self.progress, complete))
                    failed += quiet.measure_with(lm, checkpoint, same)[1]
                seconds += time.perf_counter() - began
                n_measured += n
                cells = [c for c in cells if self.is_stored(c.key)]
            # one that failed this time keeps the score of the round before
            names = {c.benchmark.name for c in cells}
            cells += [c for c in before if c.benchmark.name not in names]
            failing |= {c.benchmark.name for c in before} - names
            following = self._following(checkpoint, cells, seconds, failing) if cells else cells
            tried |= {cell.key for cell in following}
            todo = [cell for cell in following if not self.is_stored(cell.key)]
            before, cells = cells, following
            if not todo:
                break
        del lm
        free_memory()
        if isinstance(self.store, Store):
            fewer = tried.union(*(self._fewer_items(checkpoint, cell) for cell in cells))
            self.store.remove(fewer - {cell.key for cell in cells})
        scored = {cell.benchmark.name for cell in cells if self.is_stored(cell.key)}
        return cells, n_measured, [gap for gap in failed if gap.benchmark not in scored]

    def _fewer_items(self, checkpoint: Checkpoint, cell: Cell) -> set[str]:
        """Return the keys of stored scores on fewer of the same items, of runs that were killed."""
        benchmark = self.panel[cell.benchmark.name]
        if not benchmark.is_whole:
            return set()
        stored = [r for r in self.store.results() if r.revision == checkpoint.revision]
        draws = stored_draws(benchmark, stored, partial(self.key_of, checkpoint))
        n = cell.benchmark.items
        return {self.key_of(checkpoint, d) for d in draws if n is None or (d.items or 0) < n}

    def _following(
        self,
        checkpoint: Checkpoint,
        cells: list[Cell],
        seconds: float,
        failing: Collection[str] = (),
    ) -> list[Cell]:
        """Return the cells of the next round: the same where all items that matter are measured."""
        results = {c.benchmark.name: self.store.get(c.key) for c in cells}
        known = {b: replace(r, model=checkpoint.name) for b, r in results.items() if r is not None}
        growing = {cell.benchmark.name for cell in cells if self._may_grow(cell)} - {*failing}
        measured = _counted(
            [_measured(result, may_grow=name in growing) for name, result in known.items()]
        )
        effect = self.widths.effect(to_table(known.values()))
        left = None
        if self.settings.budget is not None:
            left = max(0.0, read_seconds(self.settings.budget) - seconds)
        tolerance = Tolerance.read(self.settings.until or "")
        try:
            plan = plan_items(effect, measured, tolerance, seconds=left)
        except UnknownCostError:  # all responses were known, so that none of them was timed
            plan = plan_items(effect, measured, tolerance)
        self._plans[checkpoint.name] = plan
        self._note_plan(checkpoint.name, plan)
        whole = {m.benchmark: m.pool.n_items for m in measured}
        wanted = []
        for cell in cells:
            name = cell.benchmark.name
            n, benchmark = plan.n_items[name], self.panel[name]
            if name in growing:
                wanted.append(benchmark if n == whole[name] else drawn(benchmark, n))
            else:
                wanted.append(cell.benchmark)
        following, _ = measurable_cells(
            checkpoint, wanted, self.harness, self.settings, is_stored=self.is_stored
        )
        return following

    def _may_grow(self, cell: Cell) -> bool:
        """Return whether more items of a benchmark can be measured."""
        benchmark = self.panel[cell.benchmark.name]
        is_refused = benchmark.executes_code and not self.settings.allow_code_execution
        return cell.benchmark.items is not None and benchmark.is_whole and not is_refused

    def _complete(self, checkpoint: Checkpoint) -> set[str]:
        """Return the benchmarks of which a first round has measured every item."""
        plan = self._plans.get(checkpoint.name)
        measured = () if plan is None else plan.measured
        return {m.benchmark for m in measured if m.n_items == m.pool.n_items}

    def _note_plan(self, model: str, plan: StoppingPlan) -> None:
        now = f"{plan.token_share:.1%} of the tokens are measured"
        wider = f"the widest interval is {plan.widening:.1%} wider than by all items"
        more = [
            f"{m.benchmark} {plan.n_items[m.benchmark]:,}"
            for m in plan.measured
            if plan.n_items[m.benchmark] > m.n_items
        ]
        what = f"; next, items in all: {', '.join(more)}" if more else "; that is enough"
        if not more and not plan.within_budget:
            what = "; the budget ends here"
        line = f"until {plan.tolerance}: {now}, and {wider}{what}"
        if plan.is_whole:
            line = f"until {plan.tolerance}: all items are measured"
        if (now, what) != self._last_note.get(model):
            self._last_note[model] = now, what
            self.progress.note(line)


class _SameItems(SilentProgress):
    """Shows of benchmarks whose score was shown before only what goes wrong."""

    def __init__(self, shown: ProgressDisplay, benchmarks: Collection[str]) -> None:
        self._shown = shown
        self._about = tuple(f"{name}: " for name in benchmarks)

    def missing(self, name: str, reason: str) -> None:
        """Show why a benchmark has no score."""
        self._shown.missing(name, reason)

    def note(self, text: str) -> None:
        """Show what is not about one of the benchmarks."""
        if not text.startswith(self._about):
            self._shown.note(text)


def _counted(measured: Sequence[MeasuredItems]) -> list[MeasuredItems]:
    """Give an item whose tokens were not counted, as without ``--until``, those of a usual one."""
    known = [m.tokens for m in measured if m.tokens > 0]
    usual = sum(known) / len(known) if known else 1.0
    return [m if m.tokens > 0 else replace(m, tokens=usual) for m in measured]


def _measured(result: Result, *, may_grow: bool) -> MeasuredItems:
    """Return what a stored score says of its items, and whether more can be measured."""
    parts = result.tasks
    n = result.n_items or 1
    identity_weighted = '"aggregate":"weighted"' in result.identity
    sizes = tuple(int(part.get("of", part["n_items"])) for part in parts) or (n,)
    pool = ItemPool(sizes, weighted=identity_weighted)
    n = min(max(n, pool.n_tasks), pool.n_items)
    error = result.stderr**2
    variance = error / pool.variance_factor(n) if error > 0 else result.score * (1 - result.score)
    counts = result.provenance.get("requests") or {}
    asked = n * counts.get("n_asked", 0) / max(1, counts.get("n_requests", 0))
    shared = result.provenance.get("shared_tokens", 0)
    tokens = (result.provenance.get("tokens", 0) - shared) / n
    seconds = result.provenance["seconds"] / asked if asked else float("nan")
    # Of a few items more, only some tasks' beginnings were read.
    read = shared * min(1.0, asked / pool.n_tasks)
    part = read / (read + asked * tokens) if read else 0.0
    return MeasuredItems(
        benchmark=result.benchmark,
        pool=pool,
        n_items=n,
        variance=variance,
        tokens=tokens,
        seconds=seconds * (1 - part),
        shared_tokens=shared,
        shared_seconds=seconds * asked * part * shared / read if read else 0.0,
        may_grow=may_grow,
    )

"""A zoo's plan is printed on a terminal, in words and figures that other views share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..options import console, print_table

if TYPE_CHECKING:
    from ...storage.result import Missing
    from ...zoo.planning.cost import Estimate
    from ...zoo.planning.plan import Plan

__all__ = ["duration", "print_plan", "size", "unmeasurable"]

_MOST_ROWS = 40


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
    from ...zoo.planning.cost import total

    rows = []
    order = {u.model.row: i for i, u in reversed(list(enumerate(plan.units)))}
    models = sorted(plan.models, key=lambda m: order.get(m.row, len(plan.units)))
    for model in models[:_MOST_ROWS]:
        cells = plan.cells[model.row]
        units = [u.estimate for u in plan.units if u.model.row == model.row]
        place = order.get(model.row)
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
        console().print(f"... and {len(models) - _MOST_ROWS} more (--json shows all)")
        console().print()
    if plan.units:
        to_come = {u.model.ref: u.model.n_download_bytes for u in plan.units}
        download = f", {size(n)} to download" if (n := sum(to_come.values())) else ""
        console().print(f"total: {_spread(plan.gpu_seconds)} on one device{download}")
    for notice in plan.notices:
        console().print(notice, markup=False)
    for line in unmeasurable(plan.unmeasurable):
        console().print(line, markup=False)


def _spread(estimate: Estimate) -> str:
    return f"{duration(estimate.seconds)} ({duration(estimate.lower)}-{duration(estimate.upper)})"


def _parameters(n: float) -> str:
    for unit, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= scale:
            return f"{n / scale:.3g}{unit}"
    return f"{n:.0f}"


def unmeasurable(cells: Iterable[Missing]) -> list[str]:
    """Return a line for each reason why cells cannot be measured."""
    models: dict[tuple[str, str], list[str]] = {}
    by_model: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        by_model.setdefault((cell.model, cell.reason), []).append(cell.benchmark)
    for (model, reason), benchmarks in by_model.items():
        what = benchmarks[0] if len(benchmarks) == 1 else f"{len(benchmarks)} benchmarks"
        models.setdefault((what, reason), []).append(model)
    return [
        f"cannot be measured: {what} of "
        f"{names[0] if len(names) == 1 else f'{len(names)} checkpoints'}: {reason}"
        for (what, reason), names in models.items()
    ]

"""A section of the page says what to measure next, and what each benchmark costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..decide import NextEvaluations
from ..prediction import Placement
from ._drawn import Drawn, written
from .words import count, score

__all__ = ["next_dict", "next_section", "path_words"]

_LITTLE = 0.05
"""Measurements that narrow an interval by a smaller share are not worth much."""


def next_section(
    advice: NextEvaluations | str | None, placement: Placement, file: Path
) -> dict[str, Any]:
    """Return what the template shows of the benchmarks to measure next; the figure is written.

    Without a predicted target or a known cost there are no rows. The reason is returned instead,
    and the page shows what each benchmark would do for the place.
    """
    if advice is None or isinstance(advice, str):
        return {"rows": [], "why_none": advice or ""}
    several = len(advice.targets) > 1
    now = sum(advice.widths) / len(advice.widths)
    places = {step.measurement.benchmark: i for i, step in enumerate(advice.path, 1)}
    labels = [placement.reference.targets[name].label for name in advice.targets]
    return {
        "why_none": "",
        "targets": ", ".join(labels),
        "width": "Mean expected width" if several else "Expected width",
        "now": score(now),
        "rows": [
            {
                "order": places.get(step.measurement.benchmark, "–"),
                "benchmark": step.measurement.benchmark,
                "reason": _reason(step.measurement.benchmark, placement.missing),
                "n_items": "all" if (n := step.measurement.n_items) is None else count(n),
                "cost": "–" if step.measurement.cost is None else str(step.measurement.cost),
                "width": score(sum(step.widths) / len(step.widths)),
                "saved": f"{max(step.saved, 0.0):.1%}",
            }
            for step in advice.in_order
        ],
        "outcome": path_words(advice),
        "notes": advice.notes,
        "figure": _figure(advice, file),
    }


def next_dict(advice: NextEvaluations | str) -> dict[str, Any]:
    """Return a JSON-safe mapping of what to measure next, or of why that is not known."""
    return {"unknown": advice} if isinstance(advice, str) else advice.to_dict()


def path_words(advice: NextEvaluations) -> str:
    """Return how far the benchmarks narrow the interval, and for which cost."""
    if not advice.path:
        return "no benchmark is expected to narrow the interval"
    now = sum(advice.widths) / len(advice.widths)
    last = advice.path[-1]
    then = sum(last.widths) / len(last.widths)
    little = ", which is not worth much" if then > (1 - _LITTLE) * now else ""
    narrow = f"in this order, {len(advice.path)} of them narrow"
    if len(advice.path) == 1:
        narrow = f"{last.measurement.benchmark} narrows"
    return f"{narrow} the width to {score(then)} from {score(now)} for {last.total}{little}"


def _reason(benchmark: str, missing: Mapping[str, str]) -> str:
    return missing.get(benchmark, "measured on some of its items")


def _figure(advice: NextEvaluations, file: Path) -> Drawn | None:
    if not advice.path:
        return None
    from ..figures import draw_cost_and_width

    caption = "Expected width of the interval after the next benchmarks, against their cost."
    return written(draw_cost_and_width(advice), caption, file)

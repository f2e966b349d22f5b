"""A section of the page says what to measure next, and what each benchmark costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..decide import NextEvaluations, Step
from ..prediction import Placement
from ._drawn import Drawn, written
from .words import count, score, share

__all__ = ["next_dict", "next_section", "path_words", "saved_note", "saved_words"]

_SHOWN = 0.0005
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
    places = {step.measurement.benchmark: i for i, step in enumerate(advice.path, 1)}
    labels = [placement.reference.targets[name].label for name in advice.targets]
    return {
        "why_none": "",
        "targets": ", ".join(labels),
        "is_one": len(advice.targets) == 1,
        "now": score(advice.widths[0]),
        "saved_note": saved_note(advice),
        "rows": [
            {
                "order": places.get(step.measurement.benchmark, "–"),
                "benchmark": step.measurement.benchmark,
                "reason": _reason(step.measurement.benchmark, placement.missing),
                "n_items": "all" if (n := step.measurement.n_items) is None else count(n),
                "cost": "–" if step.measurement.cost is None else str(step.measurement.cost),
                "width": score(step.widths[0]),
                "saved": saved_words(step),
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


def saved_words(step: Step) -> str:
    """Return the share of the width that a step saves, "none" where it saves nothing."""
    return f"{step.saved:.1%}" if step.saved >= _SHOWN else "none"


def saved_note(advice: NextEvaluations) -> str:
    """Return what "Saved" is a share of, and what "none" means."""
    n = len(advice.targets)
    of = "the interval's width now"
    if n > 1:
        of = f"the width of the {n} intervals together (root mean square, each relative to now)"
    is_none = any(step.saved < _SHOWN for step in advice.single)
    wider = "; none: no narrowing is expected, or a widening" if is_none else ""
    return f"Saved: share of {of}{wider}"


def path_words(advice: NextEvaluations) -> str:
    """Return how far the benchmarks narrow the interval, and for which cost."""
    several = len(advice.targets) > 1
    if not advice.path:
        return f"no benchmark is expected to narrow the interval{'s' if several else ''}"
    last = advice.path[-1]
    left = advice.width_left(last)
    little = ", which is not worth much" if left > 1 - _LITTLE else ""
    narrow = f"in this order, {len(advice.path)} of them narrow"
    if len(advice.path) == 1:
        narrow = f"{last.measurement.benchmark} narrows"
    if several:
        how = f"the intervals to {share(left)} of their width now"
    else:
        how = f"the width to {score(last.widths[0])} from {score(advice.widths[0])}"
    return f"{narrow} {how} for {last.total}{little}"


def _reason(benchmark: str, missing: Mapping[str, str]) -> str:
    return missing.get(benchmark, "measured on some of its items")


def _figure(advice: NextEvaluations, file: Path) -> Drawn | None:
    if not advice.path:
        return None
    from ..figures import draw_cost_and_width

    whose = "intervals" if len(advice.targets) > 1 else "interval"
    caption = f"Expected width of the {whose} after the next benchmarks, against their cost."
    return written(draw_cost_and_width(advice), caption, file)

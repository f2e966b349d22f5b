"""The first section of the page is the verdict on a costly run, where the user asked for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..decide import Verdict
from ._drawn import Drawn, written
from .words import score, share

__all__ = ["question_words", "verdict_section"]


def verdict_section(verdict: Verdict | str, out: Path) -> dict[str, Any]:
    """Return what the template shows of a verdict; its figure is written into a folder.

    In place of a verdict it shows why there is none.
    """
    if isinstance(verdict, str):
        return {"why_none": f"{verdict[:1].upper()}{verdict[1:]}."}
    weak = " (weak)" if verdict.caution.startswith("weak") else ""
    return {
        "why_none": "",
        "title": f"{verdict.decision.capitalize()}: {verdict.label}{weak}",
        "caution": f"{verdict.caution[:1].upper()}{verdict.caution[1:]}.".strip("."),
        "reason": f"{verdict.reason[:1].upper()}{verdict.reason[1:]}.",
        "label": verdict.label,
        "level": share(verdict.level),
        "mean": score(verdict.mean),
        "lower": score(verdict.lower),
        "upper": score(verdict.upper),
        "attainable": score(verdict.attainable),
        "question": question_words(verdict),
        "cost": str(verdict.cost),
        "steps": [
            {
                "benchmark": step.measurement.benchmark,
                "cost": str(step.measurement.cost),
                "total": str(step.total),
                "width": score(step.widths[0]),
                "chance": share(chance),
                "is_advised": i < verdict.n_steps,
            }
            for i, (step, chance) in enumerate(zip(verdict.steps, verdict.chances, strict=True))
        ],
        "figure": _figure(verdict, out),
        "record": "no back-test of such verdicts is known"
        if verdict.record is None
        else str(verdict.record),
        "notes": verdict.notes,
    }


def question_words(verdict: Verdict) -> str:
    """Return what the run is to answer."""
    question = verdict.question
    if question.threshold is not None:
        return f"above {question.threshold:g}?"
    return f"known to ±{question.tolerance:g}?"


def _figure(verdict: Verdict, out: Path) -> Drawn | None:
    if not verdict.steps:
        return None
    from ..figures import draw_cost_and_width

    caption = "Expected width of the interval after measuring first, against the cost of doing so."
    return written(draw_cost_and_width(verdict), caption, out / "cost-and-width")

"""One sentence gives the reason for a verdict, and another any caution about its prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..reference import Reference
from ._path import Step
from .cost import Cost

if TYPE_CHECKING:
    from ._verdict import Verdict

__all__ = ["caution_of", "reason_of", "why_unweighed"]


def caution_of(reference: Reference, target: str) -> str:
    """Return what the target's back-test says against a prediction; "" for nothing."""
    evaluation = reference.evaluations.get(target)
    if evaluation is None or evaluation.status == "offered":
        return ""
    status = "refused by its back-test" if evaluation.status == "refused" else evaluation.status
    return f"{status}: {evaluation.reason}" if evaluation.reason else status


def why_unweighed(
    unlike: Sequence[str], unknown: Sequence[str], unit: str, *, n_weighed: int
) -> str:
    """Return why no measurement, or only some, was weighed against a run; "" for all.

    Parameters
    ----------
    unlike, unknown : sequence of str
        Benchmarks whose price is in another unit, and those without a price.
    unit : str
        Of the run, as users are shown it.
    n_weighed : int
        Number of benchmarks with a price in the unit.

    """
    reasons = []
    if unlike:
        reasons.append(f"the prices of {', '.join(unlike)} are not in {unit}")
    if unknown:
        reasons.append(f"nothing says what {', '.join(unknown)} would cost")
    if not reasons:
        return ""
    if n_weighed:
        return "of those with a known cost, no prior measurement saves more than it costs"
    return f"no measurement before was weighed, as {' and '.join(reasons)}"


def reason_of(verdict: Verdict, unweighed: str = "") -> str:
    """Return why a verdict is so, in a sentence; ``unweighed`` says why not all was weighed."""
    question, first = verdict.question, _names(verdict.steps[: verdict.n_steps])
    half = (verdict.upper - verdict.lower) / 2
    if question.threshold is not None:
        side = "above" if verdict.mean >= question.threshold else "below"
        share = verdict.probability if side == "above" else 1 - verdict.probability
        known = (
            f"the score lies {side} {question.threshold:g} with a probability of {_percent(share)}"
        )
        open_ = f"{question.threshold:g} lies inside the interval, and {known}"
    else:
        known = f"the score is known to ±{half:.3f}, within the tolerance of {question.tolerance:g}"
        open_ = f"the score is known only to ±{half:.3f}, and ±{question.tolerance:g} is wanted"
    if verdict.decision == "skip":
        return f"{known}: the run would cost {verdict.cost} and is not likely to change that"
    if verdict.decision == "run":
        return f"{open_}; {unweighed or 'no prior measurement saves more than it costs'}"
    step, chance = verdict.steps[verdict.n_steps - 1], verdict.chances[verdict.n_steps - 1]
    return (
        f"{open_}; measuring {first} for {step.total} would answer the question without the run "
        f"with a probability of {_percent(chance)}, which saves "
        f"{Cost(verdict.saving, verdict.cost.unit)} on average"
    )


def _percent(share: float) -> str:
    return "more than 99%" if share > 0.99 else "less than 1%" if share < 0.01 else f"{share:.0%}"


def _names(steps: Sequence[Step]) -> str:
    names = [step.measurement.benchmark for step in steps]
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))

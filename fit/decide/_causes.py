"""A pattern of deviating scores suggests the faults that usually cause it."""

from __future__ import annotations

from typing import Literal

__all__ = ["CAUSES", "Pattern", "pattern_of"]

Pattern = Literal[
    "scale", "at chance", "generated low", "generated high", "text low", "text high",
    "choice low", "choice high",
]  # fmt: skip

CAUSES: dict[Pattern, tuple[str, ...]] = {
    "scale": ("a percentage divided twice, or a fraction read as a percentage",),
    "at chance": (
        "labels shifted or swapped",
        "choices in another order than the gold answers",
        "scores of another split or benchmark",
    ),
    "generated low": (
        "chat template missing or wrong",
        "stop sequences that end answers early",
        "too few tokens for answers or thoughts",
        "an answer filter that does not match",
    ),
    "generated high": (
        "chain of thought or several samples where the reference has one",
        "training for such tasks",
        "contamination",
    ),
    "text low": (
        "answers cut off by the token limit",
        "stop sequences that end answers early",
        "an answer filter that does not match",
        "chat template missing or wrong",
    ),
    "text high": (
        "contamination",
        "chain of thought, more shots or several samples where the reference has one",
        "a filter that takes wrong answers",
    ),
    "choice low": (
        "other shots",
        "acc where the reference has acc_norm, or the reverse",
        "BOS token missing or doubled",
        "chat template around prompts of choices",
    ),
    "choice high": ("contamination", "other shots or metric", "an easier subset of the items"),
}
"""What usually leaves a pattern, the likeliest first."""

_NEAR_CHANCE = 0.05


def pattern_of(
    score: float,
    interval: tuple[float, float],
    *,
    generated: bool,
    together: bool = False,
    chance: float = 0.0,
) -> Pattern:
    """Return what a score that lies outside its interval looks like.

    Parameters
    ----------
    score : float
        A fraction; of several benchmarks their mean.
    interval : (low, high)
        What siblings say.
    generated : bool
        Whether the answers are generated text.
    together : bool
        Whether it stands for all generated benchmarks.
    chance : float
        Score of guessing.

    """
    low, high = interval
    if together:
        return "generated low" if score < low else "generated high"
    if score < low and low <= 100 * score <= high:
        return "scale"
    if score > high:
        return "text high" if generated else "choice high"
    if not generated and score <= chance + _NEAR_CHANCE:
        return "at chance"
    return "text low" if generated else "choice low"

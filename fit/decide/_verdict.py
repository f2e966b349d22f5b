"""A verdict answers a question about a score that would cost much to measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .._display import SingleRow
from .._json import json_dict
from ..errors import FitError
from ._path import Step
from ._track_record import TrackRecord
from .cost import Cost

__all__ = ["Decision", "Question", "Verdict"]

Array = NDArray[np.float64]
Decision = Literal["skip", "run", "measure first"]


@dataclass(frozen=True)
class Question:
    """What the run is to answer.

    Attributes
    ----------
    threshold : float or None
        Whether the score lies above it.
    tolerance : float or None
        What the score is, give or take this much.

    Raises
    ------
    FitError
        Not just one of the two is given, or it lies outside (0, 1).

    See Also
    --------
    judge_run : Answers it with a verdict.
    Verdict : Has it as ``question``.

    Examples
    --------
    >>> from capspace.fit import Question
    >>> Question(threshold=0.7).threshold
    0.7

    """

    threshold: float | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if (self.threshold is None) == (self.tolerance is None):
            raise FitError("give a threshold or a tolerance, one of the two")
        name = "tolerance" if self.threshold is None else "threshold"
        value = getattr(self, name)
        if not 0 < value < 1:
            raise FitError(f"{name} is {value}; it is a fraction between 0 and 1, as in 0.05")

    def is_answered(self, lower: Array, upper: Array) -> NDArray[np.bool_]:
        """Return where an interval leaves nothing open."""
        if self.threshold is not None:
            return np.asarray((lower > self.threshold) | (upper < self.threshold))
        return np.asarray((upper - lower) / 2 <= (self.tolerance or 0.0))


@dataclass(frozen=True, repr=False)
class Verdict(SingleRow):
    """Whether to run a costly evaluation of a model.

    Attributes
    ----------
    model, target, label : str
    decision : {"skip", "run", "measure first"}
    reason : str
        Why, in a sentence.
    mean, lower, upper : float
        Predicted score with its interval, fractions of the perfect score.
    level : float
        Nominal coverage of (lower, upper).
    question : Question
    probability : float
        That the score lies above the threshold; NaN where the question has none.
    attainable : float
        What the best tenth of models with such scores exceed; NaN where that is not known.
    cost : Cost
        Of the run.
    steps : tuple of Step
        What could be measured before, in the order of width saved per cost.
    n_steps : int
        How many of these to measure before; 0 unless the decision is "measure first".
    chances : tuple of float
        Probability, after each step, that the question is answered without the run.
    saving : float
        What measuring first, or skipping, is expected to save, in the unit of ``cost``.
    record : TrackRecord or None
        How often such verdicts were right, where the reference states its back-tests.
    notes : tuple of str
    caution : str
        What the target's back-test says against its prediction, such as that it is weak and why;
        "" for nothing.

    See Also
    --------
    judge_run : Makes one.
    TrackRecord : How such verdicts went.

    """

    model: str
    target: str
    label: str
    decision: Decision
    reason: str
    mean: float
    lower: float
    upper: float
    level: float
    question: Question
    probability: float
    attainable: float
    cost: Cost
    steps: tuple[Step, ...]
    n_steps: int
    chances: tuple[float, ...]
    saving: float
    record: TrackRecord | None
    notes: tuple[str, ...] = ()
    caution: str = ""

    def __repr__(self) -> str:
        return (
            f"Verdict({self.decision}: {self.target} of {self.model}, {self.mean:.2f} "
            f"[{self.lower:.2f}, {self.upper:.2f}] at {self.level:.0%})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; what is unknown is null."""
        steps = [
            {**step.to_dict([self.target]), "answered": chance}
            for step, chance in zip(self.steps, self.chances, strict=True)
        ]
        plain = (
            "model",
            "target",
            "label",
            "decision",
            "reason",
            "caution",
            "mean",
            "lower",
            "upper",
            "level",
        )
        return json_dict(
            {
                **{name: getattr(self, name) for name in plain},
                "threshold": self.question.threshold,
                "tolerance": self.question.tolerance,
                "probability_above": self.probability,
                "attainable": self.attainable,
                "cost": self.cost.amount,
                "unit": self.cost.unit,
                "measure_first": [s["benchmark"] for s in steps[: self.n_steps]],
                "steps": steps,
                "expected_saving": self.saving,
                "record": None if self.record is None else self.record.to_dict(),
                "notes": self.notes,
            }
        )

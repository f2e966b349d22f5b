"""An intervention is another way to let a model answer, with what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import FitError, check_count

__all__ = ["INTERVENTIONS", "Intervention"]


@dataclass(frozen=True)
class Intervention:
    """Another way to let a model answer, and what it costs.

    Attributes
    ----------
    name : str
        What tables call it.
    base, treated : str
        Names of the scores without and with it.
    samples : int
        Answers per item with it, k of self-consistency; the base has ``base_samples``.
    tokens, base_tokens : float
        Tokens of an answer with it and without.
    base_samples : int
    base_label : str
        How the base was measured, in words; its name by default.

    See Also
    --------
    predict_lift : Predicts what one gains.
    lift_card : Predicts what each of several gains.

    Examples
    --------
    >>> from capspace.fit import Intervention
    >>> Intervention("chain of thought", "gsm8k", "gsm8k-cot", tokens=256).extra_tokens
    248.0

    """

    name: str
    base: str
    treated: str
    samples: int = 1
    tokens: float = 128.0
    base_tokens: float = 8.0
    base_samples: int = 1
    base_label: str = ""

    def __post_init__(self) -> None:
        if not self.base_label:
            object.__setattr__(self, "base_label", self.base)
        check_count(self.samples, "samples")
        check_count(self.base_samples, "base_samples")
        for value, what in ((self.tokens, "tokens"), (self.base_tokens, "base_tokens")):
            if not (math.isfinite(value) and value > 0):
                raise FitError(f"{self.name}: {what} is {value:g}; it must be a number above 0")

    @property
    def extra_tokens(self) -> float:
        """Tokens per item beyond those of the base."""
        return self.samples * self.tokens - self.base_samples * self.base_tokens


INTERVENTIONS = (
    Intervention(
        "GSM8K: chain of thought", "gsm8k", "gsm8k-cot", base_label="GSM8K, direct answers"
    ),
    Intervention(
        "GSM8K: majority of 5 chains",
        "gsm8k",
        "gsm8k-cot-sc",
        samples=5,
        base_label="GSM8K, direct answers",
    ),
    Intervention("BBH: chain of thought", "bbh", "bbh-cot", base_label="BBH, direct answers"),
)
"""Those of "study-2024", whose only number of samples is 5. It states no tokens: that answers
have 8 without chain of thought and 128 with it is an assumption, which costs follow."""

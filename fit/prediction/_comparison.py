"""A comparison says how probable it is that one model scores above another on a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .._display import counted, frame_html
from .._json import json_safe

__all__ = ["Comparison", "PairComparison"]


@dataclass(frozen=True)
class PairComparison:
    """Two models on one target.

    Attributes
    ----------
    target, label : str
        Name of the target, and what tables call it.
    first, second : str
        The models.
    probability : float
        That the first scores above the second.
    difference : float
        Predicted score of the first minus that of the second, fractions of the perfect score.
    correlation : float
        Between the errors of the two predictions.
    n_models : int
        How many models with a score on the target the law was fitted on.
    status : str
        "offered", "weak" or "refused" as back-tests judged the target; "" where none did.
    reason : str
        Why the status is not "offered", or why a number is forced; "" where neither holds.

    See Also
    --------
    compare_models : Makes one for each pair and target.
    Comparison : Holds them together.

    """

    target: str
    label: str
    first: str
    second: str
    probability: float
    difference: float
    correlation: float
    n_models: int
    status: str = ""
    reason: str = ""


@dataclass(frozen=True, repr=False)
class Comparison:
    """Pairs of models on several targets.

    Attributes
    ----------
    models : tuple of str
    pairs : tuple of PairComparison
        Each pair on each target, target by target.
    uncompared : mapping of target to reason
        Targets without a number, as a back-test or a gate refuses them, or as no law can be fitted.
    notes : tuple of str
        What a reader must know before using a number.

    See Also
    --------
    compare_models : Makes one.
    PairComparison : Each of its pairs.

    """

    models: tuple[str, ...]
    pairs: tuple[PairComparison, ...]
    uncompared: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        n_targets = len({p.target for p in self.pairs})
        if len(self.models) != 2:
            return f"Comparison({len(self.models)} models × {counted(n_targets, 'target')})"
        above = sum(p.probability > 0.5 for p in self.pairs)
        return (
            f"Comparison({self.models[0]} above {self.models[1]} on {above} of "
            f"{counted(n_targets, 'target')})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per pair and target.

        Returns
        -------
        DataFrame
            target, first, second, probability, difference, correlation, n_models, status and
            reason.

        """
        columns = (
            "target", "first", "second", "probability", "difference", "correlation", "n_models",
            "status", "reason",
        )  # fmt: skip
        rows = [[getattr(pair, name) for name in columns] for pair in self.pairs]
        return pd.DataFrame(rows, columns=list(columns))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; what is unknown is null."""
        return {
            "models": list(self.models),
            "pairs": [json_safe(vars(pair)) for pair in self.pairs],
            "uncompared": dict(self.uncompared),
            "notes": list(self.notes),
        }

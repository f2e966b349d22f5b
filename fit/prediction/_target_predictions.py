"""Predictions by stored laws, with baselines and reasons, are also a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING, Any, Literal, Self

from .._display import SingleRow, counted, frame_html
from .._json import json_safe
from ..completion._baselines import BASELINES
from ..reference import Evaluation

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Status", "TargetPrediction", "TargetPredictions"]

Status = Literal["offered", "weak", "refused", "not evaluated"]


@dataclass(frozen=True, repr=False)
class TargetPrediction(SingleRow):
    """The predicted score of a model on a target of a reference.

    Attributes
    ----------
    reference, target, label, model : str
    status : str
        "offered", "weak" or "refused" as the target was evaluated, or "not evaluated".
    mean, lower, upper : float
        Fractions; NaN where ``reason`` refuses a number.
    level : float
        Nominal coverage of (lower, upper).
    reason : str
        Why there is no number, or why it is worth little; "" where neither holds.
    gate : str
        The part of the reason that is about the model and not the target alone; "" for none.
    baselines : mapping of name to float
        Of ``BASELINES``, fractions; NaN where a baseline says nothing.
    nearest_model, single_benchmark : str
        What the last two of them are.
    evaluation : Evaluation or None
        How well the target is predicted.
    attainable : float
        What the best tenth of models with such scores exceed; NaN where the reference does not
        state how models were predicted that were left out, or for another level than 0.9.
    notes : tuple of str
        Which models of the reference were left out because they are, or likely are, this model.

    See Also
    --------
    TargetPredictions : Several of them, as one table.
    predict_targets : Makes one for each model and target.
    Evaluation : How well the target is predicted.

    """

    reference: str
    target: str
    label: str
    model: str
    status: Status
    mean: float
    lower: float
    upper: float
    level: float
    reason: str
    gate: str
    baselines: dict[str, float]
    nearest_model: str
    single_benchmark: str
    evaluation: Evaluation | None
    attainable: float = nan
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shown = f"{self.mean:.2f} [{self.lower:.2f}, {self.upper:.2f}] at {self.level:.0%}"
        number = "no number" if isnan(self.mean) else shown
        return f"TargetPrediction({self.target} of {self.model}: {number}, {self.status})"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; what is unknown is null."""
        evaluation = None if self.evaluation is None else self.evaluation.to_dict()
        safe: dict[str, Any] = json_safe({**vars(self), "evaluation": evaluation})
        return safe


class TargetPredictions(tuple[TargetPrediction, ...]):
    """Predictions by stored laws, in order; a tuple that is also a table.

    See Also
    --------
    predict_targets : Makes one for each model and target.
    Predictions : Those of laws that are fitted anew.

    """

    __slots__ = ()

    def __new__(cls, predictions: Iterable[TargetPrediction] = ()) -> Self:
        """Return the predictions, in their order."""
        return super().__new__(cls, predictions)

    def __repr__(self) -> str:
        models = counted(len({p.model for p in self}), "model")
        return f"TargetPredictions({models} × {counted(len({p.target for p in self}), 'target')})"

    def _repr_html_(self) -> str:
        return frame_html(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per prediction.

        Returns
        -------
        DataFrame
            model, reference, target, status, prediction, lower, upper, level, attainable, the
            baselines mean, trend, nearest and single, nearest_model, single_benchmark and reason;
            NaN where there is no number.

        """
        import pandas as pd

        columns = (
            "model", "reference", "target", "status", "prediction", "lower", "upper", "level",
            "attainable", *BASELINES, "nearest_model", "single_benchmark", "reason",
        )  # fmt: skip
        rows = [
            (
                p.model, p.reference, p.target, p.status, p.mean, p.lower, p.upper, p.level,
                p.attainable, *(p.baselines[name] for name in BASELINES),
                p.nearest_model, p.single_benchmark, p.reason,
            )
            for p in self
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(columns))

"""Each predicted score has an interval, and states what it is based on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any, Self

import pandas as pd

from .._display import frame_html
from .._json import json_safe
from ..completion._baselines import BASELINES
from ._support import Support

__all__ = ["Prediction", "Predictions"]


@dataclass(frozen=True, repr=False)
class Prediction:
    """A predicted score with its interval and what it rests on.

    Attributes
    ----------
    target, label : str
        Name of the target, and what tables call it.
    model : str
    mean, lower, upper : float
        Fractions of the perfect score; NaN where no benchmark of the model is known.
    level : float
        Nominal coverage of (lower, upper).
    support : Support
    linear_predictor : float
        Where the model lies on the law's axis, in logits.
    missing : tuple of str
        Benchmarks of the space that the model lacks; their scores were inferred from the others,
        and the interval is wider for it.
    models, families : tuple of str
        What the law was fitted on.
    method : str
        Interval method.
    notes : tuple of str
        Which models of the reference were left out of the fit because they are, or likely are,
        this model, and which of its scores were left out as doubtful, and why.
    status : str
        "offered", "weak" or "refused" as the target was evaluated; "" where that is not known.
    reason : str
        Why the status is not "offered", "" where it is.
    attainable : float
        What the best tenth of models with such scores exceed; NaN where the reference does not
        state how models were predicted that were left out, or for another level than 0.9.
    baselines : mapping of name to float
        What needs no law, from the same training models: "mean" of their scores, "trend" over the
        release date, the score of the "nearest" model by the benchmarks at hand, and the best
        "single" benchmark. Fractions; NaN where a baseline says nothing.
    nearest_model, single_benchmark : str
        What the last two of them are; "" for none.

    See Also
    --------
    TargetLaw : Makes predictions.
    Predictions : Several of them, as one table.

    """

    target: str
    label: str
    model: str
    mean: float
    lower: float
    upper: float
    level: float
    support: Support
    linear_predictor: float
    missing: tuple[str, ...]
    models: tuple[str, ...]
    families: tuple[str, ...]
    method: str
    notes: tuple[str, ...] = ()
    status: str = ""
    reason: str = ""
    attainable: float = nan
    baselines: Mapping[str, float] = field(default_factory=dict, hash=False)
    nearest_model: str = ""
    single_benchmark: str = ""

    def __repr__(self) -> str:
        where = "inside" if self.support.inside else "outside"
        return (
            f"Prediction({self.target}: {self.mean:.2f} [{self.lower:.2f}, {self.upper:.2f}] at "
            f"{self.level:.0%}, {where})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)

    @property
    def n_models(self) -> int:
        """How many models the law was fitted on."""
        return len(self.models)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; what is unknown is null."""
        safe: dict[str, Any] = json_safe(
            {
                "target": self.target,
                "label": self.label,
                "model": self.model,
                "mean": self.mean,
                "lower": self.lower,
                "upper": self.upper,
                "level": self.level,
                "support": vars(self.support),
                "linear_predictor": self.linear_predictor,
                "missing": self.missing,
                "n_models": self.n_models,
                "models": self.models,
                "families": self.families,
                "method": self.method,
                "notes": self.notes,
                "status": self.status,
                "reason": self.reason,
                "attainable": self.attainable,
                "baselines": dict(self.baselines),
                "nearest_model": self.nearest_model,
                "single_benchmark": self.single_benchmark,
            }
        )
        return safe

    def to_frame(self) -> pd.DataFrame:
        """Return a table of one row; see ``Predictions.to_frame``."""
        return Predictions([self]).to_frame()


class Predictions(tuple[Prediction, ...]):
    """Predictions of models or of targets, in order; a tuple that is also a table.

    See Also
    --------
    TargetLaw.predict : One prediction per model.
    place_model : One prediction per target.
    TargetPredictions : Those of stored laws.

    """

    __slots__ = ()

    def __new__(cls, predictions: Iterable[Prediction] = ()) -> Self:
        """Return the predictions, in their order."""
        return super().__new__(cls, predictions)

    def __repr__(self) -> str:
        models = len({p.model for p in self})
        targets = list(dict.fromkeys(p.target for p in self))
        what = targets[0] if len(targets) == 1 else f"{len(targets)} targets"
        return f"Predictions({models} model{'s' if models != 1 else ''} × {what})"

    def _repr_html_(self) -> str:
        return frame_html(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per prediction.

        Returns
        -------
        DataFrame
            model, target, prediction, lower, upper, level, inside_support, support, n_models,
            n_families, method, status, reason, attainable, the baselines mean, trend, nearest and
            single, nearest_model and single_benchmark; NaN where a model has no known benchmark.

        """
        columns = (
            "model", "target", "prediction", "lower", "upper", "level", "inside_support",
            "support", "n_models", "n_families", "method", "status", "reason", "attainable",
            *BASELINES, "nearest_model", "single_benchmark",
        )  # fmt: skip
        rows = [
            (
                p.model, p.target, p.mean, p.lower, p.upper, p.level, p.support.inside,
                p.support.summary, p.n_models, len(p.families), p.method,
                p.status, p.reason, p.attainable,
                *(p.baselines.get(name, nan) for name in BASELINES),
                p.nearest_model, p.single_benchmark,
            )
            for p in self
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(columns))

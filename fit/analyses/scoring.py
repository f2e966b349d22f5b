"""Score a frozen law on models that came later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self, TypeVar

import numpy as np
import pandas as pd

from .._display import counted, frame_html
from ..errors import DegenerateError
from ..table.numbers import check_fractions, check_unique, float_series
from .frozen import FrozenLaw, known_scores, seen_in_training, utc_second

__all__ = ["Scoring", "score"]

_ByModel = TypeVar("_ByModel", pd.Series, pd.DataFrame)


@dataclass(frozen=True)
class Scoring:
    """How a frozen law did on models that were not in it.

    Attributes
    ----------
    name : str
        Of the frozen law.
    scored_at : datetime
    results : list of dict
        ``model, truth, mean, lower, upper, inside, frozen``; ``frozen`` is whether the
        prediction itself dates from the freeze, or only the law.
    left_out : dict
        Model to the reason why it was not scored.

    See Also
    --------
    FrozenLaw : The law that was scored.
    Ledger : Keeps its scorings.

    """

    name: str
    scored_at: datetime
    results: list[dict[str, Any]]
    left_out: dict[str, str]

    @property
    def n_models(self) -> int:
        """Models scored."""
        return len(self.results)

    @property
    def mse(self) -> float:
        """Mean squared error of the predictions."""
        return float(np.mean([(r["truth"] - r["mean"]) ** 2 for r in self.results]))

    @property
    def mae(self) -> float:
        """Mean absolute error of the predictions."""
        return float(np.mean([abs(r["truth"] - r["mean"]) for r in self.results]))

    @property
    def coverage(self) -> float:
        """Share of true values inside their interval."""
        return float(np.mean([r["inside"] for r in self.results]))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        return {**vars(self), "scored_at": self.scored_at.isoformat(timespec="seconds")}

    def to_frame(self) -> pd.DataFrame:
        """Return one row per model scored: truth, prediction, interval, and when it was made."""
        columns = ["model", "truth", "mean", "lower", "upper", "inside", "frozen"]
        return pd.DataFrame(self.results, columns=columns).set_index("model")

    def __repr__(self) -> str:
        return (
            f"Scoring({self.name}: {counted(self.n_models, 'model')}, mean absolute error "
            f"{self.mae:.3f}, {self.coverage:.0%} inside)"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> Self:
        """Return the scoring that ``to_dict`` wrote down."""
        return cls(**{**entry, "scored_at": datetime.fromisoformat(entry["scored_at"])})


def score(
    law: FrozenLaw, scores: pd.DataFrame, truth: pd.Series, *, now: datetime | None = None
) -> Scoring:
    """Compare a frozen law with what new models turned out to score.

    Parameters
    ----------
    law : FrozenLaw
        From the ledger.
    scores : DataFrame (models × benchmarks)
        Benchmarks of new models; not needed for models whose prediction itself was frozen.
    truth : Series indexed by model
        Their measured target, as a fraction of the perfect score.
    now : datetime, optional
        The present by default.

    Raises
    ------
    FitError
        A target score is outside [0, 1], a score is not a number, or a model has two.
    DegenerateError
        No model is left to score.
    LedgerError
        See ``FrozenLaw.refit``.

    """
    truth = float_series(_by_name(truth), law.target.name)
    scores = _by_name(scores)
    check_fractions(truth, law.target.name)
    frozen = {p["model"]: p for p in law.predictions}
    training = law.scores
    known = known_scores(scores[scores.index.isin(truth.index)], training)
    check_unique(known.index, "models of the scores")
    left_out: dict[str, str] = {}
    unpredicted = []
    for model in truth.index:
        own = known.loc[model] if model in known.index else pd.Series(dtype=float)
        if model not in frozen and (reason := seen_in_training(model, own, training)):
            left_out[model] = f"it {reason}"
        elif np.isnan(float(truth[model])):
            left_out[model] = "its target is not known"
        elif model not in frozen and model not in known.index:
            left_out[model] = "none of its benchmarks is known"
        elif model not in frozen:
            unpredicted.append(model)
    predictions = dict(frozen)
    if unpredicted:
        for p in law.refit().predict(scores.loc[unpredicted], level=law.level, keep=True):
            predictions[p.model] = p.to_dict()
    results = []
    for model in (m for m in truth.index if m not in left_out):
        prediction, true = predictions[model], float(truth[model])
        if prediction["mean"] is None:
            left_out[model] = "none of its benchmarks is in the space"
            continue
        results.append(
            {
                "model": model,
                "truth": true,
                **{name: prediction[name] for name in ("mean", "lower", "upper")},
                "inside": bool(prediction["lower"] <= true <= prediction["upper"]),
                "frozen": model in frozen,
            }
        )
    if not results:
        why = "; ".join(f"{m}: {reason}" for m, reason in list(left_out.items())[:3])
        raise DegenerateError(f"{law.name}: no model to score ({why or 'none given'})")
    return Scoring(law.name, utc_second(now), results, left_out)


def _by_name(values: _ByModel) -> _ByModel:
    """Return values by model with their models' names as text, as a ledger has them."""
    return values.set_axis(list(map(str, values.index)), axis=0)

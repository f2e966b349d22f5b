"""A law frozen with its data: what it holds, how it is fitted again, how it is scored."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import ValidationError

from .._display import counted, frame_html
from .._json import json_safe
from ..errors import DegenerateError, FitError
from ..prediction import Prediction, TargetLaw
from ..reference import Benchmark, Reference, Target
from ..reference.overlap import find_overlap
from ..table._table import ScoreTable

__all__ = ["FrozenLaw", "LedgerError", "Scoring", "digest", "freeze", "score"]

_SAME_LAW = 1e-6


class LedgerError(FitError):
    """A ledger that cannot be read, was changed after the fact, or is asked something it lacks."""


@dataclass(frozen=True)
class FrozenLaw:
    """A law as it stood when it was frozen.

    Attributes
    ----------
    name : str
    frozen_at : datetime
        UTC.
    version : str
        Of capspace.
    target : Target
    level : float
        Nominal coverage of its intervals.
    data_sha256 : str
        Of the training data.
    training : dict
        ``models``, ``families``, ``benchmarks``, ``chance``, ``scores`` (n × p, None where not
        measured) and ``truth`` (n,).
    law : dict
        ``mean``, ``components``, ``intercept``, ``coef``, ``floor``, ``ceiling`` of space and law.
    predictions : list of dict
        Of models whose benchmarks were known by then; see ``Prediction.to_dict``.

    """

    name: str
    frozen_at: datetime
    version: str
    target: Target
    level: float
    data_sha256: str
    training: dict[str, Any]
    law: dict[str, Any]
    predictions: list[dict[str, Any]]

    def refit(self) -> TargetLaw:
        """Return the law, fitted again to the frozen data and found to be the same.

        Raises
        ------
        LedgerError
            This version fits the same data differently.

        """
        data = self.training
        scores = _frame(data["scores"], data["models"], data["benchmarks"])
        wide = scores.assign(**{self.target.name: data["truth"]})
        facts = pd.DataFrame(
            {"family": data["families"], "tuning": self.target.population}, index=data["models"]
        )
        chance = dict(zip(data["benchmarks"], data["chance"], strict=True))
        reference = Reference(
            ScoreTable.from_wide(wide, models=facts.rename_axis("model")),
            {b: Benchmark(name=b, chance=chance[b]) for b in data["benchmarks"]},
            {self.target.name: self.target},
        )
        fit = TargetLaw(self.target, n_components=len(self.law["coef"])).fit(reference)
        now = _law(fit)
        for part in ("intercept", "coef"):
            then = np.asarray(self.law[part], dtype=float)
            if not np.allclose(now[part], then, rtol=_SAME_LAW, atol=_SAME_LAW):
                raise LedgerError(
                    f"{self.name}: capspace {version('capspace')} fits the frozen data to another "
                    f"law than {self.version} did ({part} {now[part]}, then {self.law[part]}); "
                    f"score it with capspace=={self.version}"
                )
        return fit

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        return {
            **vars(self),
            "frozen_at": self.frozen_at.isoformat(timespec="seconds"),
            "target": self.target.model_dump(mode="json"),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return the frozen predictions, one row per model: mean, lower, upper."""
        columns = ["model", "mean", "lower", "upper"]
        return pd.DataFrame(self.predictions, columns=columns).set_index("model").astype(float)

    def __repr__(self) -> str:
        return (
            f"FrozenLaw({self.name}: {self.target.name} frozen {self.frozen_at:%Y-%m-%d}, fitted "
            f"on {len(self.training['models'])} models, "
            f"{counted(len(self.predictions), 'prediction')})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> Self:
        """Return the law that ``to_dict`` wrote down.

        Raises
        ------
        LedgerError
            Its target has another form in this version.

        """
        try:
            target = Target.model_validate(entry["target"])
        except ValidationError as error:
            raise LedgerError(
                f"{entry['name']}: its target cannot be read ({error.errors()[0]['msg']})"
            ) from None
        when = datetime.fromisoformat(entry["frozen_at"])
        return cls(**{**entry, "target": target, "frozen_at": when})


@dataclass(frozen=True)
class Scoring:
    """How a frozen law did on models that were not in it.

    Attributes
    ----------
    name : str
        Of the frozen law.
    scored_at : datetime
    results : list of dict
        ``model, truth, mean, lower, upper, inside, frozen``; ``frozen`` tells whether the
        prediction itself dates from the freeze, or only the law.
    left_out : dict
        Model to the reason why it was not scored.

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


def freeze(
    fit: TargetLaw,
    *,
    name: str = "",
    scores: pd.DataFrame | None = None,
    level: float = 0.9,
    now: datetime | None = None,
) -> FrozenLaw:
    """Freeze a law, with predictions for models whose benchmarks are known already.

    Parameters
    ----------
    fit : TargetLaw
        The law and the data it was fitted on.
    name : str
        What it is called; by default the target and the date.
    scores : DataFrame (models × benchmarks), optional
        Models to predict now.
    level : float
        Nominal coverage of the intervals.
    now : datetime, optional
        The present by default.

    Raises
    ------
    LedgerError
        A model to predict is, or likely is, among those the law was fitted on.

    """
    when = _second(now)
    training = {
        "models": list(map(str, fit.scores_.index)),
        "families": list(map(str, fit.families_)),
        "benchmarks": list(map(str, fit.scores_.columns)),
        "chance": fit.fitted_.training.chance.tolist(),
        "scores": json_safe(fit.scores_.to_numpy(dtype=float)),
        "truth": fit.truth_.astype(float).tolist(),
    }
    predictions: list[Prediction] = []
    if scores is not None:
        _require_unseen(scores, fit.scores_)
        predictions = list(fit.predict(scores, level=level, keep=True))
    return FrozenLaw(
        name=name or f"{fit.target_.name}@{when:%Y-%m-%d}",
        frozen_at=when,
        version=version("capspace"),
        target=fit.target_,
        level=level,
        data_sha256=digest(training),
        training=training,
        law=_law(fit),
        predictions=[p.to_dict() for p in predictions],
    )


def score(
    law: FrozenLaw, scores: pd.DataFrame, truth: pd.Series, *, now: datetime | None = None
) -> Scoring:
    """Compare a frozen law with what new models turned out to score.

    Parameters
    ----------
    law : FrozenLaw
        From the ledger.
    scores : DataFrame (models × benchmarks)
        Benchmarks of new models; not asked for where the prediction itself was frozen.
    truth : Series indexed by model
        Their measured target, as a fraction of the perfect score.
    now : datetime, optional
        The present by default.

    Raises
    ------
    DegenerateError
        No model is left to score.
    LedgerError
        See ``FrozenLaw.refit``.

    """
    frozen = {p["model"]: p for p in law.predictions}
    data = law.training
    training = _frame(data["scores"], data["models"], data["benchmarks"])
    left_out: dict[str, str] = {}
    fresh = []
    for model in map(str, truth.index):
        rows = scores[scores.index == model]
        own = rows.iloc[0] if len(rows) else pd.Series(dtype=float)
        if model not in frozen and (seen := _seen(model, own, training)):
            left_out[model] = f"it {seen}"
        elif np.isnan(float(truth[model])):
            left_out[model] = "its target is not known"
        elif model not in frozen and model not in scores.index:
            left_out[model] = "none of its benchmarks is known"
        elif model not in frozen:
            fresh.append(model)
    made = dict(frozen)
    if fresh:
        for p in law.refit().predict(scores.loc[fresh], level=law.level, keep=True):
            made[p.model] = p.to_dict()
    results = []
    for model in (m for m in map(str, truth.index) if m not in left_out):
        p, true = made[model], float(truth[model])
        if p["mean"] is None:
            left_out[model] = "none of its benchmarks is in the space"
            continue
        results.append(
            {
                "model": model,
                "truth": true,
                **{k: p[k] for k in ("mean", "lower", "upper")},
                "inside": bool(p["lower"] <= true <= p["upper"]),
                "frozen": model in frozen,
            }
        )
    if not results:
        why = "; ".join(f"{m}: {r}" for m, r in list(left_out.items())[:3])
        raise DegenerateError(f"{law.name}: no model to score ({why or 'none given'})")
    return Scoring(law.name, _second(now), results, left_out)


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _law(fit: TargetLaw) -> dict[str, Any]:
    law, space = fit.law_, fit.space_
    return {
        "mean": space.mean_.tolist(),
        "components": space.components_.tolist(),
        "intercept": law.intercept_,
        "coef": law.coef_.tolist(),
        "floor": json_safe(law.floor_),
        "ceiling": json_safe(law.ceiling_),
    }


def _require_unseen(scores: pd.DataFrame, training: pd.DataFrame) -> None:
    for model, row in scores.iterrows():
        if seen := _seen(str(model), row, training):
            raise LedgerError(f"{model!s} {seen}; fit without it to pre-register its prediction")


def _seen(model: str, scores: pd.Series, training: pd.DataFrame) -> str:
    """Return in words which training model a model is or likely is; "" for a new one."""
    for name, reason in find_overlap(model, scores, training).reasons.items():
        if not reason:
            return "is among the models the law was fitted on"
        return f"is or may be {name}, which the law was fitted on ({reason})"
    return ""


def _second(now: datetime | None) -> datetime:
    return (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)


def _frame(rows: list[list[float | None]], index: list[str], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(np.array(rows, dtype=float), index=index, columns=columns)

"""A frozen law holds its own data, from which it can be fitted again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import ValidationError

from .._digests import digest
from .._display import counted, frame_html
from .._json import json_safe
from ..errors import FitError, check_level
from ..law.conformal import Conformal
from ..prediction import Prediction, TargetLaw
from ..prediction._target_law import default_method
from ..reference import Benchmark, Reference, Target
from ..reference.overlap import find_overlap
from ..table._table import ScoreTable
from ..table.numbers import check_unique, float_frame

__all__ = [
    "FrozenLaw",
    "LedgerError",
    "entry_digest",
    "freeze",
    "known_scores",
    "seen_in_training",
    "utc_second",
]

_SAME_LAW = 1e-6


class LedgerError(FitError):
    """A ledger that cannot be read, was changed after the fact, or cannot answer.

    See Also
    --------
    Ledger, FrozenLaw : Raise it.

    """


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

    See Also
    --------
    Ledger : Freezes laws into a file and scores them later.
    Scoring : How it did on models that were not in it.

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

    @property
    def scores(self) -> pd.DataFrame:
        """Benchmark scores (n × p) of the models it was fitted on."""
        data = self.training
        return pd.DataFrame(
            np.array(data["scores"], dtype=float), data["models"], columns=data["benchmarks"]
        )

    def refit(self) -> TargetLaw:
        """Return the law, fitted again to the frozen data, and checked to be the same.

        Raises
        ------
        LedgerError
            This version fits the same data differently.

        """
        data = self.training
        wide = self.scores.assign(**{self.target.name: data["truth"]})
        facts = pd.DataFrame(
            {"family": data["families"], "tuning": self.target.population}, index=data["models"]
        )
        chance = dict(zip(data["benchmarks"], data["chance"], strict=True))
        reference = Reference(
            ScoreTable.from_wide(wide, models=facts.rename_axis("model")),
            {b: Benchmark(name=b, chance=chance[b]) for b in data["benchmarks"]},
            {self.target.name: self.target},
        )
        scale = self.law.get("interval_scale")
        method = None if scale is None else Conformal(scale=scale)
        n_components = len(self.law["coef"])
        fit = TargetLaw(self.target, n_components=n_components, method=method).fit(reference)
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
    FitError
        ``level`` does not lie between 0 and 1.
    LedgerError
        A model to predict is, or likely is, among those the law was fitted on.

    """
    check_level(level)
    when = utc_second(now)
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
        _require_unseen(known_scores(scores, fit.scores_), fit.scores_)
        predictions = list(fit.predict(scores, level=level, keep=True))
    return FrozenLaw(
        name=name or f"{fit.target_.name}@{when:%Y-%m-%d}",
        frozen_at=when,
        version=version("capspace"),
        target=fit.target_,
        level=level,
        data_sha256=entry_digest(training),
        training=training,
        law=_law(fit),
        predictions=[p.to_dict() for p in predictions],
    )


def entry_digest(value: Any) -> str:
    """Return the digest by which ledgers know what was changed, as those of 0.1.0 state it."""
    return digest(value, ensure_ascii=True)


def _law(fit: TargetLaw) -> dict[str, Any]:
    law, space = fit.law_, fit.space_
    return {
        "mean": space.mean_.tolist(),
        "components": space.components_.tolist(),
        "intercept": law.intercept_,
        "coef": law.coef_.tolist(),
        "floor": json_safe(law.floor_),
        "ceiling": json_safe(law.ceiling_),
        **_interval_scale(fit),
    }


def _interval_scale(fit: TargetLaw) -> dict[str, float]:
    """Return the scale of conformal intervals; nothing where the law's are others."""
    method = default_method(fit.reference_) if fit.method is None else fit.method
    scale = method.scale if isinstance(method, Conformal) else None
    return {} if scale is None else {"interval_scale": scale}


def _require_unseen(scores: pd.DataFrame, training: pd.DataFrame) -> None:
    for model, row in scores.iterrows():
        if reason := seen_in_training(str(model), row, training):
            raise LedgerError(f"{model!s} {reason}; fit without it to pre-register its prediction")


def known_scores(scores: pd.DataFrame, training: pd.DataFrame) -> pd.DataFrame:
    """Return the scores on benchmarks of the training models, as floats.

    Raises
    ------
    TableError
        A benchmark is there twice, or a score is not a number.

    """
    known = scores.loc[:, scores.columns.isin(training.columns)]
    check_unique(known.columns, "benchmarks of the scores")
    return float_frame(known)


def seen_in_training(model: str, scores: pd.Series, training: pd.DataFrame) -> str:
    """Return in words which training model (rows of ``training``) a model is; "" for a new one."""
    for name, reason in find_overlap(model, scores, training).reasons.items():
        if not reason:
            return "is among the models the law was fitted on"
        return f"is or may be {name}, which the law was fitted on ({reason})"
    return ""


def utc_second(now: datetime | None) -> datetime:
    """Return a time, by default the present, in UTC and to the second."""
    return (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)

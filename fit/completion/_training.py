"""A training table is checked once, and cut to the models that may be fitted on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Required, Self, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from ..errors import FitError, TooFewModelsError, UnknownNameError, near_matches
from ..table.cells import is_missing
from ..table.facts import last_day, read_date
from ..table.numbers import check_fractions, check_unique, float_frame
from .scales import score_to_z

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Columns",
    "TrainingSettings",
    "TrainingTable",
    "decimal_years",
    "latest_release",
    "reasoning_of",
    "reasoning_signs",
    "training_table",
]

Array = NDArray[np.float64]

_ANCHORS = ("gpqa", "mmlupro")


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are.

    Attributes
    ----------
    names : tuple of p str
    cheap, targets, anchors : tuple of int
        Their indices; a model needs one of the anchors, if there are any.
    linear : (p,) array of bool
        Columns without floor and ceiling.

    """

    names: tuple[str, ...]
    cheap: tuple[int, ...]
    targets: tuple[int, ...]
    anchors: tuple[int, ...]
    linear: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        scores: pd.DataFrame,
        *,
        cheap: Sequence[str],
        targets: Sequence[str],
        linear: Collection[str] = (),
        anchors: Sequence[str] | None = None,
    ) -> Self:
        """Check the names of columns, and number them."""
        check_unique(scores.columns, "columns")
        names = tuple(map(str, scores.columns))
        number = {name: j for j, name in enumerate(names)}
        for what, given in (
            ("cheap", cheap), ("targets", targets), ("linear", linear), ("anchors", anchors or ()),
        ):  # fmt: skip
            for name in given:
                if name not in number:
                    raise UnknownNameError(
                        f"{what}: {name!r} is no column of the scores{near_matches(name, names)}"
                    )
        both = [name for name in targets if name in set(cheap)]
        if both:
            raise FitError(f"{both[0]} is both cheap and a target; a target may not predict itself")
        if not cheap:
            raise FitError("cheap is empty; name the benchmarks that new models will have")
        if anchors is None:
            plain = {n: "".join(c for c in n.casefold() if c.isalnum()) for n in cheap}
            anchors = [n for n in cheap if plain[n].startswith(_ANCHORS)]
        return cls(
            names,
            tuple(number[n] for n in cheap),
            tuple(number[n] for n in targets),
            tuple(number[n] for n in anchors),
            np.isin(np.array(names), list(linear)),
        )


@dataclass(frozen=True)
class TrainingTable:
    """Scores and facts of n models on p columns.

    Attributes
    ----------
    models : (n,) array of str
    score : (n, p)
        As published, NaN where unknown.
    z : (n, p)
        The same on the scale of the fits.
    years : (n,)
        Release date in decimal years; NaN where unknown.
    reasoning : (n,)
        +1 or -1; NaN where unknown.
    provider : (n,) array of str
        A model without a known provider is its own.
    weight : (n,)
    columns : Columns

    """

    models: NDArray[np.str_]
    score: Array
    z: Array
    years: Array
    reasoning: Array
    provider: NDArray[np.str_]
    weight: Array
    columns: Columns

    @classmethod
    def of(
        cls,
        scores: pd.DataFrame,
        facts: pd.DataFrame,
        columns: Columns,
        *,
        cut: str | None = None,
        weight: pd.Series | None = None,
    ) -> Self:
        """Check scores and facts by model; models released after ``cut`` are left out."""
        check_unique(scores.index, "models with scores")
        check_unique(facts.index, "models with facts")
        frame = float_frame(scores)
        for j, name in enumerate(columns.names):
            if not columns.linear[j]:
                check_fractions(frame.iloc[:, j], name)
        for name in ("release_date", "provider"):
            if name not in facts:
                have = ", ".join(map(str, facts.columns))
                raise FitError(f"the facts have no column {name}; they have {have}")
        about = facts.reindex(scores.index)
        years = decimal_years(about["release_date"].items())
        models = np.array([str(m) for m in scores.index], dtype=str)
        provider = [
            str(m) if is_missing(p) or not str(p).strip() else str(p).strip()
            for m, p in zip(scores.index, about["provider"], strict=True)
        ]
        score = frame.to_numpy(dtype=float)
        weights = np.ones(len(models))
        if weight is not None:
            weights = weight.reindex(scores.index).to_numpy(dtype=float)
            if not (np.isfinite(weights).all() and (weights >= 0).all()):
                raise FitError("sample_weight must have a number, not negative, for each model")
        whole = cls(
            models,
            score,
            score_to_z(score, columns.linear),
            years,
            reasoning_signs(reasoning_of(about)),
            np.array(provider, dtype=str),
            weights,
            columns,
        )
        use = ~np.isnan(score).all(axis=1) & (weights > 0)
        if cut is not None:
            limit = decimal_years([("the cut", cut)])[0]
            use &= ~(years > limit)
        if use.sum() < 2:
            raise TooFewModelsError(f"{int(use.sum())} models with scores; at least two are needed")
        return whole.rows(use)

    def rows(self, use: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """Return the table of some of its models."""
        return replace(
            self,
            models=self.models[use],
            score=self.score[use],
            z=self.z[use],
            years=self.years[use],
            reasoning=self.reasoning[use],
            provider=self.provider[use],
            weight=self.weight[use],
        )

    @property
    def cheap(self) -> Array:
        """Cheap cells (n, c) on the scale of the fits."""
        return self.z[:, list(self.columns.cheap)]

    @property
    def targets(self) -> Array:
        """Target cells (n, t) on the scale of the fits."""
        return self.z[:, list(self.columns.targets)]

    @property
    def facts(self) -> Array:
        """Release date and reasoning (n, 2)."""
        return np.column_stack([self.years, self.reasoning])

    @property
    def last_release(self) -> float:
        """Release date of the latest model in decimal years; NaN where none is known."""
        known = self.years[~np.isnan(self.years)]
        return float(known.max()) if len(known) else float("nan")


class TrainingSettings(TypedDict, total=False):
    """What ``BlendedPredictor.fit`` takes beside scores and facts."""

    cheap: Required[Sequence[str]]
    targets: Required[Sequence[str]]
    linear: Collection[str]
    anchors: Sequence[str] | None
    cut: str | None
    sample_weight: pd.Series | None


def training_table(
    scores: pd.DataFrame, facts: pd.DataFrame, **settings: Unpack[TrainingSettings]
) -> TrainingTable:
    """Return the checked training table of what ``BlendedPredictor.fit`` takes."""
    unknown = [name for name in settings if name not in TrainingSettings.__annotations__]
    missing = [name for name in ("cheap", "targets") if name not in settings]
    if unknown or missing:
        raise TypeError(
            f"unexpected argument {unknown[0]!r}" if unknown else f"{missing[0]!r} is missing"
        )
    columns = Columns.of(
        scores,
        cheap=settings["cheap"],
        targets=settings["targets"],
        linear=settings.get("linear", ()),
        anchors=settings.get("anchors"),
    )
    cut, weight = settings.get("cut"), settings.get("sample_weight")
    return TrainingTable.of(scores, facts, columns, cut=cut, weight=weight)


def decimal_years(dates: Iterable[tuple[object, Any]]) -> Array:
    """Return the dates (n,) of models in decimal years, of a month its last day; NaN if unknown."""
    years = []
    for model, value in dates:
        iso = read_date(value, f"{model!s}: release_date")
        day = last_day(iso) if iso else None
        years.append(np.nan if day is None else day.year + (day.timetuple().tm_yday - 1) / 365.25)
    return np.array(years, dtype=float)


def latest_release(facts: pd.DataFrame, table: TrainingTable) -> str:
    """Return the ISO date of the latest release among a table's models; "" if none is known."""
    trained = set(table.models)
    dates = facts["release_date"][[str(model) in trained for model in facts.index]]
    known = [read_date(value, f"{model!s}: release_date") for model, value in dates.items()]
    return max((last_day(iso).isoformat() for iso in known if iso), default="")


def reasoning_of(facts: pd.DataFrame) -> Iterable[tuple[object, Any]]:
    """Return whether each model reasons, as its facts state it; None where they do not."""
    if "reasoning" not in facts:
        return ((model, None) for model in facts.index)
    items: Iterable[tuple[object, Any]] = facts["reasoning"].items()
    return items


def reasoning_signs(reasoning: Iterable[tuple[object, Any]]) -> Array:
    """Return +1 for models that reason before they answer, -1 for others, NaN where unknown."""
    signs = []
    for model, value in reasoning:
        if is_missing(value) or value == "":
            signs.append(np.nan)
            continue
        text = str(value).strip().casefold()
        if text not in {"true", "false", "1", "0", "1.0", "0.0", "yes", "no"}:
            raise FitError(f"{model!s}: reasoning is {value!r}; write true or false")
        signs.append(1.0 if text in {"true", "1", "1.0", "yes"} else -1.0)
    return np.array(signs, dtype=float)

"""The entries of a reference are benchmarks, targets, how well they are predicted, and sources."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from .._display import SingleRow
from .._json import json_dict

__all__ = [
    "About",
    "Benchmark",
    "Evaluation",
    "Kind",
    "Population",
    "Source",
    "Status",
    "Target",
]

Population = Literal["base", "instruct", "all"]
Kind = Literal["study", "vendor-reported", "single-protocol"]
Status = Literal["offered", "weak", "refused"]

_Fraction = Annotated[float, Field(ge=0, le=1)]
_FromZero = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_ENTRY = ConfigDict(extra="forbid", frozen=True, defer_build=True)  # most were checked before
_EMPTY = BeforeValidator(lambda value: None if value == "" else value)


class Benchmark(BaseModel):
    """A benchmark of the capability space.

    See Also
    --------
    Target : A benchmark that is predicted.
    Reference : Has both, by name.

    Examples
    --------
    >>> from capspace.fit import Benchmark
    >>> Benchmark(name="MMLU", chance=0.25, n_items=14042).chance
    0.25

    """

    model_config = _ENTRY

    name: str = Field(min_length=1)
    chance: float = Field(ge=0, lt=1)
    """Expected score of guessing."""
    n_items: int | None = Field(default=None, ge=1)
    n_shot: int | None = Field(default=None, ge=0)
    note: str = ""
    measures: str = ""
    """The questions of the benchmark, by their usual name; the name itself where this is empty."""
    protocol: str = ""
    """How they are put and scored, in a few words; scores by two protocols are on two scales."""


class Target(BaseModel):
    """A benchmark to predict.

    See Also
    --------
    load_reference : Loads a reference with its targets.
    TargetLaw : Predicts one.

    Examples
    --------
    >>> from capspace.fit import Target
    >>> target = Target(name="mine", label="Mine", description="Our own.", population="base")
    >>> target.chance
    0.0

    """

    model_config = _ENTRY

    name: str = Field(min_length=1)
    """What users type and how the reference's rows name it, scaffold and version behind a slash."""
    label: str
    """How tables and figures call it."""
    description: str
    population: Population
    """Which models it is fitted on."""
    space: tuple[str, ...] = ()
    """Benchmarks of the capability space; empty takes all of the reference."""
    drop: tuple[str, ...] = ()
    """Benchmarks left out of the space, because they measure the same thing as the target."""
    link: Literal["sigmoid", "sigmoid-floor", "linear", "exp"] = "sigmoid"
    chance: float = Field(default=0.0, ge=0, lt=1)
    """Score of guessing, the floor of the law."""
    perfect: float = Field(default=1.0, gt=0, le=1)
    """Best possible score, the ceiling of the law."""
    published_scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Published scores were divided by this."""
    n_items: int | None = Field(default=None, ge=1)
    source: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.chance < self.perfect:
            raise ValueError(f"chance {self.chance:g} is not below perfect {self.perfect:g}")
        return self


class Evaluation(SingleRow, BaseModel):
    """How well a target is predicted for models that no law was fitted on.

    Errors are mean absolute errors with the model's whole provider left out, fractions; what is
    not known is None. In a study, whose models state training compute and no date, it is the family
    that is left out, and compute that makes one model later than another.

    See Also
    --------
    evaluate_targets : Makes one for each target.
    TargetPrediction : Carries the one of its target.

    Examples
    --------
    >>> from capspace.fit import Evaluation
    >>> result = Evaluation(target="bbh", status="offered", n=40, mae=0.03, date="2026-01-31")
    >>> result.to_frame()["mae"].tolist()
    [0.03]

    """

    model_config = _ENTRY

    target: str
    status: Status
    """Whether it is predicted ("offered"), predicted with a warning, or only where forced."""
    reason: str = ""
    """Why it is not offered; "" where it is."""
    n: int = Field(ge=0)
    """How many models were left out and predicted."""
    mae: Annotated[_FromZero | None, _EMPTY] = None
    baseline: str = ""
    """The best of the naive baselines: mean, mean of the last five, date trend (of a study, mean
    and compute trend)."""
    baseline_mae: Annotated[_FromZero | None, _EMPTY] = None
    ratio: Annotated[_FromZero | None, _EMPTY] = None
    """The error over that of the best naive baseline."""
    coverage: Annotated[_Fraction | None, _EMPTY] = None
    """Share of later models inside the 90% interval of laws fitted on earlier ones."""
    k: Annotated[_FromZero | None, _EMPTY] = None
    """Factor from standard deviations to the half-width of the 90% interval."""
    date: date
    """The last release among the models that it was evaluated on."""

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; what is unknown is null."""
        return json_dict(dict(self))


class Source(BaseModel):
    """Where cells of a reference were published.

    See Also
    --------
    About : Lists those of a reference.
    SourceTerms : What a user states of a file, of which a source is made.

    Examples
    --------
    >>> from capspace.fit import Source
    >>> Source(title="board", date="2026-11-01", licence="CC-BY 4.0").licence
    'CC-BY 4.0'

    """

    model_config = _ENTRY

    title: str
    url: str = ""
    commit: str = ""
    date: date
    """When the copy that was read was published."""
    licence: str = Field(min_length=1)


class About(BaseModel):
    """What a reference is, how new it is, and on which terms it may be used.

    See Also
    --------
    Reference : Has one as ``about``.
    Source : Where its scores were published.

    """

    model_config = _ENTRY

    name: str = Field(min_length=1)
    title: str
    kind: Kind
    """One study; many vendors' own reports; or one protocol run by one laboratory."""
    date: date
    """Release of its last model; no score in it is newer than its sources."""
    version: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    attribution: str = Field(min_length=1)
    """What must stand beside numbers that were made with it."""
    sources: tuple[Source, ...] = ()
    interval_scale: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Scale of the intervals of laws that are fitted to it, as ``conformal_scale`` learns it from
    all of its targets; None where it was not learned."""
    note: str = ""

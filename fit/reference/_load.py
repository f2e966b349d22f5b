"""Load a reference: the packaged one, a folder of the same shape, or one table."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal, Self, TypeVar, get_args

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .._display import counted, frame_html
from ..errors import TableError, UnknownNameError, check_choice, near_matches
from ..table._table import ScoreTable
from ..table.cells import read_cells
from ..table.readers import read_table, typed

__all__ = [
    "Benchmark",
    "Population",
    "Reference",
    "Target",
    "load_reference",
    "target_training_table",
]

Population = Literal["base", "instruct"]
Entry = TypeVar("Entry", bound=BaseModel)


class Benchmark(BaseModel):
    """A benchmark of the capability space."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    chance: float = Field(ge=0, lt=1)
    """Expected score of guessing."""
    n_items: int | None = None
    n_shot: int | None = None
    note: str = ""


class Target(BaseModel):
    """A benchmark to predict."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """What users type and how the reference's rows name it."""
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
    published_scale: float = Field(default=1.0, gt=0)
    """Published scores were divided by this."""
    n_items: int | None = None
    source: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.chance < self.perfect:
            raise ValueError(f"chance {self.chance:g} is not below perfect {self.perfect:g}")
        return self


@dataclass(frozen=True)
class Reference:
    """Published scores of known models on cheap benchmarks and on targets.

    Attributes
    ----------
    table : ScoreTable
        Benchmarks and targets, fractions of the perfect score, every row with its source.
    benchmarks : mapping of name to Benchmark
    targets : mapping of name to Target

    """

    table: ScoreTable
    benchmarks: dict[str, Benchmark]
    targets: dict[str, Target]

    def __repr__(self) -> str:
        return (
            f"Reference({counted(len(self.table.models), 'model')}, "
            f"{counted(len(self.benchmarks), 'benchmark')}, {counted(len(self.targets), 'target')})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per target: label, description, population and how many models have it."""
        rows = [
            (t.label, t.description, t.population, len(target_training_table(self, t)[0]))
            for t in self.targets.values()
        ]
        columns = ["label", "description", "population", "n_models"]
        return pd.DataFrame(rows, index=pd.Index(self.targets, name="target"), columns=columns)

    def target(self, name: str) -> Target:
        """Return a target by its name or label.

        Raises
        ------
        UnknownNameError
            There is none; near matches are named.

        """
        for target in self.targets.values():
            if name.lower() in (target.name.lower(), target.label.lower()):
                return target
        raise UnknownNameError(
            f"unknown target {name!r}{near_matches(name, self.targets)}; known are "
            f"{', '.join(self.targets)}"
        )

    def models(self, population: Population | None = None) -> pd.DataFrame:
        """Return the facts of the models of a population, or of all."""
        if population is not None:
            check_choice(population, get_args(Population), "population")
        facts = self.table.models
        return facts if population is None else facts[facts["tuning"] == population]

    def scores(
        self, population: Population | None = None, benchmarks: Collection[str] | None = None
    ) -> pd.DataFrame:
        """Return benchmark scores (models × benchmarks), NaN where not measured."""
        names = list(self.benchmarks) if benchmarks is None else list(benchmarks)
        wide = self.table.wide([n for n in names if n in self.table.benchmarks])
        return wide.reindex(index=self.models(population).index, columns=names)

    def space_benchmarks(self, target: Target) -> list[str]:
        """Return the benchmarks of the space in which a target is fitted."""
        names = target.space or tuple(self.benchmarks)
        return [n for n in names if n not in target.drop and n != target.name]

    @property
    def chance_levels(self) -> dict[str, float]:
        """The score of guessing of each benchmark."""
        return {name: b.chance for name, b in self.benchmarks.items()}

    def chance(self, benchmarks: Collection[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return the chance level of each benchmark; 0 for one the reference does not describe."""
        return np.array(
            [self.benchmarks[b].chance if b in self.benchmarks else 0.0 for b in benchmarks]
        )


def target_training_table(
    reference: Reference, target: Target, *, exclude: Collection[str] = ()
) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Return scores (n × p), target scores (n,) and families (n,) of the models to fit on.

    Parameters
    ----------
    reference : Reference
        Published scores.
    target : Target
        One of its targets. Its models are those of its population with a score on it and on at
        least one benchmark of its space.
    exclude : collection of str, default ()
        Models to leave out.

    Examples
    --------
    >>> from capspace.fit import load_reference, target_training_table
    >>> reference = load_reference()
    >>> scores, truth, families = target_training_table(reference, reference.target("bbh"))
    >>> len(scores) == len(truth) == len(families)
    True

    """
    benchmarks = reference.space_benchmarks(target)
    scores = reference.scores(target.population, benchmarks)
    truth = reference.table.wide([target.name])[target.name].reindex(scores.index)
    keep = truth.notna() & scores.notna().any(axis=1) & ~scores.index.isin(list(exclude))
    families = reference.table.models["family"].reindex(scores.index)
    families = families.where(families != "", families.index.to_series())
    return scores[keep], truth[keep], families[keep]


def load_reference(path: str | Path | None = None) -> Reference:
    """Load the packaged reference, or one's own.

    Parameters
    ----------
    path : path, optional
        A folder with ``scores.csv`` (long) and ``models.csv``, and ``targets.yaml`` and
        ``benchmarks.yaml`` where they differ from the packaged ones; or one table whose columns
        are benchmarks and names of targets. Models whose tuning is not given count as base.

    Raises
    ------
    TableError
        A file is missing or malformed; the message names file and field.

    See Also
    --------
    TargetLaw : Fits a target of a reference.
    read_table : Reads the scores of one's own models.

    Examples
    --------
    >>> from capspace.fit import load_reference
    >>> reference = load_reference()
    >>> reference.target("BBH").name
    'bbh'
    >>> list(reference.benchmarks)[:3]
    ['MMLU', 'ARC-C', 'HellaSwag']

    """
    if path is None:
        return deepcopy(_packaged())  # its tables are the caller's own
    packaged = files("capspace.fit.reference")
    own = Path(path)
    if own.is_dir():
        return _from_folder(own, packaged)
    benchmarks = _benchmarks(packaged / "benchmarks.yaml")
    targets = _targets(packaged / "targets.yaml")
    table = read_table(own, benchmarks=[*benchmarks, *targets])
    present = {name: t for name, t in targets.items() if name in table.benchmarks}
    if not present:
        raise TableError(f"{own}: no target among its columns; known are {', '.join(targets)}")
    used = {name: b for name, b in benchmarks.items() if name in table.benchmarks}
    if not used:
        raise TableError(
            f"{own}: no benchmark among its columns; known are {', '.join(benchmarks)}"
        )
    return Reference(_with_tuning(table), used, present)


@cache
def _packaged() -> Reference:
    packaged = files("capspace.fit.reference")
    return _from_folder(packaged, packaged)


def _from_folder(folder: Traversable, packaged: Traversable) -> Reference:
    def pick(name: str) -> Traversable:
        own = folder / name
        return own if own.is_file() else packaged / name

    benchmarks = _benchmarks(pick("benchmarks.yaml"))
    targets = _targets(pick("targets.yaml"))
    for name in ("scores.csv", "models.csv"):
        if not (folder / name).is_file():
            raise TableError(
                f"{folder}: no {name}; a reference folder holds scores.csv, models.csv"
            )
    scores, facts = (_cells(folder / name) for name in ("scores.csv", "models.csv"))
    missing = [c for c in ("model", "benchmark", "score") if c not in scores]
    if missing:
        raise TableError(f"{folder / 'scores.csv'}: no column {missing[0]!r}")
    if "model" not in facts:
        raise TableError(f"{folder / 'models.csv'}: no column 'model'")
    known = [*benchmarks, *targets]
    stray = [b for b in scores["benchmark"].unique() if b not in known]
    if stray:
        raise TableError(
            f"{folder / 'scores.csv'}: {stray[0]!r} is neither a benchmark nor a target"
            f"{near_matches(str(stray[0]), known)}"
        )
    try:
        table = ScoreTable(typed(scores), typed(facts))
    except TableError as error:
        raise TableError(f"{folder}: {error}") from None
    return Reference(_with_tuning(table), benchmarks, targets)


def _cells(file: Traversable) -> pd.DataFrame:
    try:
        return read_cells(Path(file.name), content=file.read_bytes())
    except TableError as error:
        raise TableError(f"{file}: {error}") from None


def _with_tuning(table: ScoreTable) -> ScoreTable:
    facts = table.models.assign(tuning=table.models["tuning"].replace("", "base"))
    odd = facts[~facts["tuning"].isin(["base", "instruct"])]
    if len(odd):
        raise TableError(
            f"{odd.index[0]}: tuning is {odd['tuning'].iloc[0]!r}; it is 'base' or 'instruct'"
        )
    return ScoreTable(table.scores, facts, table.notes)


def _benchmarks(file: Traversable) -> dict[str, Benchmark]:
    entries = [_validated(Benchmark, entry, file) for entry in _entries(file)]
    return {b.name: b for b in entries}


def _targets(file: Traversable) -> dict[str, Target]:
    entries = [_validated(Target, entry, file) for entry in _entries(file)]
    return {t.name: t for t in entries}


def _entries(file: Traversable) -> list[object]:
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise TableError(f"{file}: not YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(entries, list):
        raise TableError(f"{file}: expected a list of entries")
    return entries


def _validated(kind: type[Entry], entry: object, file: Traversable) -> Entry:
    try:
        return kind.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        name = entry.get("name", "entry without a name") if isinstance(entry, dict) else "entry"
        field = ".".join(map(str, first["loc"])) or "entry"
        raise TableError(f"{file}: {name}: {field}: {first['msg']}") from None

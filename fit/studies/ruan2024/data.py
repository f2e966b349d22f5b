"""Read the study's tables and settings into cases that can be fitted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from ...analyses.splits import Split
from ...errors import TableError, UnknownNameError, near_matches
from ...law.problem import Problem, make_problem
from ...space._imputation import Spaces, fit_spaces
from ...table.readers import read_table

__all__ = ["Analysis", "Case", "Intervention", "Plan", "Study", "load_study", "study_plan"]

Floats = NDArray[np.float64]


class Analysis(BaseModel):
    """One target of the study with the settings its law is fitted with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: Literal["emergent", "post-training", "agentic"]
    column: str
    """Of its table."""
    label: str
    table: str
    """Key of the target's table."""
    features: Literal["base", "instruct"]
    """Key of the benchmarks' table."""
    drop: tuple[str, ...] = ()
    """Benchmarks left out of the space."""
    low: float = 0.0
    high: float = 1.0
    """Scores that become 0 and 1."""
    link: Literal["sigmoid", "sigmoid-floor"]
    max_flops: float | None = None
    """Models of more training FLOPs, or of unknown FLOPs, are tested on."""
    top: float | None = None
    """Share of best models by the target that are tested on."""
    open_families_only: bool = False
    """Only families whose compute is published."""
    reference_family: str = "Llama-2"
    """Of equivalent compute."""
    error_by_reach: bool = False
    """Whether it is also fitted with more and more of the strongest models held out."""

    @model_validator(mode="after")
    def _one_split(self) -> Analysis:
        if (self.max_flops is None) == (self.top is None):
            raise ValueError("give either max_flops or top")
        return self

    @property
    def key(self) -> str:
        """A name unique in the study."""
        return f"{self.group}/{self.column}"


class Intervention(BaseModel):
    """A pair of analyses whose difference is a gain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    base: str
    treated: str


class Plan(BaseModel):
    """All settings of the study."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tables: dict[str, str]
    families: tuple[str, ...]
    preregistered: tuple[str, ...]
    benchmarks: dict[str, tuple[str, ...]]
    chance: dict[str, float]
    analyses: tuple[Analysis, ...]
    interventions: tuple[Intervention, ...]

    def analysis(self, label: str) -> Analysis:
        """Return an analysis by its label."""
        for analysis in self.analyses:
            if analysis.label == label:
                return analysis
        known = [a.label for a in self.analyses]
        raise UnknownNameError(f"no analysis {label!r}{near_matches(label, known)}")


@dataclass(frozen=True)
class Case:
    """One analysis on its models.

    Attributes
    ----------
    analysis : Analysis
    scores : (n × p) DataFrame
        Benchmarks of the space, NaN where not measured.
    facts : (n × ...) DataFrame
        ``family, parameters, training_flops``.
    truth : (n,) Series
        The target, (score - low) / (high - low).
    train : (n,) bool array
    chance : (p,) array

    """

    analysis: Analysis
    scores: pd.DataFrame
    facts: pd.DataFrame
    truth: pd.Series
    train: NDArray[np.bool_]
    chance: Floats

    @cached_property
    def space(self) -> Spaces:
        """The study's space (every component), fitted on the training models."""
        x = self.scores.to_numpy(dtype=float)[self.train]
        return fit_spaces(x, np.ones((1, len(x))), names=tuple(self.scores.columns))

    @property
    def problem(self) -> Problem:
        """The same target as a fraction of its perfect score, for ``capspace.fit.backtest``."""
        span = self.analysis.high - self.analysis.low
        truth = (self.truth * span + self.analysis.low) / self.analysis.high
        problem = make_problem(
            self.scores,
            truth.clip(lower=0),  # where chance was taken off too much
            self.facts,
            name=self.analysis.label,
            chance=self.analysis.low / self.analysis.high,
            link=self.analysis.link,
            benchmark_chance=dict(zip(self.scores.columns, self.chance.tolist(), strict=True)),
            keep=True,
        )
        return replace(problem, truth=truth[problem.truth.index].astype(float))

    @property
    def split(self) -> Split:
        """The study's split, in words."""
        if self.analysis.max_flops is not None:
            rule = f"training FLOPs <= {self.analysis.max_flops:g}"
        else:
            rule = f"all but the best {(~self.train).sum()} by the target"
        unknown = self.facts.index[self.facts["training_flops"].isna() & ~self.train]
        by_flops = self.analysis.max_flops is not None
        return Split(self.train, rule, tuple(map(str, unknown)) if by_flops else ())

    def select(self, keep: NDArray[np.bool_]) -> Case:
        """Return the models of ``keep`` (n,) only."""
        return Case(
            self.analysis,
            self.scores[keep],
            self.facts[keep],
            self.truth[keep],
            self.train[keep],
            self.chance,
        )

    def with_train(self, train: NDArray[np.bool_]) -> Case:
        """Return the same models under another split."""
        return Case(self.analysis, self.scores, self.facts, self.truth, train, self.chance)


@dataclass(frozen=True)
class Study:
    """The study's tables.

    Attributes
    ----------
    plan : Plan
    features : dict
        "base" and "instruct" to their (models × benchmarks) scores.
    facts : dict
        The same keys to the models' facts.
    targets : dict
        Table key to its (models × columns) scores, on their published scales.

    """

    plan: Plan
    features: dict[str, pd.DataFrame]
    facts: dict[str, pd.DataFrame]
    targets: dict[str, pd.DataFrame]

    @cached_property
    def base_models(self) -> list[str]:
        """The models of the base analyses: evaluated families without pre-registered models."""
        facts = self.facts["base"]
        keep = facts["family"].isin(self.plan.families) & ~facts.index.isin(self.plan.preregistered)
        return list(facts.index[keep])

    @property
    def open_families(self) -> list[str]:
        """Families of the base analyses with at least one model of known compute."""
        facts = self.facts["base"].loc[self.base_models]
        return list(facts.loc[facts["training_flops"].notna(), "family"].unique())

    def case(self, analysis: Analysis, *, preregistered: bool = False) -> Case:
        """Return an analysis on its models; ``preregistered`` adds those, to be tested on."""
        features, facts = self.features[analysis.features], self.facts[analysis.features]
        models = list(features.index)
        later = list(self.plan.preregistered) if preregistered else []
        if analysis.features == "base":
            wanted = {*self.base_models, *later}
            models = [m for m in models if m in wanted]
        if analysis.open_families_only:
            known = {*self.open_families, *facts["family"].reindex(later)}
            models = [m for m in models if facts.at[m, "family"] in known]
        column = self.targets[analysis.table][analysis.column].reindex(models)
        truth = ((column - analysis.low) / (analysis.high - analysis.low)).dropna()
        names = [b for b in self.plan.benchmarks[analysis.features] if b not in analysis.drop]
        facts = facts.loc[truth.index]
        if analysis.max_flops is not None:
            train = (facts["training_flops"] <= analysis.max_flops).to_numpy()
        else:
            train = top_out(truth, analysis.top or 0.0)
        train = train & ~truth.index.isin(later)
        chance = np.array([self.plan.chance.get(b, 0.0) for b in names])
        return Case(analysis, features.loc[truth.index, names], facts, truth, train, chance)


def top_out(truth: pd.Series, share: float) -> NDArray[np.bool_]:
    """Return True but for the best ``share`` of the models (rounded down)."""
    order = np.argsort(-truth.to_numpy(dtype=float), kind="stable")
    train = np.ones(len(truth), dtype=bool)
    train[order[: int(share * len(truth))]] = False
    return train


def study_plan() -> Plan:
    """Return the study's settings, as packaged."""
    text = (files("capspace.fit.studies.ruan2024") / "analyses.yaml").read_text(encoding="utf-8")
    return Plan.model_validate(yaml.safe_load(text))


def load_study(folder: str | Path) -> Study:
    """Read the study's tables from a folder that holds them under their published names.

    Raises
    ------
    TableError
        A table is missing or malformed, or lacks a column that an analysis asks for.

    """
    folder, plan = Path(folder), study_plan()
    missing = [name for name in plan.tables.values() if not (folder / name).is_file()]
    if missing:
        raise TableError(
            f"{folder}: no {missing[0]}; give the folder eval_results of "
            "github.com/ryoungj/ObsScaling, or a copy of its tables"
        )
    tables = {key: read_table(folder / name) for key, name in plan.tables.items()}
    for analysis in plan.analyses:
        columns = tables[analysis.table].benchmarks
        if analysis.column not in columns:
            raise TableError(
                f"{folder / plan.tables[analysis.table]}: no column {analysis.column!r}"
                f"{near_matches(analysis.column, columns)}"
            )
    features = {key: tables[key].wide(plan.benchmarks[key]) for key in ("base", "instruct")}
    facts = {key: tables[key].models for key in ("base", "instruct")}
    targets = {key: t.wide() for key, t in tables.items() if key not in features}
    return Study(plan, features, facts, targets)

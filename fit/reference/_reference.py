"""A reference is a dated table of published scores, with the targets that it predicts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from .._display import counted, frame_html
from ..errors import UnknownNameError, check_choice, near_matches
from ..table._source_offsets import SourceOffsets
from ..table._table import ScoreTable
from ._entries import About, Benchmark, Evaluation, Kind, Population, Target
from ._packaged import owners_of_target

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Reference", "target_training_table"]

_FEWEST_BASE = 12
_FEW_TARGETS = 6


@dataclass(frozen=True)
class Reference:
    """Published scores of known models on cheap benchmarks and on targets.

    Attributes
    ----------
    table : ScoreTable
        Benchmarks and targets, fractions of the perfect score, every row with its source.
    benchmarks : mapping of name to Benchmark
    targets : mapping of name to Target
    about : About or None
        Name, date, version, licence and attribution; None for tables that state none of them.
    evaluations : mapping of target to Evaluation
        How well targets are predicted; empty where that was not evaluated.
    model_weights : mapping of model to float
        How much a model counts, where that is not 1: of n variants of one base model each is 1/n.
    laws : path or None
        Where laws that were fitted to it are stored, without the endings ``.npz`` and ``.json``.
    offsets : SourceOffsets
        How far sources are apart that measured the same models; empty where that is not known.
    folder : path or None
        Where it was read from, with what else lies beside its tables; None for a single table.

    See Also
    --------
    load_reference : Loads a packaged one, or one's own.
    build_reference : Builds one from published tables.

    """

    table: ScoreTable
    benchmarks: dict[str, Benchmark]
    targets: dict[str, Target]
    about: About | None = None
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    model_weights: Mapping[str, float] = field(default_factory=dict)
    laws: Path | None = None
    offsets: SourceOffsets = field(default_factory=lambda: SourceOffsets(()))
    folder: Path | None = None

    def __repr__(self) -> str:
        name = "" if self.about is None else f"{self.about.name}: "
        return (
            f"Reference({name}{counted(len(self.table.models), 'model')}, "
            f"{counted(len(self.benchmarks), 'benchmark')}, {counted(len(self.targets), 'target')})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per target: label, description, population, n_models and status.

        The status is "" where the target was not evaluated.
        """
        import pandas as pd

        counts = self.training_counts()
        rows = [
            (
                t.label,
                t.description,
                t.population,
                counts[t.name][0],
                self.evaluations[t.name].status if t.name in self.evaluations else "",
            )
            for t in self.targets.values()
        ]
        columns = ["label", "description", "population", "n_models", "status"]
        return pd.DataFrame(rows, index=pd.Index(self.targets, name="target"), columns=columns)

    @property
    def name(self) -> str:
        """What users type for it; "" where it states none."""
        return "" if self.about is None else self.about.name

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return "a table of one's own" if self.about is None else self.about.title

    @property
    def kind(self) -> Kind | None:
        """Who measured: a study, many vendors, or one laboratory by one protocol."""
        return None if self.about is None else self.about.kind

    @property
    def date(self) -> date | None:
        """Release of its last model; None where nothing states it."""
        return None if self.about is None else self.about.date

    @property
    def version(self) -> str:
        """Its version; "" where it states none."""
        return "" if self.about is None else self.about.version

    @property
    def licence(self) -> str:
        """The licences of its tables; "" where it states none."""
        return "" if self.about is None else self.about.licence

    @property
    def attribution(self) -> str:
        """What must stand beside numbers that were made with it; "" where it states nothing."""
        return "" if self.about is None else self.about.attribution

    @property
    def place_population(self) -> Population:
        """Of which models places are: base models, or all where those are too few."""
        n_base = int((self.table.facts["tuning"] == "base").sum())
        return "base" if n_base >= _FEWEST_BASE else "all"

    @property
    def weights(self) -> pd.Series:
        """How much each model counts in a fit of the space: 1, or 1/n for n variants of a base."""
        import pandas as pd

        given = pd.Series(self.model_weights, dtype=float)
        return given.reindex(self.table.models.index).fillna(1.0)

    def target(self, name: str) -> Target:
        """Return a target by its name or label.

        Raises
        ------
        UnknownNameError
            There is none; near matches are named.

        """
        wanted = str(name).lower()
        for target in self.targets.values():
            if wanted in (target.name.lower(), target.label.lower()):
                return target
        of_benchmark = [t for t in self.targets if t.lower().partition("/")[0] == wanted.strip("/")]
        if of_benchmark:
            raise UnknownNameError(
                f"unknown target {name!r}: it is measured in more than one way, or by a scaffold; "
                f"name {' or '.join(of_benchmark)}"
            )
        near = near_matches(name, self.targets)
        raise UnknownNameError(f"unknown target {name!r}{near}{self._elsewhere(name)}{self._all}")

    def _elsewhere(self, name: str) -> str:
        """Return which packaged reference has a target that this one has not; "" if none has."""
        owners = [owner for owner in owners_of_target(name) if owner != self.name]
        if not owners:
            return ""
        return f"; it belongs to {' and '.join(owners)}: add --reference {owners[0]}"

    @property
    def _all(self) -> str:
        """Where a user finds all targets: here if they are few, else by a command."""
        if len(self.targets) <= _FEW_TARGETS:
            return f"; known are {', '.join(self.targets)}"
        return (
            f"; `capspace targets --reference {self.name or 'PATH'}` lists all {len(self.targets)}"
        )

    def models(self, population: Population | None = None) -> pd.DataFrame:
        """Return the facts of the models of a population, or of all."""
        if population is not None:
            check_choice(population, get_args(Population), "population")
        facts = self.table.models
        every = population in (None, "all")
        return facts if every else facts[facts["tuning"] == population]

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

    def training_counts(self) -> dict[str, tuple[int, int]]:
        """Return how many models and families each target is fitted on, by its name."""
        facts, scored = self.table.facts, set(self.table.benchmarks)
        names = [n for n in (*self.benchmarks, *self.targets) if n in scored]
        known = dict(zip(names, ~np.isnan(self.table.array(names)).T, strict=True))
        family = np.where(facts["family"] != "", facts["family"], facts["model"])
        counts = {}
        for target in self.targets.values():
            space = [known[b] for b in self.space_benchmarks(target) if b in known]
            use = np.any(space, axis=0) & known.get(target.name, False)
            if target.population != "all":
                use = use & (facts["tuning"] == target.population)
            counts[target.name] = int(np.sum(use)), len(set(family[use]))
        return counts

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

    See Also
    --------
    TargetLaw : Is fitted to it.

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

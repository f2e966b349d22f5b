"""The score table is the one contract between gathering scores and fitting laws to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from .._display import counted, frame_html
from ..errors import TableError, UnknownNameError, near_matches
from ._checks import check_facts, check_scores, merge_agreeing, typed_columns
from .facts import family_key
from .marks import read_marks
from .numbers import check_unique, float_frame
from .schema import (
    FACT_COLUMNS,
    SCORE_COLUMNS,
    SCORE_NUMBERS,
)

__all__ = ["ScoreTable"]

_LARGEST_STDERR = 0.51  # of one half, from two items on


@dataclass(frozen=True)
class ScoreTable:
    """Measured scores in long form, with the facts known about each model.

    Parameters
    ----------
    scores : DataFrame
        One row per measured score, columns ``SCORE_COLUMNS``. A score that was not measured has no
        row. ``score`` is a fraction in [0, 1] unless its benchmark says otherwise; ``stderr`` is on
        the same scale; ``n_items`` counts items; ``comparable`` is "yes" or "no" for whether
        published scores of the benchmark can be set beside it. Text columns hold ``""`` where
        nothing is known and number columns NaN.
    models : DataFrame
        One row per model, indexed by ``model``, columns ``FACT_COLUMNS``: parameters and
        training_tokens are counts, training_flops is in FLOPs, release_date is an ISO date, month
        or year, tuning is "base" or "instruct", provider who released it, mode "thinking" or
        "plain". Families that differ only in case or blanks are one, under its first spelling.
    notes : tuple of str
        What was assumed in reading the table, such as the unit of a column.

    Raises
    ------
    TableError
        A score or fact that is infinite, a negative count, a date that is not ISO, or two rows
        that disagree on one key.

    See Also
    --------
    read_table : Reads one from a file.
    write_table : Writes one.

    Examples
    --------
    >>> import pandas as pd
    >>> wide = pd.DataFrame({"MMLU": [0.62, 0.45], "GSM8K": [0.4, None]}, index=["a", "b"])
    >>> table = ScoreTable.from_wide(wide)
    >>> table
    ScoreTable(2 models × 2 benchmarks, 3 scores)
    >>> table.select(models=["b"]).benchmarks
    ['MMLU']

    """

    scores: pd.DataFrame
    models: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        scores = typed_columns(self.scores, SCORE_COLUMNS, SCORE_NUMBERS)
        scores = scores[scores["score"].notna()]
        scores = scores.assign(comparable=read_marks(scores))
        check_scores(scores)
        scores = merge_agreeing(scores)
        facts = check_facts(self.models, scores["model"].unique())
        object.__setattr__(self, "scores", scores.reset_index(drop=True))
        object.__setattr__(self, "models", facts)

    @classmethod
    def from_records(
        cls, records: Iterable[dict[str, Any]], models: pd.DataFrame | None = None
    ) -> Self:
        """Build a table from one mapping per score; keys are ``SCORE_COLUMNS``, others refused."""
        # As objects: pandas 2.2.0 fails on an integer that no float can hold.
        frame = pd.DataFrame(list(records), dtype=object)
        unknown = [c for c in frame.columns if c not in SCORE_COLUMNS]
        if unknown:
            raise TableError(
                f"unknown column {unknown[0]!r}{near_matches(str(unknown[0]), SCORE_COLUMNS)}"
            )
        return cls(frame, pd.DataFrame() if models is None else models)

    @classmethod
    def from_wide(
        cls,
        wide: pd.DataFrame,
        *,
        models: pd.DataFrame | None = None,
        source: str = "",
        stderr: pd.DataFrame | None = None,
    ) -> Self:
        """Build a table from a (models × benchmarks) frame of scores; NaN cells become no row.

        A model of only NaN stays in ``models``.
        """
        frame = _long(wide, "score").assign(source=source)
        if stderr is not None:
            frame["stderr"] = _long(_like(stderr, wide), "stderr")["stderr"]
        frame = frame.dropna(subset="score")
        return cls(frame, pd.DataFrame(index=wide.index) if models is None else models)

    @property
    def benchmarks(self) -> list[str]:
        """Benchmarks with at least one score, in order of first appearance."""
        return list(self.scores["benchmark"].unique())

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        return (
            f"ScoreTable({counted(len(self.models), 'model')} × "
            f"{counted(len(self.benchmarks), 'benchmark')}, {counted(len(self), 'score')})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)

    def to_frame(self) -> pd.DataFrame:
        """Return the scores, one a row; ``wide`` has them as (models × benchmarks)."""
        return self.scores.copy()

    def wide(self, benchmarks: Iterable[str] | None = None, value: str = "score") -> pd.DataFrame:
        """Return ``value`` as a (models × benchmarks) frame, NaN where nothing was measured.

        Rows follow ``models``; columns follow ``benchmarks`` (default: all).

        Raises
        ------
        UnknownNameError
            A named benchmark has no score at all.
        TableError
            A model has scores of two revisions, which are two models; or of one benchmark under
            two protocols or shots: a cell can hold only one of them; select first.

        """
        known = self.benchmarks
        names = known if benchmarks is None else list(benchmarks)
        for name in names:
            if name not in known:
                raise UnknownNameError(
                    f"no scores of benchmark {name!r}{near_matches(name, known)}"
                )
        rows = self.scores[self.scores["benchmark"].isin(names)]
        _refuse_revisions(rows)
        twice = rows[rows.duplicated(["model", "benchmark"], keep=False)]
        if len(twice):
            first = twice.iloc[0]
            both = twice[
                (twice["model"] == first["model"]) & (twice["benchmark"] == first["benchmark"])
            ]
            kinds = ", ".join(
                f"{r.protocol or 'no protocol'} {r.revision} ({_shots(r.n_shot)}, {r.source})"
                for r in both.itertuples()
            )
            raise TableError(
                f"{first['model']} has {len(both)} scores of {first['benchmark']}: {kinds}; "
                "select one protocol before making it a wide table"
            )
        return rows.pivot(index="model", columns="benchmark", values=value).reindex(
            index=self.models.index, columns=pd.Index(names, name="benchmark")
        )

    def select(
        self,
        *,
        models: Iterable[str] | None = None,
        benchmarks: Iterable[str] | None = None,
        families: Iterable[str] | None = None,
    ) -> ScoreTable:
        """Return the part of the table that has these models, benchmarks and families.

        Models keep the order given in ``models``, else their own; a model left without any score
        stays in ``models``, so that a report can name it.
        """
        facts = self.models
        if models is not None:
            facts = facts.loc[_known(models, facts.index, "model")]
        if families is not None:
            spelled = {family_key(f): f for f in facts["family"]}
            names = [spelled.get(family_key(f), f) for f in families]
            wanted = _known(names, facts["family"].unique(), "family")
            facts = facts[facts["family"].isin(wanted)]
        rows = self.scores[self.scores["model"].isin(facts.index)]
        if benchmarks is not None:
            rows = rows[rows["benchmark"].isin(_known(benchmarks, self.benchmarks, "benchmark"))]
        return ScoreTable(rows, facts, self.notes)

    def merge(self, other: ScoreTable) -> ScoreTable:
        """Return both tables as one.

        Raises
        ------
        TableError
            The two disagree on a score of one key, or on a fact of one model; both are named.

        """
        facts = self.models.copy()
        for model, theirs in other.models.iterrows():
            if model not in facts.index:
                facts.loc[model] = theirs
                continue
            for column in FACT_COLUMNS:
                mine, its = facts.at[model, column], theirs[column]
                if _is_missing(mine):
                    facts.at[model, column] = its
                elif column == "family" and family_key(mine) == family_key(its):
                    continue
                elif not _is_missing(its) and not _same(mine, its):
                    raise TableError(
                        f"{model!s}: {column} is {mine!s} in one table, {its!s} in another"
                    )
        notes = tuple(dict.fromkeys((*self.notes, *other.notes)))
        return ScoreTable(pd.concat([self.scores, other.scores], ignore_index=True), facts, notes)

    def require_fractions(self) -> Self:
        """Return self if every score lies in [0, 1].

        Raises
        ------
        TableError
            A score lies outside; where the benchmark looks like percentages, the message says so.
            Or a standard error is larger than such a score can have.

        """
        outside = self.scores[(self.scores["score"] < 0) | (self.scores["score"] > 1)]
        if len(outside):
            row = outside.iloc[0]
            column = self.scores.loc[self.scores["benchmark"] == row["benchmark"], "score"]
            percent = column.max() <= 100 and column.min() >= 0
            hint = "these look like percentages: divide by 100" if percent else "check the table"
            if percent and (column <= 1).mean() > 0.5:
                hint = "the others of this benchmark are fractions: bring it to their scale"
            elif percent and column.between(0, 1, inclusive="right").any():
                hint = "percentages and fractions in one column: bring them to one scale"
            raise TableError(
                f"{row['model']}: {row['benchmark']} is {row['score']:g}, outside [0, 1]; {hint}"
            )
        wide = self.scores[self.scores["stderr"] > _LARGEST_STDERR]
        if len(wide):
            row = wide.iloc[0]
            raise TableError(
                f"{row['model']}: the stderr of {row['benchmark']} is {row['stderr']:g}, more than "
                "a score in [0, 1] can have; bring it to the score's scale"
            )
        return self


def _long(wide: pd.DataFrame, value: str) -> pd.DataFrame:
    cells = float_frame(wide).to_numpy()
    n, p = wide.shape
    return pd.DataFrame(
        {
            "model": wide.index.repeat(p),
            "benchmark": np.tile(np.asarray(wide.columns, dtype=object), n),
            value: cells.ravel(),
        }
    )


def _like(stderr: pd.DataFrame, wide: pd.DataFrame) -> pd.DataFrame:
    """Return the standard errors of the cells of ``wide``, NaN where there is none."""
    for names, of_scores, what in (
        (stderr.index, wide.index, "models of the stderr"),
        (stderr.columns, wide.columns, "benchmarks of the stderr"),
    ):
        if not names.equals(of_scores):
            check_unique(names, what)
    return stderr.reindex_like(wide)


def _refuse_revisions(rows: pd.DataFrame) -> None:
    """Refuse to make one row of two revisions of a model."""
    named = rows.loc[rows["revision"] != "", ["model", "revision"]].drop_duplicates()
    twice = named[named.duplicated("model", keep=False)]
    if len(twice):
        model = twice["model"].iloc[0]
        revisions = list(twice.loc[twice["model"] == model, "revision"])
        raise TableError(
            f"{model} has scores of {len(revisions)} revisions ({', '.join(revisions[:3])}"
            f"{', ...' if len(revisions) > 3 else ''}), which are two models: call them "
            f"{model}@{revisions[0]} and so on, or keep the rows of one"
        )


def _known(names: Iterable[str], known: Iterable[str], what: str) -> list[str]:
    wanted, available = list(names), list(known)
    for name in wanted:
        if name not in available:
            raise UnknownNameError(f"unknown {what} {name!r}{near_matches(name, available)}")
    return wanted


def _is_missing(value: Any) -> bool:
    return value == "" or bool(pd.isna(value))


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, float) and isinstance(other, float):
        return bool(np.isclose(value, other, rtol=1e-6, atol=0.0))
    return bool(value == other)


def _shots(n_shot: float) -> str:
    return "shots unknown" if np.isnan(n_shot) else f"{n_shot:.0f}-shot"

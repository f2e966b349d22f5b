"""The score table: the one contract between gathering scores and fitting laws to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from ..errors import TableError, UnknownNameError, near_matches
from .cells import as_text
from .facts import clean_facts, family_key
from .marks import read_marks

__all__ = ["FACT_COLUMNS", "KEY_COLUMNS", "NUMBER_COLUMNS", "SCORE_COLUMNS", "ScoreTable"]

SCORE_COLUMNS = (
    "model",
    "revision",
    "benchmark",
    "score",
    "stderr",
    "n_items",
    "n_shot",
    "protocol",
    "source",
    "comparable",
)
KEY_COLUMNS = ("model", "revision", "benchmark", "n_shot", "protocol")
FACT_COLUMNS = (
    "family",
    "parameters",
    "training_tokens",
    "training_flops",
    "release_date",
    "tuning",
)
_NUMBERS = ("score", "stderr", "n_items", "n_shot")
_FACT_NUMBERS = ("parameters", "training_tokens", "training_flops")
NUMBER_COLUMNS = (*_NUMBERS, *_FACT_NUMBERS)
"""Columns of scores and facts that hold numbers; all others hold text."""

_ROUNDING = 1e-9
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
        or year, tuning is "base" or "instruct". Families that differ only in case or blanks are
        one, under its first spelling.
    notes : tuple of str
        What was assumed in reading the table, such as the unit of a column.

    Raises
    ------
    TableError
        A score or fact that is infinite, a negative count, a date that is not ISO, or two rows
        that disagree on one key.

    """

    scores: pd.DataFrame
    models: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        scores = _typed(self.scores, SCORE_COLUMNS, _NUMBERS)
        scores = scores[scores["score"].notna()]
        scores = scores.assign(comparable=read_marks(scores))
        _check_scores(scores)
        scores = _merge_agreeing(scores)
        facts = _facts(self.models, scores["model"].unique())
        object.__setattr__(self, "scores", scores.reset_index(drop=True))
        object.__setattr__(self, "models", facts)

    @classmethod
    def from_records(
        cls, records: Iterable[dict[str, Any]], models: pd.DataFrame | None = None
    ) -> Self:
        """Build a table from one mapping per score; keys are ``SCORE_COLUMNS``, others refused."""
        frame = pd.DataFrame(list(records))
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
            frame["stderr"] = _long(stderr.reindex_like(wide), "stderr")["stderr"]
        frame = frame.dropna(subset="score")
        return cls(frame, pd.DataFrame(index=wide.index) if models is None else models)

    @property
    def benchmarks(self) -> list[str]:
        """Benchmarks with at least one score, in order of first appearance."""
        return list(self.scores["benchmark"].unique())

    def __len__(self) -> int:
        return len(self.scores)

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
        stays in ``models``, so that its absence can be told.
        """
        facts = self.models
        if models is not None:
            facts = facts.loc[_known(models, facts.index, "model")]
        if families is not None:
            spelled = {family_key(f): f for f in facts["family"]}
            asked = [spelled.get(family_key(f), f) for f in families]
            wanted = _known(asked, facts["family"].unique(), "family")
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
    named = wide.rename_axis(index="model", columns=None).reset_index()
    long = named.melt("model", var_name="benchmark", value_name=value, ignore_index=False)
    return long.sort_index(kind="stable").reset_index(drop=True)


def _typed(frame: pd.DataFrame, columns: tuple[str, ...], numbers: tuple[str, ...]) -> pd.DataFrame:
    out = pd.DataFrame(index=frame.index)
    for column in columns:
        if column in numbers:
            values = frame.get(column, np.nan)
            try:
                out[column] = pd.to_numeric(pd.Series(values, index=frame.index)).astype(float)
            except (ValueError, TypeError) as error:
                raise TableError(
                    f"column {column!r} holds something not a number: {error}"
                ) from None
        else:
            text = pd.Series(frame.get(column, ""), index=frame.index, dtype=object)
            out[column] = as_text(text.rename(column))
    return out


def _check_scores(scores: pd.DataFrame) -> None:
    for column in _NUMBERS:
        bad = scores[np.isinf(scores[column])]
        if len(bad):
            row = bad.iloc[0]
            raise TableError(f"{row['model']}: {column} of {row['benchmark']} is infinite")
    for column in ("stderr", "n_items", "n_shot"):
        bad = scores[scores[column] < 0]
        if len(bad):
            row = bad.iloc[0]
            raise TableError(
                f"{row['model']}: {column} of {row['benchmark']} is negative ({row[column]:g})"
            )
    for column in ("model", "benchmark"):
        if (scores[column] == "").any():
            raise TableError(f"row {int(np.argmax(scores[column] == '')) + 1} names no {column}")


def _merge_agreeing(scores: pd.DataFrame) -> pd.DataFrame:
    keys = list(KEY_COLUMNS)
    for _, rows in scores[scores.duplicated(keys, keep=False)].groupby(keys, dropna=False):
        if rows["score"].max() - rows["score"].min() > _ROUNDING:
            first = rows.iloc[0]
            said = " but ".join(
                f"{float(s):g} ({o or 'no source'})"
                for s, o in zip(rows["score"], rows["source"], strict=True)
            )
            raise TableError(f"{first['model']}: {first['benchmark']} is {said}; keep one")
    return scores.drop_duplicates(keys)


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


def _facts(models: pd.DataFrame, scored: Iterable[str]) -> pd.DataFrame:
    named = models.set_index("model") if "model" in models.columns else models
    frame = named.set_axis(as_text(named.index.to_series()).to_numpy(), axis=0)
    frame = clean_facts(frame)
    if frame.index.has_duplicates:
        for model, rows in frame[frame.index.duplicated(keep=False)].groupby(level=0):
            for column in (c for c in FACT_COLUMNS if c in rows):
                if rows[column].dropna().nunique() > 1:
                    values = " and ".join(map(str, rows[column].dropna().unique()))
                    raise TableError(f"{model!s}: {column} is both {values}")
        frame = frame.groupby(level=0, sort=False).first()
    facts = _typed(frame, FACT_COLUMNS, _FACT_NUMBERS)
    for column in _FACT_NUMBERS:
        bad = facts[np.isinf(facts[column]) | (facts[column] <= 0)]
        if len(bad):
            raise TableError(f"{bad.index[0]}: {column} is {bad[column].iloc[0]:g}; it must be > 0")
    extra = [m for m in dict.fromkeys(scored) if m not in facts.index]
    return (
        facts.reindex([*facts.index, *extra])
        .fillna({c: "" for c in FACT_COLUMNS if c not in _FACT_NUMBERS})
        .rename_axis("model")
    )


def _known(names: Iterable[str], known: Iterable[str], what: str) -> list[str]:
    wanted, there = list(names), list(known)
    for name in wanted:
        if name not in there:
            raise UnknownNameError(f"unknown {what} {name!r}{near_matches(name, there)}")
    return wanted


def _is_missing(value: Any) -> bool:
    return value == "" or bool(pd.isna(value))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=1e-6, atol=0.0))
    return bool(one == other)


def _shots(n_shot: float) -> str:
    return "shots unknown" if np.isnan(n_shot) else f"{n_shot:.0f}-shot"

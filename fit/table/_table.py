"""The score table is the one contract between gathering scores and fitting laws to them."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from .._display import counted, frame_html
from ..errors import TableError, UnknownNameError, near_matches
from ._checks import (
    Columns,
    check_all_fractions,
    checked_facts,
    checked_scores,
    facts_of_frame,
    rows_of,
    scores_of_cells,
    scores_of_frame,
)
from ._merging import merged_facts
from ._wide import like_wide, long_of_wide, wide_array
from .cells import Cells
from .facts import family_key
from .schema import FACT_COLUMNS, SCORE_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ScoreTable"]


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
        scores, facts = scores_of_frame(self.scores), facts_of_frame(self.models)
        self._hold(scores, facts)

    def _hold(self, scores: Columns, facts: Cells) -> None:
        """Check rows and facts, and hold them as arrays until a frame is asked for."""
        try:
            rows = checked_scores(scores)
        except TableError:
            checked_facts(facts, ())  # two modes under one name are why two scores disagree
            raise
        self.__dict__["_rows"] = rows
        self.__dict__["_facts"] = checked_facts(facts, rows["model"].tolist())
        for frame in ("scores", "models"):
            self.__dict__.pop(frame, None)

    def __getattr__(self, name: str) -> Any:
        """Make the frame ``scores`` or ``models`` of the arrays, which it replaces."""
        if name not in ("scores", "models") or "_facts" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        import pandas as pd

        held = self._rows if name == "scores" else self._facts
        frame = pd.DataFrame({c: pd.Series(v, dtype=v.dtype) for c, v in held.items()})
        if name == "models":
            frame = frame.set_index(pd.Index(held["model"], name="model"))[list(FACT_COLUMNS)]
        self.__dict__[name] = frame
        return frame

    @classmethod
    def from_cells(
        cls,
        scores: Cells,
        models: Cells,
        notes: tuple[str, ...] = (),
    ) -> Self:
        """Build a table from columns of rows and of facts, which are checked as frames are.

        Parameters
        ----------
        scores : mapping of column to (n,) sequence
            Numbers as floats, NaN where unknown, and text, None or "" where unknown. A column that
            is not there is unknown.
        models : mapping of column to (m,) sequence
            The column ``model``, and facts.
        notes : tuple of str, default ()
            What was assumed in reading them.

        """
        table = cls._empty(notes)
        table._hold(scores_of_cells(scores), models)
        return table

    @classmethod
    def _empty(cls, notes: tuple[str, ...]) -> Self:
        table = cls.__new__(cls)
        table.__dict__["notes"] = notes
        return table

    def with_rows(
        self, rows: NDArray[Any], *, facts: NDArray[Any] | None = None, notes: Iterable[str] = ()
    ) -> Self:
        """Return the table of some rows and of some models, which are all by default.

        Parameters
        ----------
        rows : (n,) array of bool, or array of int
            Which of ``scores``.
        facts : (m,) array of bool, or array of int, optional
            Which of ``models``; those of all rows are among them.
        notes : iterable of str, default ()
            More of them.

        """
        table = self._empty((*self.notes, *notes))
        table.__dict__["_rows"] = rows_of(self.rows, rows)
        table.__dict__["_facts"] = self.facts if facts is None else rows_of(self.facts, facts)
        return table

    def __deepcopy__(self, memo: Any) -> Self:
        table = self._empty(self.notes)
        for name in ("_rows", "_facts"):
            table.__dict__[name] = {c: v.copy() for c, v in self.__dict__[name].items()}
        for name in {"scores", "models"} & set(self.__dict__):
            table.__dict__[name] = self.__dict__[name].copy()
        return table

    @property
    def rows(self) -> Columns:
        """The columns of ``scores`` as arrays (n,): floats, and text as objects."""
        if "scores" in self.__dict__:  # the caller may have changed it
            return {c: self.scores[c].to_numpy() for c in SCORE_COLUMNS}
        return copy(self._rows)

    @property
    def facts(self) -> Columns:
        """The column ``model`` and those of ``models`` as arrays (m,): floats, and text."""
        if "models" in self.__dict__:
            frame = self.models
            facts = {c: frame[c].to_numpy() for c in FACT_COLUMNS}
            return {"model": frame.index.to_numpy(dtype=object), **facts}
        return copy(self._facts)

    def fact(self, model: str, column: str) -> Any:
        """Return a fact of a model: a number, NaN where unknown, or text, "" where unknown."""
        facts = self.facts
        return facts[column][facts["model"].tolist().index(model)]

    @classmethod
    def from_records(
        cls, records: Iterable[dict[str, Any]], models: pd.DataFrame | None = None
    ) -> Self:
        """Build a table from one mapping per score; keys are ``SCORE_COLUMNS``, others refused."""
        import pandas as pd

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
        import pandas as pd

        frame = long_of_wide(wide, "score").assign(source=source)
        if stderr is not None:
            frame["stderr"] = long_of_wide(like_wide(stderr, wide), "stderr")["stderr"]
        frame = frame.dropna(subset="score")
        return cls(frame, pd.DataFrame(index=wide.index) if models is None else models)

    @property
    def benchmarks(self) -> list[str]:
        """Benchmarks with at least one score, in order of first appearance."""
        return list(dict.fromkeys(self.rows["benchmark"].tolist()))

    def __len__(self) -> int:
        return len(self.rows["score"])

    def __repr__(self) -> str:
        return (
            f"ScoreTable({counted(len(self.facts['model']), 'model')} × "
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
        import pandas as pd

        names = self.benchmarks if benchmarks is None else list(benchmarks)
        cells = self.array(names, value)
        return pd.DataFrame(cells, self.models.index, pd.Index(names, name="benchmark"))

    def array(self, benchmarks: Iterable[str] | None = None, value: str = "score") -> NDArray[Any]:
        """Return what ``wide`` returns as an array (models × benchmarks) without names.

        Raises
        ------
        UnknownNameError, TableError
            As of ``wide``.

        """
        names = self.benchmarks if benchmarks is None else list(benchmarks)
        return wide_array(self.rows, self.facts["model"].tolist(), names, value)

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
        facts = self.facts
        own = facts["model"].tolist()
        chosen = list(range(len(own)))
        if models is not None:
            place = {model: i for i, model in enumerate(own)}
            chosen = [place[m] for m in dict.fromkeys(_known(models, own, "model"))]
        if families is not None:
            spelled = {family_key(f): f for f in facts["family"]}
            names = [spelled.get(family_key(f), f) for f in families]
            wanted = _known(names, dict.fromkeys(facts["family"][chosen]), "family")
            chosen = [i for i in chosen if facts["family"][i] in wanted]
        rows = self.rows
        remaining = {own[i] for i in chosen}
        use = np.array([model in remaining for model in rows["model"]], dtype=bool)
        if benchmarks is not None:
            named = set(_known(benchmarks, self.benchmarks, "benchmark"))
            use &= np.array([name in named for name in rows["benchmark"]], dtype=bool)
        return self.with_rows(use, facts=np.array(chosen, dtype=int))

    def merge(self, other: ScoreTable) -> ScoreTable:
        """Return both tables as one.

        Raises
        ------
        TableError
            The two disagree on a score of one key, or on a fact of one model; both are named.

        """
        import pandas as pd

        facts = merged_facts(self.models, other.models)
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
        check_all_fractions(self.rows)
        return self


def _known(names: Iterable[str], known: Iterable[str], what: str) -> list[str]:
    wanted, available = list(names), list(known)
    for name in wanted:
        if name not in available:
            raise UnknownNameError(f"unknown {what} {name!r}{near_matches(name, available)}")
    return wanted

"""Models and providers that tables spell differently are joined if the match is certain."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from ..table._table import ScoreTable
from ..table.facts import family_key
from ..table.names import sure_matches
from ._imported import ImportedTable

__all__ = ["JoinedModel", "join_benchmarks", "join_models"]

_LEAST_AGREEING = 2
_BETWEEN_WORDS = re.compile(r"[\s_-]+")


@dataclass(frozen=True)
class JoinedModel:
    """One model under two spellings.

    Attributes
    ----------
    source : str
        Title of the source that spells it differently.
    spelled : str
        How that source spells it.
    model : str
        How it is called from then on, as an earlier table does.

    See Also
    --------
    BuiltReference : Lists those of its tables as ``joined``.
    build_reference : Joins them.

    """

    source: str
    spelled: str
    model: str


def join_models(
    tables: Sequence[ImportedTable],
) -> tuple[tuple[ImportedTable, ...], tuple[JoinedModel, ...]]:
    """Return tables with each model under its first spelling, and what was joined.

    Two names are joined where only their spelling differs (``match_names``), where a name means
    one model only on either side, and across tables only: what one publisher lists twice is two.
    Families and providers follow the joined models: one is renamed where two joined models or
    more, and no other, call it by one earlier name.
    """
    joined: list[ImportedTable] = []
    joins: list[JoinedModel] = []
    facts: dict[str, pd.Series] = {}
    for table in tables:
        names = [str(name) for name in table.table.models.index]
        spelled = _spellings(names, facts)
        by_model = table.table.scores.drop_duplicates("model").set_index("model")["source"]
        joins += [
            JoinedModel(str(by_model.get(own, "")), own, known) for own, known in spelled.items()
        ]
        renamed = _renamed(table, spelled, facts)
        joined.append(renamed)
        for model, row in renamed.table.models.iterrows():
            facts.setdefault(str(model), row)
    return tuple(joined), tuple(joins)


def join_benchmarks(
    tables: Sequence[ImportedTable], known: Iterable[str]
) -> tuple[tuple[ImportedTable, ...], dict[str, str]]:
    """Return tables with each benchmark under one spelling, and what each renamed one is called.

    Names are one benchmark where they differ in case, blanks, ``-`` and ``_`` alone, and stand in
    different tables. The spelling is that of the ``known`` names, else the first; a known name is
    left as it is, as two of them may differ in case alone.
    """
    fixed = set(known)
    spellings: dict[str, set[str]] = defaultdict(set)
    for name in fixed:
        spellings[_benchmark_key(name)].add(name)
    renamed: dict[str, str] = {}
    for table in tables:
        own = set(table.table.benchmarks)
        for name in sorted(own - fixed, key=table.table.benchmarks.index):
            others = spellings[_benchmark_key(name)]
            if len(others - own) == 1 and not others & own:
                renamed[name] = next(iter(others))
            elif not others:
                others.add(name)
    return tuple(_with_benchmarks(table, renamed) for table in tables), renamed


def _with_benchmarks(table: ImportedTable, renamed: Mapping[str, str]) -> ImportedTable:
    if not set(table.table.benchmarks) & set(renamed):
        return table
    scores = table.table.scores.replace({"benchmark": dict(renamed)})
    return replace(table, table=ScoreTable(scores, table.table.models, table.table.notes))


def _benchmark_key(name: str) -> str:
    return _BETWEEN_WORDS.sub("", name.casefold())


def _spellings(names: Sequence[str], known: Iterable[str]) -> dict[str, str]:
    """Return the earlier name of each name that surely means one earlier model, and it alone."""
    earlier = set(known)
    new = [name for name in names if name not in earlier]
    taken = Counter(name for name in names if name in earlier)
    matches = {n: m[0] for n, m in sure_matches(new, earlier).items() if len(m) == 1}
    taken.update(matches.values())
    return {name: match for name, match in matches.items() if taken[match] == 1}


def _renamed(
    table: ImportedTable, spelled: Mapping[str, str], earlier: Mapping[str, pd.Series]
) -> ImportedTable:
    models = table.table.models.rename(index=dict(spelled))
    for column in ("family", "provider"):
        names = _group_names(models, earlier, column)
        models[column] = [names.get(family_key(g), g) for g in models[column]]
    scores = table.table.scores.replace({"model": dict(spelled)})
    return replace(table, table=ScoreTable(scores, models, table.table.notes))


def _group_names(
    models: pd.DataFrame, earlier: Mapping[str, pd.Series], column: str
) -> dict[str, str]:
    """Return what families or providers of a table are called in the earlier ones, by key."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for model, own in models[column].items():
        known = earlier.get(str(model))
        if own and known is not None and known[column]:
            votes[family_key(own)][str(known[column])] += 1
    return {
        own: next(iter(names))
        for own, names in votes.items()
        if len(names) == 1 and names.total() >= _LEAST_AGREEING
    }

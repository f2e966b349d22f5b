"""A reference is built from published tables: one column per benchmark, of agreeing sources."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from .._display import counted
from ..errors import TableError, UnknownNameError, near_matches
from ..reference import About, Benchmark, Source, Target, reference_names
from ..reference._packaged import packaged_benchmarks, packaged_targets
from ..table._source_offsets import SourceOffsets, compare_sources, source_offsets
from ..table._table import ScoreTable
from ..table.facts import last_day
from ..table.schema import FACT_COLUMNS, KEY_COLUMNS
from ._imported import ImportedTable, some
from ._joining import JoinedModel, join_benchmarks, join_models

__all__ = ["BuiltReference", "build_reference", "credit"]


@dataclass(frozen=True)
class BuiltReference:
    """The parts of a reference that was built from published tables.

    Attributes
    ----------
    about : About
    table : ScoreTable
        A score per model and benchmark.
    sources : mapping of str to Source
        Date and licence for each text in the column ``source`` of the table.
    benchmarks : tuple of Benchmark
        The columns of the space.
    targets : tuple of Target
    offsets : SourceOffsets
        How far the sources are apart, over all their scores, those left out included.
    joined : tuple of JoinedModel
        Models that two sources spell differently.
    notes : tuple of str
        What was left out, and why.
    weights : mapping of model to weight
        Of models that count less than 1.

    See Also
    --------
    build_reference : Makes one.
    write_reference : Writes it as a reference that can be loaded.

    """

    about: About
    table: ScoreTable
    sources: Mapping[str, Source]
    benchmarks: tuple[Benchmark, ...]
    targets: tuple[Target, ...]
    offsets: SourceOffsets
    joined: tuple[JoinedModel, ...]
    notes: tuple[str, ...]
    weights: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"BuiltReference({self.about.name}: {counted(len(self.table.models), 'model')}, "
            f"{counted(len(self.benchmarks), 'benchmark')}, {counted(len(self.targets), 'target')})"
        )


def build_reference(
    tables: Sequence[ImportedTable],
    *,
    name: str,
    licence: str,
    title: str = "",
    chance: Mapping[str, float] | None = None,
    known_benchmarks: Mapping[str, Benchmark] | None = None,
    known_targets: Mapping[str, Target] | None = None,
    weights: Mapping[str, float] | None = None,
) -> BuiltReference:
    """Build a reference from published tables.

    Parameters
    ----------
    tables : sequence of ImportedTable
        In order of precedence: the first that has a benchmark gives its column. A later one adds
        the models that the column lacks, if the two agree on five shared models or more
        (``source_offsets``); scores of another protocol or scale so never mix into a column.
    name : str
        Of the reference.
    licence : str
        On which terms the whole may be used.
    title : str, optional
        A few words on what it is; the titles of its sources by default.
    chance : mapping of benchmark to score, optional
        Columns that are cheap to measure, besides those that a packaged reference has as
        benchmarks, each with the expected score of guessing. All others are targets.
    known_benchmarks, known_targets : mapping of name to Benchmark or Target, optional
        Descriptions that come before those of the packaged references, of which a target is of
        all models here.
    weights : mapping of model to weight, optional
        Of models that count less than others; 1 for all others.

    Raises
    ------
    TableError
        There is no table, no licence, or not both a benchmark and a target.
    UnknownNameError
        A benchmark of ``chance`` has no score.

    See Also
    --------
    read_published : Reads the tables.
    write_reference : Writes what is built as a folder that ``load_reference`` reads.

    Examples
    --------
    >>> from datetime import date
    >>> from pathlib import Path
    >>> from capspace.fit import SourceTerms, build_reference, read_published
    >>> rows = ["Model,GPQA-diamond,agent/board", "a-1b,0.3,0.1", "a-2b,0.4,0.2"]
    >>> size = Path("board.csv").write_text(chr(10).join(rows))
    >>> board = read_published("board.csv", SourceTerms("CC-BY 4.0", date(2026, 11, 1)))
    >>> build_reference([board], name="mine", licence="CC-BY 4.0")
    BuiltReference(mine: 2 models, 1 benchmark, 1 target)

    """
    if not tables:
        raise TableError("no table is given; name at least one file")
    described = _descriptions(known_benchmarks or {}, known_targets or {})
    spelled, renamed = join_benchmarks(tables, [*described[0], *described[1]])
    joined, joins = join_models(spelled)
    notes = [note for table in joined for note in table.notes]
    notes += [f"{name!r} read as {label}" for name, label in renamed.items()]
    rows = _columns(joined, notes)
    facts = _facts(joined, rows["model"].unique(), notes)
    table = ScoreTable(rows, facts)
    cheap, targets = _roles(table, chance or {}, *described)
    sources = _sources(joined, table)
    return BuiltReference(
        _about(name, title, licence, sources, table, len(joined)),
        table,
        sources,
        cheap,
        targets,
        _offsets(joined, facts),
        joins,
        tuple(notes),
        {str(m): w for m, w in (weights or {}).items() if m in table.models.index},
    )


def _columns(tables: Sequence[ImportedTable], notes: list[str]) -> pd.DataFrame:
    """Return a row per model and benchmark, from the first table that has it and those agreeing."""
    columns: dict[str, pd.DataFrame] = {}
    for table in tables:
        rows = table.table.scores
        # A reference's columns are whole, whatever number of texts its cells name as sources.
        of = "the reference" if table.kind == "reference" else rows["source"]
        grouped = rows.assign(of=of).groupby(["benchmark", "of"], sort=False)
        for (benchmark, source), group in grouped:
            own = _one_protocol(group.drop(columns="of"), f"{benchmark} of {source}", notes)
            column = columns.get(str(benchmark))
            if column is None:
                columns[str(benchmark)] = own
                continue
            new = own[~own["model"].isin(column["model"])]
            reason = _refusal(str(benchmark), column, own)
            if reason and len(new):
                notes.append(
                    f"{benchmark} of {source}, left out: {counted(len(new), 'score')} "
                    f"({reason}); name its file first to use it instead"
                )
            elif len(new):
                columns[str(benchmark)] = pd.concat([column, new], ignore_index=True)
    return pd.concat(columns.values(), ignore_index=True)


def _one_protocol(rows: pd.DataFrame, what: str, notes: list[str]) -> pd.DataFrame:
    """Return the rows of the protocol that most models were measured by, a row per model."""
    parts = zip(rows["protocol"], rows["n_shot"], rows["revision"], strict=True)
    keys = pd.Series([f"{how} {shots:g} {revision}" for how, shots, revision in parts], rows.index)
    counts = keys.value_counts(sort=False)
    if len(counts) > 1 and rows["model"].duplicated().any():
        most = counts.idxmax()
        notes.append(f"{what}: of {len(counts)} protocols the one of most models is used")
        return rows[keys == most].drop_duplicates("model")
    return rows.drop_duplicates("model")


def _refusal(benchmark: str, column: pd.DataFrame, own: pd.DataFrame) -> str:
    """Return why a source's scores cannot stand in a column, "" where they agree with it."""
    pair = compare_sources(
        benchmark,
        {"source": own.set_index("model")["score"], "column": column.set_index("model")["score"]},
    )
    if pair is None or not pair.is_judged:
        shared = 0 if pair is None else pair.n_shared
        return f"only {counted(shared, 'model')} shared to compare it by"
    return pair.problem


def _facts(
    tables: Sequence[ImportedTable], scored: Collection[str], notes: list[str]
) -> pd.DataFrame:
    """Return the facts of the models that have scores, those of the first table that has them."""
    every = pd.concat([table.table.models for table in tables])
    known = every.replace("", None).groupby(level=0, sort=False).first()
    facts = known.reindex(list(scored)).rename_axis("model")
    columns = [c for c in FACT_COLUMNS if c in facts]
    unstated = facts["tuning"].isna()
    if unstated.any():
        notes.append(
            f"tuning not stated, taken as instruct: {counted(int(unstated.sum()), 'model')}"
        )
    return facts[columns].assign(tuning=facts["tuning"].fillna("instruct"))


def _descriptions(
    benchmarks: Mapping[str, Benchmark], targets: Mapping[str, Target]
) -> tuple[dict[str, Benchmark], dict[str, Target]]:
    """Return benchmarks and targets by name: those given, then those of packaged references."""
    cheap: dict[str, Benchmark] = {}
    wanted: dict[str, Target] = {}
    anyone = {"space": (), "population": "all"}
    for name in reference_names():
        cheap = packaged_benchmarks(name) | cheap
        packaged = packaged_targets(name).items()
        wanted = {label: t.model_copy(update=anyone) for label, t in packaged} | wanted
    return cheap | dict(benchmarks), wanted | dict(targets)


def _roles(
    table: ScoreTable,
    chance: Mapping[str, float],
    known_benchmarks: Mapping[str, Benchmark],
    known_targets: Mapping[str, Target],
) -> tuple[tuple[Benchmark, ...], tuple[Target, ...]]:
    names = table.benchmarks
    for name in chance:
        if name not in names:
            raise UnknownNameError(f"no scores of benchmark {name!r}{near_matches(name, names)}")
    cheap = [n for n in names if n in chance or n in known_benchmarks]
    others = [n for n in names if n not in cheap]
    if not cheap:
        raise TableError(
            f"none of {some(names)} is known as cheap to measure; name the columns of the space "
            "with --cheap"
        )
    if not others:
        raise TableError(f"only benchmarks ({some(names)}), and no target to predict from them")
    benchmarks = [_benchmark(n, chance.get(n), known_benchmarks) for n in cheap]
    targets = [known_targets.get(n) or _target(n) for n in others]
    return tuple(benchmarks), tuple(targets)


def _benchmark(name: str, chance: float | None, known: Mapping[str, Benchmark]) -> Benchmark:
    described = known.get(name)
    if described is None:
        return Benchmark(name=name, chance=chance or 0.0)
    return described if chance is None else described.model_copy(update={"chance": chance})


def _target(name: str) -> Target:
    board, _, part = name.partition("/")
    label = f"{board} {part}".strip()
    return Target(name=name, label=label, description=f"{label}.", population="all")


def _sources(tables: Sequence[ImportedTable], table: ScoreTable) -> dict[str, Source]:
    first: dict[str, Source] = {}
    for text, source in (pair for imported in tables for pair in imported.sources.items()):
        first.setdefault(text, source)
    return {text: first[text] for text in table.scores["source"].unique()}


def credit(sources: Iterable[Source]) -> str:
    """Return what must stand beside numbers that were made with some sources."""
    return "; ".join(
        " ".join(filter(None, (s.title, s.url, f"({s.licence}, {s.date})"))) for s in sources
    )


def _about(
    name: str, title: str, licence: str, sources: Mapping[str, Source], table: ScoreTable, n: int
) -> About:
    if not licence.strip():
        raise TableError(f"{name}: a reference needs a licence")
    distinct = tuple({source.title: source for source in sources.values()}.values())
    released = [last_day(day) for day in table.models["release_date"] if day]
    last = max([*(source.date for source in distinct), *released])
    return About(
        name=name,
        title=title or some([source.title for source in distinct]),
        kind="single-protocol" if n == len(distinct) == 1 else "vendor-reported",
        date=last,
        version=last.isoformat(),
        licence=licence.strip(),
        attribution=credit(distinct),
        sources=distinct,
    )


def _offsets(tables: Sequence[ImportedTable], facts: pd.DataFrame) -> SourceOffsets:
    """Return the offsets between all sources, each under its title, over all their scores."""
    parts = []
    for table in tables:
        rows = table.table.scores
        titles = pd.Series([table.sources[text].title for text in rows["source"]], rows.index)
        parts.append(rows.assign(source=titles, protocol=titles + ": " + rows["protocol"]))
    every = pd.concat(parts, ignore_index=True).drop_duplicates(list(KEY_COLUMNS))
    return source_offsets(ScoreTable(every, facts.iloc[:0]))

"""The commands ``references build`` and ``references update`` make references from files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capspace.fit.errors import FitError

from ..errors import CollectError
from . import options as o
from . import tables as t

if TYPE_CHECKING:
    from capspace.fit.importing import BuiltReference, ImportedTable, SourceTerms
    from capspace.fit.reference import Reference
    from capspace.fit.table import SourceOffset

__all__ = ["add_to", "offset_rows"]

Files = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="FILES",
        help="Published scores, in order of precedence: JSON of Artificial Analysis, BFCL's "
        "data_overall.csv, EuroEval's results, a folder of Every Eval Ever records, HELM's "
        "tables, the Open LLM Leaderboard's JSON, or a table of scores.",
        show_default=False,
    ),
]
Out = Annotated[Path, o.out()]
Licences = Annotated[
    list[str] | None,
    typer.Option(
        "--licence",
        help="Terms under which the numbers may be used, for all files or, as FORMAT=LICENCE, for "
        "the files of one format (artificial-analysis, bfcl, ...). May be repeated.",
    ),
]
Dates = Annotated[
    list[str] | None,
    typer.Option(
        "--date",
        help="Date when the files were published or fetched, as 2026-11-28 or FORMAT=2026-11-28, "
        "if a file does not state it. May be repeated.",
    ),
]
Cheap = Annotated[
    list[str] | None,
    typer.Option(
        "--cheap",
        help="Treat this column as cheap to measure, as NAME or NAME=SCORE_OF_GUESSING; columns "
        "not known to be cheap become targets. May be repeated.",
    ),
]
Fetch = Annotated[
    bool,
    typer.Option(
        "--fetch",
        help="Also fetch today's scores from Artificial Analysis with your own key, which is read "
        "from ARTIFICIAL_ANALYSIS_API_KEY and never stored.",
    ),
]
Laws = Annotated[
    bool,
    typer.Option(
        "--laws/--no-laws",
        help="Also fit the laws of the targets, back-test them, and store both.",
    ),
]


def add_to(references: typer.Typer) -> None:
    """Add these commands to the command line, below ``references``."""
    references.command()(build)
    references.command()(update)


def build(
    out: Out,
    name: Annotated[str, o.name_of_result()],
    files: Files = None,
    licence: Licences = None,
    dates: Dates = None,
    cheap: Cheap = None,
    fetch: Fetch = False,
    laws: Laws = True,
    as_json: o.Json = False,
) -> None:
    """Build a reference from files published by others, and show how well they agree."""
    from capspace.fit.importing import build_reference, write_reference

    tables = _tables(files or [], licence or [], dates or [], fetch)
    built = build_reference(
        tables, name=name, licence=_overall(licence or []), chance=_chance(cheap or [])
    )
    written = write_reference(built, out, laws=laws)
    _show(built, written, out, as_json)


def update(
    reference: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A packaged reference, or the folder of a reference."),
    ],
    files: Files = None,
    out: Annotated[Path | None, o.out("NAME, if it is a folder")] = None,
    licence: Licences = None,
    dates: Dates = None,
    fetch: Fetch = False,
    laws: Laws = True,
    as_json: o.Json = False,
) -> None:
    """Rebuild a reference with newer or additional files, and show how well they agree."""
    from capspace.fit.importing import update_reference, write_reference
    from capspace.fit.reference import load_reference

    folder = out or Path(reference)
    if out is None and not folder.is_dir():
        raise CollectError(f"{reference} comes with capspace; name another folder with --out")
    earlier = load_reference(reference)
    tables = _tables(files or [], licence or [], dates or [], fetch)
    name = earlier.about.name if earlier.about is not None and out is None else folder.name
    built = update_reference(earlier, tables, name=name)
    in_place = folder.resolve() == Path(reference).resolve()
    written = write_reference(built, folder, replace=in_place, laws=laws)
    _show(built, written, folder, as_json)


def _tables(
    files: Sequence[Path], licences: Sequence[str], dates: Sequence[str], fetch: bool
) -> list[ImportedTable]:
    from capspace.fit.importing import read_published
    from capspace.fit.importing._reading import IMPORTERS, kind_of

    by_format = _by_format(licences, "--licence", IMPORTERS)
    days = {kind: _day(text) for kind, text in _by_format(dates, "--date", IMPORTERS).items()}
    if not files and not fetch:
        raise CollectError("name at least one file, or --fetch")

    def terms(kind: str) -> SourceTerms:
        from capspace.fit.importing import SourceTerms

        return SourceTerms(by_format.get(kind, by_format.get("", "")), days.get(kind, days.get("")))

    tables = [read_published(path, terms(kind_of(path))) for path in files]
    return [*tables, *([_fetched(terms("artificial-analysis"))] if fetch else [])]


def _fetched(terms: SourceTerms) -> ImportedTable:
    import os
    from dataclasses import replace

    from capspace.fit.importing.artificial_analysis import from_answers

    from ..exchange.artificial_analysis import (
        KEY_VARIABLE,
        MODELS_URL,
        fetch_artificial_analysis,
    )

    terms = replace(terms, date=datetime.now(UTC).date())
    terms.source(MODELS_URL, "")  # a licence that is missing is missed before anything is fetched
    pages = fetch_artificial_analysis(os.environ.get(KEY_VARIABLE, ""), url=MODELS_URL)
    return from_answers(MODELS_URL, pages, terms)


def _by_format(texts: Sequence[str], option: str, formats: Collection[str]) -> dict[str, str]:
    """Return what was given for each format, and for all others under ""."""
    values: dict[str, str] = {}
    for text in texts:
        kind, equals, value = text.partition("=")
        known = bool(equals) and kind.strip() in (*formats, "table")
        key = kind.strip() if known else ""
        if key in values:
            raise CollectError(f"{option} is given twice for {key or 'the whole'}")
        values[key] = value if known else text
    return values


def _overall(licences: Sequence[str]) -> str:
    from capspace.fit.importing._reading import IMPORTERS

    by_format = _by_format(licences, "--licence", IMPORTERS)
    return by_format.get("") or "; ".join(dict.fromkeys(by_format.values()))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise CollectError(f"--date is {text!r}; write it as 2026-11-28") from None


def _chance(texts: Sequence[str]) -> dict[str, float]:
    chance: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        try:
            level = float(value) if equals else 0.0
        except ValueError:
            level = -1.0
        if not 0 <= level < 1:
            raise FitError(f"--cheap {text!r}: the score of guessing is a fraction below 1")
        chance[(name if equals else text).strip()] = level
    return chance


def _show(built: BuiltReference, written: Reference, folder: Path, as_json: bool) -> None:
    evaluations = list(written.evaluations.values())
    if as_json:
        o.print_json(
            {**_document(built, folder), "evaluations": [e.to_dict() for e in evaluations]}
        )
        return
    titles = [built.sources[text].title for text in built.table.scores["source"]]
    sources = {s.title: s for s in (*built.sources.values(), *built.about.sources)}
    o.print_table(
        f"{built.about.name}: {len(built.table.models)} models, {len(built.benchmarks)} "
        f"benchmarks, {len(built.targets)} targets",
        ("Source", "Date", "Licence", "Scores"),
        [
            (s.title, s.date.isoformat(), s.licence, str(titles.count(s.title) or "–"))
            for s in sources.values()
        ],
        numbers=("Scores",),
    )
    _show_agreement(built)
    if built.joined:
        o.print_table(
            "Joined, as only the spelling differs",
            ("Model", "Also spelled", "By"),
            [(j.model, j.spelled, j.source) for j in built.joined],
        )
    t.print_notes(built.notes)
    counts = Counter(evaluation.status for evaluation in evaluations)
    summary = ", ".join(f"{n} {status}" for status, n in counts.items())
    o.console().print(
        f"targets: {summary} (capspace targets --reference {folder} says why)"
        if summary
        else "targets: not back-tested; their laws are fitted when they predict",
        markup=False,
    )
    o.console().print(f"reference: {folder} (use it with --reference {folder})", markup=False)


def offset_rows(pairs: Sequence[SourceOffset]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the columns of a table of offsets, and its rows; numbers in points of 100."""
    columns = ("Benchmark", "Source", "Other", "Shared", "Apart", "Spread", "r", "")
    return columns, [
        (
            p.benchmark,
            p.source,
            p.other,
            str(p.n_shared),
            _points(p.offset),
            _points(p.spread).lstrip("+"),
            f"{p.r:.2f}" if p.r == p.r else "–",
            p.problem,
        )
        for p in pairs
    ]


def _show_agreement(built: BuiltReference) -> None:
    pairs = built.offsets.pairs
    if pairs:
        o.print_table(
            "Where two sources measured the same models",
            *offset_rows(pairs),
            numbers=("Shared", "Apart", "Spread", "r"),
        )
    for source in built.offsets.agreements:
        if source.problem:
            o.console().print(
                f"{source.source} agrees badly with the others: {source.problem}, median "
                f"difference {_points(source.offset)} points, over {source.n_shared} scores",
                style="yellow",
                markup=False,
            )


def _points(value: float) -> str:
    return f"{100 * value:+.1f}" if value == value else "–"


def _document(built: BuiltReference, folder: Path) -> dict[str, Any]:
    frame = built.offsets.to_frame()
    return {
        "folder": str(folder),
        "reference": built.about.model_dump(mode="json"),
        "models": len(built.table.models),
        "benchmarks": [b.name for b in built.benchmarks],
        "targets": [target.name for target in built.targets],
        "offsets": frame.to_dict("records"),
        "agreements": [
            {**vars(source), "problem": source.problem} for source in built.offsets.agreements
        ],
        "joined": [vars(join) for join in built.joined],
        "notes": list(built.notes),
    }

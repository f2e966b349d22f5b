"""A file of published scores is recognised by what it holds, and read by its importer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import TableError
from ..table.readers import read_table
from ._imported import ImportedTable, SourceTerms, parse_json, read_text
from .artificial_analysis import is_artificial_analysis, read_artificial_analysis
from .bfcl import is_bfcl, read_bfcl
from .eee_record import is_every_eval_ever
from .euroeval import is_euroeval, read_euroeval
from .every_eval_ever import read_every_eval_ever
from .helm import is_helm, read_helm
from .open_llm_leaderboard import is_open_llm_leaderboard, read_open_llm_leaderboard

__all__ = ["IMPORTERS", "kind_of", "read_published"]

IMPORTERS: Mapping[str, Callable[[Path, SourceTerms], ImportedTable]] = {
    "artificial-analysis": read_artificial_analysis,
    "bfcl": read_bfcl,
    "euroeval": read_euroeval,
    "every-eval-ever": read_every_eval_ever,
    "helm": read_helm,
    "open-llm-leaderboard": read_open_llm_leaderboard,
}
"""Importers by the name of their format; any other table is read by ``read_table``."""
_KNOWN = "Artificial Analysis, Every Eval Ever, HELM and the Open LLM Leaderboard"


def read_published(path: str | Path, terms: SourceTerms) -> ImportedTable:
    """Read scores that somebody else published.

    Parameters
    ----------
    path : path
        A file or folder in one of these formats: the JSON of Artificial Analysis' interface, BFCL's
        ``data_overall.csv``, EuroEval's results, a folder of Every Eval Ever's records, HELM's
        tables, the Open LLM Leaderboard's JSON. Or any table that ``read_table`` reads, of
        fractions.
    terms : SourceTerms
        Licence, and the date of a copy that does not state it.

    Raises
    ------
    TableError
        It is none of these, of another version, or it states no date; one line that names the
        file.

    See Also
    --------
    build_reference : Makes a reference of several.

    Examples
    --------
    >>> from datetime import date
    >>> from pathlib import Path
    >>> from capspace.fit import SourceTerms, read_published
    >>> size = Path("board.csv").write_text("Model,MMLU" + chr(10) + "mine,0.62")
    >>> board = read_published("board.csv", SourceTerms("CC-BY 4.0", date(2026, 11, 1)))
    >>> board.provenance().iloc[0].to_dict()["licence"]
    'CC-BY 4.0'

    """
    path = Path(path)
    kind = kind_of(path)
    return IMPORTERS[kind](path, terms) if kind in IMPORTERS else _read_own(path, terms)


def kind_of(path: Path) -> str:
    """Return the name of a file's format, "table" where it is a table of scores like ours.

    Raises
    ------
    TableError
        There is no such file, or a JSON file is of no known format.

    """
    if path.is_dir():
        return "helm" if (path / "groups").is_dir() else "every-eval-ever"
    if not path.is_file():
        raise TableError(f"{path}: no such file")
    ending = path.suffix.lower()
    if ending not in (".json", ".jsonl"):
        return "bfcl" if ending == ".csv" and is_bfcl(_first_line(path)) else "table"
    text = read_text(path)
    if ending == ".jsonl":
        text = next((line for line in text.splitlines() if line.strip()), "")
    value = parse_json(text, str(path))
    recognised = {
        "euroeval": is_euroeval(value) and ending == ".jsonl",
        "every-eval-ever": is_every_eval_ever(value),
        "helm": is_helm(value),
        "open-llm-leaderboard": is_open_llm_leaderboard(value),
        "artificial-analysis": is_artificial_analysis(value),
    }
    for kind, matches in recognised.items():
        if matches:
            return kind
    raise TableError(f"{path}: JSON of a format that is not known; known are {_KNOWN}")


def _read_own(path: Path, terms: SourceTerms) -> ImportedTable:
    table = read_table(path)
    try:
        table.require_fractions()
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    titles = [title or path.name for title in table.scores["source"]]
    sources = {title: terms.source(path, title) for title in dict.fromkeys(titles)}
    scores = table.scores.assign(source=titles)
    return ImportedTable("table", type(table)(scores, table.models), sources, table.notes)


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        return file.readline(1 << 16).decode("utf-8-sig", errors="replace")

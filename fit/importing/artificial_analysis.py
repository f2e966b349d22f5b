"""Artificial Analysis serves JSON to users with a key; the JSON may not be redistributed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..errors import TableError
from ..table.facts import read_date
from ._imported import (
    Cell,
    ImportedTable,
    SourceTerms,
    imported,
    parse_json,
    read_text,
    some,
    validated,
)

__all__ = [
    "ARTIFICIAL_ANALYSIS",
    "from_answers",
    "is_artificial_analysis",
    "read_artificial_analysis",
]

ARTIFICIAL_ANALYSIS = "Artificial Analysis"
URL = "https://artificialanalysis.ai"

BENCHMARKS = {
    "mmlu_pro": "MMLU-Pro",
    "gpqa": "GPQA-diamond",
    "livecodebench": "LiveCodeBench",
    "math_500": "MATH-500",
    "aime": "AIME 2024",
    "aime_25": "AIME 2025",
    "ifbench": "IFBench",
}
"""What is cheap to measure; every other field is a target that names who ran it."""
TARGETS = {
    "tau2": "tau2-telecom",
    "tau_banking": "tau-banking",
    "terminalbench_hard": "terminal-bench-hard",
    "terminalbench_v2_1": "terminal-bench-2.1",
}
_SCAFFOLD = "artificial-analysis"
_COMPOSITE = ("_index", "_index_version")


class _Creator(BaseModel):
    name: str = ""


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    name: str
    slug: str | None = None
    release_date: str | None = None
    model_creator: _Creator | str | None = None
    evaluations: dict[str, Any] | None = None


class _Pages(BaseModel):
    page: int = 1
    total_pages: int = 1


class _Answer(BaseModel):
    data: list[_Model]
    pagination: _Pages | None = None


def is_artificial_analysis(value: object) -> bool:
    """Return whether a JSON value is an answer of the interface, an error included."""
    if not isinstance(value, dict):
        return False
    rows = value.get("data")
    first = rows[0] if isinstance(rows, list) and rows else None
    return (isinstance(first, dict) and "model_creator" in first) or set(value) == {"error"}


def read_artificial_analysis(path: Path, terms: SourceTerms) -> ImportedTable:
    """Read a saved answer about language models, of either version of the interface.

    Each variant of a model that is listed, such as one with reasoning and one without, is a model
    here. The composite indices, and what is no fraction, are left out.

    Raises
    ------
    TableError
        It is an error message, or an answer without benchmark scores, as those to free keys are;
        or there is no date.

    """
    return from_answers(str(path), (parse_json(read_text(path), str(path)),), terms)


def from_answers(where: str, answers: tuple[Any, ...], terms: SourceTerms) -> ImportedTable:
    """Return the scores of the pages of an answer; ``where`` names them in messages."""
    pages = [_answer(answer, where) for answer in answers]
    source = terms.source(where, ARTIFICIAL_ANALYSIS, url=URL)
    models = [model for page in pages for model in page.data]
    notes = _missing_pages(pages)
    repeated = {name for name, n in Counter(m.name for m in models).items() if n > 1}
    cells: list[Cell] = []
    facts: dict[str, dict[str, Any]] = {}
    ignored: Counter[str] = Counter()
    for model in models:
        name = f"{model.name} [{model.slug}]" if model.name in repeated else model.name
        creator = model.model_creator
        provider = (creator if isinstance(creator, str) else creator and creator.name) or None
        facts[name] = {
            "family": provider,
            "provider": provider,
            "mode": _mode(model.name),
            "release_date": read_date(model.release_date, f"{where}: {name}: release_date") or None,
            "tuning": "instruct",
        }
        for field, value in (model.evaluations or {}).items():
            if field.endswith(_COMPOSITE) or value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                ignored[field] += 1
            else:
                cells.append(
                    Cell(name, _label(field), value, source.title, protocol=ARTIFICIAL_ANALYSIS)
                )
    if not cells:
        raise TableError(
            f"{where}: no model has a benchmark score; free keys are given composite indices only"
        )
    if ignored:
        notes = (*notes, f"not numbers, left out: {some(sorted(ignored))}")
    return imported("artificial-analysis", where, cells, (source,), facts=facts, notes=notes)


def _mode(name: str) -> str | None:
    """Return the mode that a variant's name states: with reasoning or without."""
    words = name.lower()
    if "non-reasoning" in words:
        return "plain"
    return "thinking" if "(reasoning" in words or "(thinking" in words else None


def _label(field: str) -> str:
    if field in BENCHMARKS:
        return BENCHMARKS[field]
    return f"{TARGETS.get(field, field.replace('_', '-'))}/{_SCAFFOLD}"


def _answer(value: Any, where: str) -> _Answer:
    if isinstance(value, dict) and "data" not in value and "error" in value:
        raise TableError(f"{where}: an error of the interface: {str(value['error'])[:200]!r}")
    return validated(_Answer, value, f"{where}: no answer of Artificial Analysis")


def _missing_pages(pages: list[_Answer]) -> tuple[str, ...]:
    numbered = [page.pagination for page in pages if page.pagination is not None]
    if not numbered:
        return ()
    total = max(page.total_pages for page in numbered)
    missing = sorted(set(range(1, total + 1)) - {page.page for page in numbered})
    return (f"page {missing[0]} of {total} is not there",) if missing else ()

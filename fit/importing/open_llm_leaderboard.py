"""The Open LLM Leaderboard (version 2) of the Hugging Face Hub was served as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from .._display import counted
from ..errors import TableError
from ..table.facts import read_date
from ._imported import Cell, ImportedTable, SourceTerms, imported, parse_json, read_text, validated

__all__ = ["is_open_llm_leaderboard", "read_open_llm_leaderboard"]

TITLE = "Open LLM Leaderboard v2"
URL = "https://huggingface.co/spaces/open-llm-leaderboard/open_llm_leaderboard"

BENCHMARKS = {
    "ifeval": ("leaderboard_ifeval", 0),
    "bbh": ("leaderboard_bbh", 3),
    "math": ("leaderboard_math_hard", 4),
    "gpqa": ("leaderboard_gpqa", 0),
    "musr": ("leaderboard_musr", 0),
    "mmlu_pro": ("leaderboard_mmlu_pro", 5),
}
"""Name, as of the harness's task, and shots of each field."""
_FIRST_VERSION = ("arc", "hellaswag", "truthfulqa", "winogrande", "gsm8k")


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str
    precision: str = ""
    type: str = ""
    has_chat_template: bool | None = None


class _Evaluation(BaseModel):
    value: float | None = None


class _Features(BaseModel):
    is_flagged: bool = False


class _Metadata(BaseModel):
    upload_date: str | None = None
    submission_date: str | None = None
    base_model: str | None = None
    params_billions: float | None = None


class _Row(BaseModel):
    model: _Model
    evaluations: dict[str, _Evaluation]
    features: _Features = Field(default_factory=_Features)
    metadata: _Metadata = Field(default_factory=_Metadata)


def is_open_llm_leaderboard(value: object) -> bool:
    """Return whether a JSON value is a list of the leaderboard's models, of any version."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and {"model", "evaluations"} <= set(first)


def read_open_llm_leaderboard(path: Path, terms: SourceTerms) -> ImportedTable:
    """Read the rows of ``/api/leaderboard/formatted``: raw scores, not the normalised ones.

    A model that was submitted several times, with other weights, precision or prompts, has the
    scores of its last submission. Models that the leaderboard flagged are left out.

    Raises
    ------
    TableError
        A row is not of this leaderboard, or of its first version; there is no date.

    """
    value = parse_json(read_text(path), str(path))
    if not isinstance(value, list) or not value:
        raise TableError(f"{path}: expected the leaderboard's list of models")
    rows = [
        validated(_Row, row, f"{path}: row {i} is not of the leaderboard")
        for i, row in enumerate(value, start=1)
    ]
    _refuse_other_versions(path, rows)
    submitted = [_date(row.metadata.submission_date, path, row.model.name) for row in rows]
    source = terms.source(path, TITLE, url=URL, stated=max(submitted))
    flagged = {row.model.name for row in rows if row.features.is_flagged}
    last: dict[str, tuple[str, _Row]] = {}
    for day, row in zip(submitted, rows, strict=True):
        name = row.model.name
        if name not in flagged and (name not in last or day > last[name][0]):
            last[name] = (day, row)
    cells = [
        Cell(name, label, score.value, TITLE, n_shot=n_shot, protocol=_protocol(row.model))
        for name, (_, row) in last.items()
        for field, (label, n_shot) in BENCHMARKS.items()
        if (score := row.evaluations.get(field)) is not None and score.value is not None
    ]
    facts = {name: _facts(row, path) for name, (_, row) in last.items()}
    n_flagged = counted(len(flagged), "model")
    notes = [f"flagged by the leaderboard, left out: {n_flagged}"] if flagged else []
    repeats = len(rows) - len(last) - sum(row.model.name in flagged for row in rows)
    if repeats:
        notes.append(f"{counted(repeats, 'earlier submission')} of the same models left out")
    return imported("open-llm-leaderboard", path, cells, (source,), facts=facts, notes=notes)


def _refuse_other_versions(path: Path, rows: list[_Row]) -> None:
    fields = {field for row in rows for field in row.evaluations}
    unknown = sorted(fields - set(BENCHMARKS))
    if unknown:
        version = "its first version" if set(unknown) & set(_FIRST_VERSION) else "another version"
        raise TableError(f"{path}: {unknown[0]!r} is of {version}; version 2 is read")


def _protocol(model: _Model) -> str:
    template = {True: "chat template", False: "no chat template", None: ""}[model.has_chat_template]
    return ", ".join(filter(None, (TITLE, template)))


def _facts(row: _Row, path: Path) -> dict[str, Any]:
    billions = row.metadata.params_billions
    base = (row.metadata.base_model or "").strip()
    return {
        "family": base if "/" in base else row.model.name,
        "provider": row.model.name.partition("/")[0] if "/" in row.model.name else None,
        "parameters": billions * 1e9 if billions is not None and billions > 0 else None,
        "release_date": _date(row.metadata.upload_date, path, row.model.name) or None,
        "tuning": "base" if "pretrained" in row.model.type.lower() else "instruct",
    }


def _date(value: str | None, path: Path, model: str) -> str:
    return read_date(value, f"{path}: {model}: a date")

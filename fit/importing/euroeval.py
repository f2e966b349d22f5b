"""EuroEval writes one result per line, first in its own format and later in Every Eval Ever's."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..errors import TableError
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
from .eee_record import Record, is_every_eval_ever, model_of, record_of
from .every_eval_ever import cell_of_result

__all__ = ["is_euroeval", "read_euroeval"]

TITLE = "EuroEval"
URL = "https://euroeval.com"

_METRICS = (
    *("accuracy", "mcc", "macro_f1", "micro_f1", "micro_f1_no_misc", "f1", "em", "rouge_l"),
    *("bertscore", "chr_f", "instruction_accuracy", "tool_calling_accuracy"),
)
"""Metrics in percent; others, such as speed, are not read."""
_Z = 1.96
_TUNING = {"base": "base", "instruction_tuned": "instruct", "reasoning": "instruct"}
_FORMER = re.compile(r"\s*\([^()]*\b(?:few-shot|zero-shot|val)\b[^()]*\)$")


class _Results(BaseModel):
    total: dict[str, float]


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    dataset: str
    model: str
    results: _Results
    euroeval_version: str | None = None
    num_model_parameters: float | None = None
    generative_type: str | None = None
    few_shot: bool | None = None
    validation_split: bool | None = None


def is_euroeval(value: object) -> bool:
    """Return whether a JSON value is a result of EuroEval, or of ScandEval before it."""
    if not isinstance(value, dict):
        return False
    if is_every_eval_ever(value):
        library = value.get("eval_library")
        return isinstance(library, dict) and library.get("name") == "euroeval"
    return {"dataset", "results"} <= set(value) and (
        "euroeval_version" in value or "scandeval_version" in value
    )


def read_euroeval(path: Path, terms: SourceTerms) -> ImportedTable:
    """Read ``euroeval_benchmark_results.jsonl``, of versions 15 to 18.

    A benchmark is a data set and a metric, ``danish-citizen-tests/accuracy``. Scores are percent,
    and what the older format calls the standard error is the half-width of the 95% interval: it
    is divided by 1.96. A coefficient of correlation below 0 is left out.

    Raises
    ------
    TableError
        A line is no result, or one of ScandEval; or there is no date: only lines in the newer
        format state theirs.

    """
    cells: list[Cell] = []
    facts: dict[str, dict[str, Any]] = {}
    ignored: Counter[str] = Counter()
    day = ""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        where = f"{path}: line {number}"
        if not line.strip():
            continue
        value = parse_json(line, where)
        if not is_euroeval(value):
            raise TableError(f"{where}: no result of EuroEval")
        if is_every_eval_ever(value):
            record = record_of(value, where)
            day = max(day, record.date)
            cells += _of_record(record, where, facts, ignored)
        else:
            cells += _of_line(value, where, facts, ignored)
    source = terms.source(path, TITLE, url=URL, stated=day)
    last = {(c.model, c.benchmark, c.protocol): c for c in cells}
    names = sorted(ignored)
    notes = [f"metrics that are not read: {some(names)}"] if names else []
    return imported("euroeval", path, last.values(), (source,), facts=facts, notes=notes)


def _of_record(
    record: Record, where: str, facts: dict[str, dict[str, Any]], ignored: Counter[str]
) -> list[Cell]:
    model, known = model_of(record, where)
    about = record.model_info.additional_details or {}
    library = record.eval_library.additional_details or {}
    kind = str(about.get("generative_type") or "")
    facts[model] = known | {"tuning": _TUNING.get(kind)}
    protocol = _protocol(
        record.eval_library.version,
        library.get("few_shot") == "true",
        library.get("validation_split") == "true",
    )
    cells = []
    for result in record.evaluation_results:
        cell = cell_of_result(record, result, model, ignored)
        if cell is not None:
            metric = result.evaluation_name.removeprefix("test_")
            name = f"{result.source_data.dataset_name}/{metric}"
            cells.append(replace(cell, benchmark=name, source=TITLE, protocol=protocol))
    return cells


def _of_line(
    value: dict[str, Any], where: str, facts: dict[str, dict[str, Any]], ignored: Counter[str]
) -> list[Cell]:
    if "euroeval_version" not in value:
        raise TableError(f"{where}: a result of ScandEval; those of EuroEval, from 15 on, are read")
    line = validated(_Line, value, where)
    model = _FORMER.sub("", line.model).strip()
    parameters = line.num_model_parameters
    organisation = model.partition("/")[0] if "/" in model else None
    facts[model] = {
        "family": organisation,
        "provider": organisation,
        "parameters": parameters if parameters is not None and parameters > 0 else None,
        "tuning": _TUNING.get(line.generative_type or ""),
    }
    protocol = _protocol(line.euroeval_version or "", line.few_shot, line.validation_split)
    cells = []
    for name, score in line.results.total.items():
        metric = name.removeprefix("test_")
        if metric.endswith("_se") or metric == "num_failed_instances":
            continue
        if metric not in _METRICS:
            ignored[metric] += 1
            continue
        half_width = line.results.total.get(f"{name}_se", math.nan)
        cells.append(
            Cell(
                model,
                f"{line.dataset}/{metric}",
                score / 100,
                TITLE,
                stderr=half_width / _Z / 100,
                protocol=protocol,
            )
        )
    return cells


def _protocol(version: str, few_shot: bool | None, validation_split: bool | None) -> str:
    shots = {True: "few-shot", False: "zero-shot", None: ""}[few_shot]
    split = "validation split" if validation_split else ""
    return ", ".join(filter(None, (f"{TITLE} {version.partition('.')[0]}".strip(), shots, split)))

"""Every Eval Ever's records, of many publishers, are read from a file or a folder of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

from .._display import counted
from ..errors import TableError
from ._imported import Cell, ImportedTable, SourceTerms, imported, parse_json, read_text
from .eee_record import Metric, Record, Result, Uncertainty, model_of, record_of

__all__ = ["cell_of_result", "read_every_eval_ever"]

URL = "https://github.com/evaleval/every_eval_ever"

_PERCENT = ("percent", "percentage", "%")
_OTHER_SCALES = {
    "HF Open LLM v2": {
        "ifeval": "leaderboard_ifeval",
        "bbh": "leaderboard_bbh",
        "math level 5": "leaderboard_math_hard",
        "gpqa": "leaderboard_gpqa",
        "musr": "leaderboard_musr",
        "mmlu-pro": "leaderboard_mmlu_pro",
    }
}
"""Benchmarks by publisher whose scores are on another scale than their plain name stands for."""


def read_every_eval_ever(path: Path, terms: SourceTerms) -> ImportedTable:
    """Read a record, a file with a record a line, or a folder of records at any depth.

    Each publisher that the records name is a source of its own, dated by its last record. Files
    of items (``..._samples.jsonl``) are not read; nor are scores of which less is better, and
    those whose bounds say that they are no fractions.

    Raises
    ------
    TableError
        A file is no record, or one of another version of the schema, or names no model; or there
        is no date.

    """
    files = [path]
    if path.is_dir():
        every = sorted((*path.rglob("*.json"), *path.rglob("*.jsonl")))
        files = [file for file in every if not file.name.endswith("_samples.jsonl")]
    if not files:
        raise TableError(f"{path}: the folder holds no record of Every Eval Ever")
    left_out: Counter[str] = Counter()
    dated: list[tuple[str, Cell]] = []
    dates: dict[str, str] = {}
    addresses: dict[str, str] = {}
    facts: dict[str, dict[str, Any]] = {}
    for file in files:
        for where, value in _values(file):
            record = record_of(value, where)
            title = record.publisher
            dates[title] = max(dates.get(title, ""), record.date)
            addresses[title] = record.source_metadata.source_organization_url or URL
            model, known = model_of(record, where)
            facts.setdefault(model, known)
            read = [cell_of_result(record, r, model, left_out) for r in record.evaluation_results]
            dated += [(record.date, cell) for cell in read if cell is not None]
    sources = [terms.source(path, t, url=addresses[t], stated=day) for t, day in dates.items()]
    notes = [f"{why}, left out: {counted(n, 'score')}" for why, n in left_out.items()]
    return imported("every-eval-ever", path, _latest(dated), sources, facts=facts, notes=notes)


def cell_of_result(
    record: Record, result: Result, model: str, left_out: Counter[str]
) -> Cell | None:
    """Return a score that is a fraction of a perfect score; count it and return None else."""
    metric = result.metric_config
    scale = _scale(metric)
    if metric.lower_is_better or scale is None:
        left_out["less is better" if metric.lower_is_better else "no fractions"] += 1
        return None
    return Cell(
        model,
        _benchmark(result, record.publisher),
        result.score_details.score / scale,
        record.publisher,
        stderr=_stderr(result.score_details.uncertainty) / scale,
        n_items=result.source_data.samples_number or math.nan,
        protocol=" ".join(filter(None, (record.eval_library.name, metric.metric_name))),
    )


def _values(file: Path) -> Iterator[tuple[str, Any]]:
    text = read_text(file)
    if file.suffix != ".jsonl":
        yield str(file), parse_json(text, str(file))
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"{file}: line {number}", parse_json(line, f"{file}: line {number}")


def _latest(dated: list[tuple[str, Cell]]) -> list[Cell]:
    """Return one cell per key of a score table: the latest where a store holds several runs."""
    in_order = [cell for _, cell in sorted(dated, key=lambda pair: pair[0])]
    keyed = {(c.model, c.benchmark, c.n_shot, c.protocol, c.source): c for c in in_order}
    return list(keyed.values())


def _scale(metric: Metric) -> float | None:
    """Return what scores are divided by to be fractions; None where they are none."""
    if (metric.metric_unit or "").lower() in _PERCENT:
        return 100.0
    if metric.max_score is None:
        return 1.0  # what lies outside [0, 1] is left out later
    if metric.max_score in (1, 100) and metric.min_score in (None, 0, -metric.max_score):
        return float(metric.max_score)
    return None


def _benchmark(result: Result, publisher: str) -> str:
    dataset, name = result.source_data.dataset_name, result.evaluation_name
    if other := _OTHER_SCALES.get(publisher, {}).get(name.lower()):
        return other
    return name if dataset.casefold() in ("", name.casefold()) else f"{dataset} {name}"


def _stderr(uncertainty: Uncertainty | None) -> float:
    if uncertainty is None:
        return math.nan
    stated = uncertainty.standard_error
    value = stated.get("value") if isinstance(stated, dict) else stated
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(str(value))  # infinite, not an error, where a number is too large
    interval = uncertainty.confidence_interval
    level = 0.0 if interval is None else interval.confidence_level or 0.0
    if interval is None or not 0 < level < 1:
        return math.nan
    z = NormalDist().inv_cdf(0.5 + level / 2)
    return (interval.upper - interval.lower) / (2 * z)

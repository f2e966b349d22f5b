"""Every Eval Ever records are read, whether capspace or another tool wrote them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from ..errors import ImportFileError
from ..storage.run_dates import date_of_text
from .external_score import (
    ExternalFile,
    ExternalScore,
    first_problem,
    no_score,
    no_stderr,
)
from .model_names import ModelName, UnnamedModelError, name_of_argument

__all__ = ["RECORD_NAME", "is_every_eval_ever", "read_every_eval_ever"]

RECORD_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.json", re.ASCII)
"""How the project's data store calls a record."""

_LONGEST_WORDS = 60


class _Part(BaseModel):
    """Part of a record, as far as it is read.

    Records of other versions and publishers keep less than the schema's models ask for, so these
    are laxer; a test holds their fields to the schema's.
    """

    model_config = ConfigDict(strict=True, frozen=True, protected_namespaces=())


class _Library(_Part):
    name: str = ""
    version: str = ""


class _Model(_Part):
    name: str = ""
    id: str = ""
    additional_details: dict[str, JsonValue] = {}


class _Data(_Part):
    dataset_name: str = ""


class _Metric(_Part):
    metric_name: str | None = None
    metric_id: str | None = None
    evaluation_description: str | None = None
    min_score: JsonValue = None
    max_score: JsonValue = None
    additional_details: dict[str, JsonValue] = {}


class _Uncertainty(_Part):
    standard_error: JsonValue = None
    num_samples: int | None = None


class _Score(_Part):
    score: JsonValue = None
    details: dict[str, JsonValue] = {}
    uncertainty: _Uncertainty = _Uncertainty()


class _Result(_Part):
    evaluation_name: str
    evaluation_timestamp: str | None = None
    source_data: _Data | list[str] = _Data()
    metric_config: _Metric
    score_details: _Score
    generation_config: JsonValue = None


class _Record(_Part):
    """What is read of a record; it may hold more."""

    evaluation_results: list[_Result]
    evaluation_timestamp: str | None = None
    model_info: _Model
    eval_library: _Library = _Library()
    detailed_evaluation_results: JsonValue = None


def is_every_eval_ever(text: str) -> bool:
    """Return whether a JSON text is laid out as Every Eval Ever's."""
    return '"evaluation_results"' in text and '"model_info"' in text


def read_every_eval_ever(path: Path, text: str, *, model: ModelName | None = None) -> ExternalFile:
    """Return the scores of a record.

    Its items are not read: they hold less than lm-eval's samples do.

    Raises
    ------
    ImportFileError
        It is no such record, or does not name its model.

    """
    try:
        record = _Record.model_validate(_without_nulls(json.loads(text)))
    except ValidationError as error:
        raise ImportFileError(f"{path}: {first_problem(error)}") from None
    except (ValueError, RecursionError) as error:
        raise ImportFileError(f"{path}: not JSON ({error})") from None
    details = record.model_info.additional_details
    name, about = _model(record, model, path)
    library = record.eval_library
    harness = [n for n in (library.name.replace("_", "-"), library.version) if n != "unknown"]
    backend, dtype = details.get("backend"), details.get("dtype")
    common: dict[str, Any] = {
        "model": name.model,
        "revision": name.revision,
        "harness": " ".join(filter(None, harness)),
        "setup": f"{backend} {dtype}" if backend and dtype else "",
    }
    scores: list[ExternalScore] = []
    left_out: list[str] = []
    for result in record.evaluation_results:
        row = common | _row(result, record, left_out)
        if problem := no_score(row["score"]):
            left_out.append(f"{row['task']} {row['metric']}".rstrip() + f" is {problem}")
            continue
        try:
            scores.append(ExternalScore(**row))
        except ValidationError as error:
            raise ImportFileError(f"{path}: {row['task']}: {first_problem(error)}") from None
    notes = ("its items are not read: scores only",) if record.detailed_evaluation_results else ()
    return ExternalFile(tuple(scores), tuple(left_out), notes, about)


def _without_nulls(value: Any) -> Any:
    """Return a record without its nulls: what is unknown may be left out or null."""
    if isinstance(value, dict):
        return {name: _without_nulls(v) for name, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


def _model(
    record: _Record, given: ModelName | None, path: Path
) -> tuple[ModelName, tuple[ModelName, ...]]:
    """Return the model, and what the record says of it."""
    info = record.model_info
    revision = str(info.additional_details.get("revision") or "")
    try:
        if any(_is_ours(result) for result in record.evaluation_results) and info.name:
            name = ModelName(
                info.name, revision
            )  # whatever it looks like: it was the name in a store
        else:
            name = name_of_argument(info.id or info.name, is_checkpoint=False)
            name = name if name.revision else ModelName(name.model, revision)
    except UnnamedModelError as error:
        if given is not None:
            return ModelName(given.model, given.revision or revision), error.about
        raise ImportFileError(f"{path}: {error.remedy(path)}") from None
    if given is None:
        return name, (name,)
    return ModelName(given.model, given.revision or name.revision), (name,)


def _row(result: _Result, record: _Record, left_out: list[str]) -> dict[str, Any]:
    metric, details = result.metric_config, result.score_details.details
    stated = metric.metric_name or metric.metric_id or metric.evaluation_description or ""
    chosen = str(metric.additional_details.get("filter") or "none")
    n_shot = str(metric.additional_details.get("n_shot", ""))
    uncertainty = result.score_details.uncertainty
    date = result.evaluation_timestamp or record.evaluation_timestamp or ""
    score, stderr = result.score_details.score, _stderr(result, left_out)
    if metric.min_score == 0 and metric.max_score == 100 and not no_score(score):
        score, stderr = float(score) / 100, stderr / 100  # type: ignore[arg-type] # a number
    is_count = n_shot.isascii() and n_shot.isdigit() and len(n_shot) < 10
    return {
        "task": _task(result),
        "metric": "" if stated == "score" or len(stated) > _LONGEST_WORDS else stated,
        "filter": chosen,
        "n_shot": int(n_shot) if is_count else None,
        "n_items": uncertainty.num_samples,
        "protocol": str(details.get("protocol", "")) if _is_ours(result) else "",
        "source": str(details.get("source", "")),
        "run_date": "" if details.get("dated") == "false" else date_of_text(date),
        "conditions": tuple(_conditions(result)),
        "score": score,
        "stderr": stderr,
    }


def _is_ours(result: _Result) -> bool:
    return "capspace_key" in result.score_details.details


def _task(result: _Result) -> str:
    """Return the benchmark; others may name the data set apart from what is asked of it."""
    data = result.source_data
    dataset = data.dataset_name if isinstance(data, _Data) else ""
    name = result.evaluation_name
    return name if _is_ours(result) or dataset in ("", name) else f"{dataset} {name}"


def _conditions(result: _Result) -> Iterator[str]:
    """Yield under which generation settings others ran it: other ones may score another."""
    if result.generation_config and not _is_ours(result):
        words = json.dumps(result.generation_config, sort_keys=True)
        yield f"generation settings {words[:500]}"


def _stderr(result: _Result, left_out: list[str]) -> float:
    stated = result.score_details.uncertainty.standard_error
    value = stated.get("value") if isinstance(stated, dict) else stated
    if value is None:
        return math.nan
    if problem := no_stderr(value):
        left_out.append(f"{_task(result)}: its standard error is {problem}")
        return math.nan
    return float(value)  # type: ignore[arg-type] # a number, or it would be left out

"""A record of Every Eval Ever is a run: a model, who published its scores, and the scores."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

from ..errors import TableError
from ._imported import validated

__all__ = [
    "Metric",
    "Record",
    "Result",
    "Uncertainty",
    "is_every_eval_ever",
    "model_of",
    "record_of",
]

_UNNAMED = "Every Eval Ever"
_VERSIONS = re.compile(r"0\.[23]\.\d+")
_NUMBER = re.compile(r"\d+(\.\d+)?")


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class _SourceMetadata(_Part):
    source_name: str = ""
    source_organization_name: str = ""
    source_organization_url: str | None = None


class _Library(_Part):
    name: str = ""
    version: str = ""
    additional_details: dict[str, JsonValue] | None = None


class _Model(_Part):
    name: str = ""
    id: str = ""
    additional_details: dict[str, JsonValue] | None = None


class _Data(_Part):
    dataset_name: str = ""
    samples_number: int | None = None


class Metric(_Part):
    """What the scores are, and between which bounds they lie."""

    metric_name: str | None = None
    metric_unit: str | None = None
    lower_is_better: bool = False
    min_score: float | str | None = None
    max_score: float | str | None = None


class _Interval(_Part):
    lower: float
    upper: float
    confidence_level: float | None = None


class Uncertainty(_Part):
    """How sure a score is."""

    standard_error: dict[str, JsonValue] | float | None = None
    confidence_interval: _Interval | None = None


class _Score(_Part):
    score: float
    uncertainty: Uncertainty | None = None


class Result(_Part):
    """One score of a record."""

    evaluation_name: str
    source_data: _Data = _Data()
    metric_config: Metric = Metric()
    score_details: _Score


class Record(_Part):
    """One run: a model and its scores."""

    schema_version: str
    evaluation_timestamp: str | None = None
    retrieved_timestamp: str = ""
    source_metadata: _SourceMetadata = _SourceMetadata()
    eval_library: _Library = _Library()
    model_info: _Model
    evaluation_results: list[Result]

    @property
    def date(self) -> str:
        """When it was run, else when it was retrieved, ISO; "" where neither is a date."""
        return _day(self.evaluation_timestamp or "") or _day(self.retrieved_timestamp)

    @property
    def publisher(self) -> str:
        """Who published the scores."""
        about = self.source_metadata
        return about.source_name or about.source_organization_name or _UNNAMED


def is_every_eval_ever(value: object) -> bool:
    """Return whether a JSON value is such a record."""
    return isinstance(value, dict) and {"evaluation_results", "model_info"} <= set(value)


def record_of(value: object, where: str) -> Record:
    """Return a JSON value as a record; raise TableError naming ``where`` if it is none."""
    if not is_every_eval_ever(value):
        raise TableError(f"{where}: no record of Every Eval Ever")
    version = value.get("schema_version") if isinstance(value, dict) else None
    if not isinstance(version, str) or not _VERSIONS.fullmatch(version):
        raise TableError(
            f"{where}: schema_version is {version!r}; versions 0.2 and 0.3 of the schema are read"
        )
    return validated(Record, _without_nulls(value), where)


def model_of(record: Record, where: str) -> tuple[str, dict[str, Any]]:
    """Return the model that a record is about, and the facts that it states of it."""
    name = (record.model_info.id or record.model_info.name).strip()
    if not name:
        raise TableError(f"{where}: it names no model")
    details = record.model_info.additional_details or {}
    billions, count = details.get("params_billions"), details.get("num_model_parameters")
    parameters = _number(billions, 1e9) or _number(count, 1.0)
    released = str(details.get("release_date") or "")
    organisation = name.partition("/")[0] if "/" in name else None
    return name, {
        "family": organisation,
        "provider": organisation,
        "parameters": parameters,
        "release_date": released if _day(released) == released else None,
    }


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(v) for name, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


def _day(text: str) -> str:
    """Return a time in ISO or in seconds since 1970 as an ISO date, "" if it is neither."""
    try:
        if _NUMBER.fullmatch(text):
            return datetime.fromtimestamp(float(text), UTC).date().isoformat()
        return datetime.fromisoformat(text).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def _number(value: JsonValue, unit: float) -> float | None:
    try:
        number = float(str(value)) * unit
    except ValueError:
        return None
    return number if number > 0 and math.isfinite(number) else None

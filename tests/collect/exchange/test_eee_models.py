"""The models of Every Eval Ever's records are the schema's, and what we read of one is in them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, get_args

import pytest
from checkout import ROOT
from pydantic import BaseModel, ValidationError

from capspace.collect.exchange import _eee_instance, _eee_log, eee_import
from capspace.collect.exchange._eee_base import Record
from capspace.fit.importing import eee_record


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in models_in(inner)]


def unknown(model: type[BaseModel], schema: list[type[BaseModel]], at: str = "") -> Iterator[str]:
    """Yield the fields of a model that none of the schema's models for that place has."""
    for name, field in model.model_fields.items():
        theirs = [s.model_fields[name].annotation for s in schema if name in s.model_fields]
        if not theirs:
            yield f"{at}{name}"
        inner = [each for annotation in theirs for each in models_in(annotation)]
        for part in models_in(field.annotation):
            yield from unknown(part, inner, f"{at}{name}.")


@pytest.mark.parametrize("record", [eee_import._Record, eee_record.Record])
def test_what_is_read_of_a_record_is_in_the_schema(record: type[BaseModel]) -> None:
    assert list(unknown(record, [_eee_log.EvaluationLog])) == []


@pytest.mark.parametrize("model", [_eee_log.EvaluationLog, _eee_instance.InstanceLog])
def test_the_models_say_what_they_were_generated_from(model: type[BaseModel]) -> None:
    stated = import_module(model.__module__).__doc__ or ""
    version = model.model_fields["schema_version"].default
    assert f"version\n{version} of the schema" in stated
    assert "MIT License" in stated
    generator = (ROOT / "scripts" / "generate_eee_models").read_text()
    for tool in ("datamodel-code-generator 0", "every-eval-ever 0"):
        (line,) = (text for text in stated.splitlines() if tool in text)
        pin = line[line.index(tool) :].split(",")[0].split(" on ")[0].replace(" ", "==")
        assert f'"{pin}"' in generator


def error(**changes: Any) -> dict[str, Any]:
    return {"value": 0.1, **changes}


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (_eee_log.StandardError, error(value=float("nan"))),
        (_eee_log.StandardError, error(value="0.1")),
        (_eee_log.StandardError, error(way="bootstrap")),
        (_eee_log.ConfidenceInterval, {"lower": 0.0, "upper": 1.0, "confidence_level": 95.0}),
        (_eee_log.SourceDataUrl, {"dataset_name": "a", "url": []}),
        (_eee_log.EvalLibrary, {"name": "lm_eval"}),
        (_eee_log.MetricConfig, {"lower_is_better": True, "score_type": "levels"}),
        (_eee_instance.Message, {"turn_idx": -1, "role": "user"}),
        (
            _eee_log.AdditionalDetails,
            {"deployment_type": "unknown", "model_availability": "unknown", "revision": 1},
        ),
    ],
)
def test_what_the_schema_or_json_lacks_is_refused(
    model: type[Record], values: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(values)


def test_what_is_unknown_is_left_out_and_text_may_be_added_about_a_model() -> None:
    details = _eee_log.AdditionalDetails(
        deployment_type="unknown", model_availability="open_weights", revision="main"
    )
    assert details.to_json() == (
        '{"deployment_type":"unknown","model_availability":"open_weights","revision":"main"}'
    )
    assert _eee_log.StandardError(value=0.5).to_json() == '{"value":0.5}'

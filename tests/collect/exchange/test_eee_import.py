"""Records of Every Eval Ever that others wrote come in under names of their own."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lm_eval", reason="import compares with the installed lm-eval's tasks")

from capspace.collect.errors import ImportFileError
from capspace.collect.exchange.importing import import_scores
from capspace.collect.storage.store import Store
from capspace.tasks.panel import Panel, load_panel


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load_panel("classic-8").select(["ARC-C"])


def theirs(**changes: Any) -> dict[str, Any]:
    """Return a record of Every Eval Ever as another harness writes it."""
    result: dict[str, Any] = {
        "evaluation_name": "choice",
        "source_data": {"dataset_name": "quiz", "source_type": "hf_dataset", "hf_repo": "x/quiz"},
        "evaluation_timestamp": "1761001924.0",
        "metric_config": {
            "evaluation_description": "accuracy",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": {"score": 0.25, "uncertainty": {"standard_error": {"value": 0.01}}},
    }
    for name, value in changes.items():
        result[name] = result[name] | value
    return {
        "schema_version": "0.2.1",
        "evaluation_id": "quiz/lab_chat/1",
        "model_info": {"name": "lab/chat:7b", "id": "lab/chat-7b", "additional_details": None},
        "evaluation_results": [result],
    }


@pytest.mark.parametrize(
    ("changes", "score", "stderr"),
    [
        ({}, 0.25, 0.01),
        (
            {
                "metric_config": {"min_score": 0, "max_score": 100},
                "score_details": {"score": 25.0, "uncertainty": {"standard_error": {"value": 1.0}}},
            },
            0.25,
            0.01,
        ),
        ({"score_details": {"score": 0.25, "uncertainty": None}}, 0.25, math.nan),
    ],
)
def test_every_eval_ever_of_others(
    panel: Panel, tmp_path: Path, changes: dict[str, Any], score: float, stderr: float
) -> None:
    path = tmp_path / "8ad2fc8d-a1c3-4ff1-a970-35e786f8f5d2.json"
    path.write_text(json.dumps(theirs(**changes)))
    done = import_scores([tmp_path], store=Store(tmp_path / "store"), panel=panel)
    (result,) = done.results
    assert (result.model, result.benchmark) == ("lab/chat-7b", "quiz choice accuracy")
    assert result.score == pytest.approx(score)
    assert result.stderr == pytest.approx(stderr, nan_ok=True)
    assert result.measured_at == "2025-10-20T23:12:04.000+00:00"


def test_every_eval_evers_unknown_level_is_left_out(panel: Panel, tmp_path: Path) -> None:
    record = theirs()
    record["evaluation_results"] += theirs(
        metric_config={"max_score": 100}, score_details={"score": -1}
    )["evaluation_results"]
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    done = import_scores([path], store=Store(tmp_path / "store"), panel=panel)
    assert [r.score for r in done.results] == [0.25]
    assert done.notes == (
        "left out: record.json: quiz choice accuracy is -1, which stands for no score",
    )


def named(record: dict[str, Any], **info: Any) -> dict[str, Any]:
    return record | {"model_info": {"name": "", "id": "", **info}}


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (theirs() | {"evaluation_results": 5}, "evaluation_results: Input should be a valid list"),
        (theirs(score_details={"uncertainty": {"num_samples": -1}, "score": 0.5}), "n_items: "),
        (named(theirs()), "it does not say which model it is about; say which: capspace import"),
        ('{"evaluation_results": "model_info"', "no mapping 'results'|not JSON"),
        ('{"evaluation_results": 1, "model_info": ', "not JSON"),
    ],
)
def test_a_record_that_is_none_is_refused_in_one_line(
    panel: Panel, tmp_path: Path, record: dict[str, Any] | str, why: str
) -> None:
    path = tmp_path / "record.json"
    path.write_text(record if isinstance(record, str) else json.dumps(record))
    with pytest.raises(ImportFileError, match=why) as caught:
        import_scores([path], store=Store(tmp_path / "store"), panel=panel)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("own", ["", "lab/chat"])
def test_a_given_model_goes_before_the_record_s(panel: Panel, tmp_path: Path, own: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(named(theirs(), id=own, additional_details={"revision": "abc"})))
    done = import_scores([path], store=Store(tmp_path / "store"), panel=panel, model="org/mine")
    assert [(r.model, r.revision) for r in done.results] == [("org/mine", "abc")]


def test_generation_settings_of_others_and_an_error_that_is_none(
    panel: Panel, tmp_path: Path
) -> None:
    record = theirs(score_details={"score": 0.5, "uncertainty": {"standard_error": {"value": -1}}})
    record["evaluation_results"][0]["generation_config"] = {"temperature": 0.5}
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    done = import_scores([path], store=Store(tmp_path / "store"), panel=panel)
    assert math.isnan(done.results[0].stderr)
    assert 'generation settings {"temperature": 0.5}' in done.results[0].protocol
    assert "left out: record.json: quiz choice: its standard error is -1" in done.notes

"""What is handed to others is whole, in their layout, and never outside the folder asked for."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from capspace.collect.errors import CollectError
from capspace.collect.exporting import EXPORT_FORMATS, export_scores
from capspace.collect.identity import canonical_json
from capspace.collect.result import Result
from capspace.collect.store import Store


def result(model: str, **changes: Any) -> Result:
    identity = {
        "harness": "lm-eval 0.4.13",
        "model": {"checkpoint": "sha256:1", "dtype": "float32", "chat_template": False},
        "metric": "acc_norm",
        "filter": "none",
        "limit": changes.pop("limit", None),
        "tasks": [{"name": "arc_challenge", "version": "1.0"}],
    }
    settings: dict[str, Any] = {
        "key": f"key{len(model)}{changes.get('benchmark', '')}".replace("-", ""),
        "model": model,
        "revision": "0" * 40,
        "benchmark": "ARC-C",
        "score": 0.5,
        "stderr": 0.01,
        "n_items": 100,
        "n_shot": 25,
        "protocol": "lm-eval 0.4.13 arc_challenge v1.0 acc_norm; hf float32",
        "source": "measured",
        "comparable": True,
        "identity": canonical_json(identity),
        "tasks": ({"task": "arc_challenge", "score": 0.5, "stderr": 0.01, "n_items": 100},),
        "measured_at": "2026-01-02T03:04:05.678+00:00",
    }
    return Result(**settings | changes)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_lm_eval_layout_with_samples_beside(store: Store, tmp_path: Path) -> None:
    store.put(result("org/model"), [{"task": "arc_challenge", "doc_id": 0, "acc_norm": 1.0}])
    out = tmp_path / "out"
    files = export_scores(store.results(), store=store, form="lm-eval", out=out)
    assert [f.relative_to(out).as_posix() for f in files] == [
        "org__model/samples_arc_challenge_2026-01-02T03-04-05.678000.jsonl",
        "org__model/results_2026-01-02T03-04-05.678000.json",
    ]
    told = json.loads(files[1].read_text())
    assert told["results"]["arc_challenge"]["acc_norm,none"] == 0.5
    assert told["n-shot"] == {"arc_challenge": 25}
    assert json.loads(files[0].read_text()) == {"doc_id": 0, "acc_norm": 1.0}


def test_limits_and_models_go_to_files_of_their_own(store: Store, tmp_path: Path) -> None:
    results = [result("a"), result("bb"), result("ccc", limit=5), result("ccc")]
    for form in ("lm-eval", "every-eval-ever"):
        files = export_scores(results, store=store, form=form, out=tmp_path / form)
        assert len(set(files)) == 4


def test_every_eval_ever_has_what_its_schema_requires(store: Store, tmp_path: Path) -> None:
    """Required fields and types of version 0.3.0; the records were also validated against it."""
    odd = result("m", benchmark="X", stderr=math.nan, n_items=None, n_shot=None)
    (file,) = export_scores([result("m"), odd], store=store, form="every-eval-ever", out=tmp_path)
    told = json.loads(file.read_text(), parse_constant=lambda text: pytest.fail(text))
    assert told.keys() >= {
        "schema_version",
        "evaluation_id",
        "retrieved_timestamp",
        "source_metadata",
        "model_info",
        "eval_library",
        "evaluation_results",
    }
    assert told["eval_library"] == {"name": "lm_eval", "version": "0.4.13"}
    assert told["source_metadata"]["source_type"] == "evaluation_run"
    details = told["model_info"]["additional_details"]
    assert details.keys() >= {"deployment_type", "model_availability"}
    assert all(isinstance(value, str) for value in details.values())
    first, second = told["evaluation_results"]
    assert first["score_details"]["score"] == 0.5
    assert first["score_details"]["uncertainty"] == {
        "standard_error": {"value": 0.01},
        "num_samples": 100,
    }
    assert "uncertainty" not in second["score_details"]
    for one in (first, second):
        assert one.keys() >= {"evaluation_name", "source_data", "metric_config", "score_details"}
        assert one["metric_config"]["lower_is_better"] is False
        assert all(isinstance(v, str) for v in one["score_details"]["details"].values())


@pytest.mark.parametrize("name", ["../../up", "/etc/passwd", "..", "a/../../b", "<img onerror=x>"])
def test_names_never_lead_out_of_the_folder(store: Store, tmp_path: Path, name: str) -> None:
    out = tmp_path / "inside" / "out"
    odd = result(name, tasks=({"task": f"../{name}", "score": 0, "stderr": 0, "n_items": 1},))
    store.put(odd, [{"task": f"../{name}", "doc_id": 0}])
    for form in ("lm-eval", "every-eval-ever"):
        for file in export_scores(store.results(), store=store, form=form, out=out / form):
            assert file.resolve().is_relative_to((out / form).resolve())
            assert file.is_file()


def test_what_cannot_be_done_is_one_line(store: Store, tmp_path: Path) -> None:
    with pytest.raises(CollectError, match="there are csv, parquet, lm-eval, every-eval-ever"):
        export_scores([result("m")], store=store, form="xml", out=tmp_path)
    with pytest.raises(CollectError, match="no scores to export"):
        export_scores([], store=store, form="csv", out=tmp_path / "a.csv")
    (tmp_path / "file").write_text("")
    for form in EXPORT_FORMATS:
        with pytest.raises(CollectError, match="cannot write"):
            export_scores([result("m")], store=store, form=form, out=tmp_path / "file" / "x")

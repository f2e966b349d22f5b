"""Records of Every Eval Ever that we write are valid by the project's own published package."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
import store_v010

from capspace.collect.exchange._eee_log import EvaluationLog
from capspace.collect.exchange.exporting import export_scores
from capspace.collect.storage.store import Store

WHY = "the schema's package is not installed: scripts/test_eee_schema does it (Python 3.12)"
eval_types = pytest.importorskip("every_eval_ever.eval_types", reason=WHY)
sample_types = pytest.importorskip("every_eval_ever.instance_level_types", reason=WHY)


def test_exported_records_and_samples_are_valid(tmp_path: Path) -> None:
    with Store(store_v010.restore(tmp_path / "store")) as store:
        results = store.results()
        paths = export_scores(results, store=store, form="every-eval-ever", out=tmp_path / "out")
    n_results = n_samples = 0
    for path in paths:
        if path.suffix == ".json":
            log = eval_types.EvaluationLog.model_validate_json(path.read_text())
            n_results += len(log.evaluation_results)
            continue
        for line in path.read_text().splitlines():
            sample_types.InstanceLevelEvaluationLog.model_validate_json(line)
            n_samples += 1
    assert n_results == len(results)
    assert n_samples == sum(r.n_items or 0 for r in results)


def test_the_schema_is_of_the_version_that_we_state() -> None:
    stated = EvaluationLog.model_fields["schema_version"].default
    schema = files("every_eval_ever.schemas") / "eval.schema.json"
    assert json.loads(schema.read_text())["version"] == stated

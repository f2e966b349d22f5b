"""What is handed to others is whole, in their layout, and never outside the folder asked for."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import Command, files_no_longer_than
from pydantic import ValidationError

from capspace.collect.errors import CollectError
from capspace.collect.exchange import _eee_log as eee
from capspace.collect.exchange.exporting import EXPORT_FORMATS, export_scores
from capspace.collect.storage.digests import canonical_json
from capspace.collect.storage.result import Result
from capspace.collect.storage.store import Store


def result(model: str, **changes: Any) -> Result:
    dtype = changes.pop("dtype", "float32")
    identity = {
        "harness": "lm-eval 0.4.13",
        "model": {"checkpoint": "sha256:1", "dtype": dtype, "chat_template": False},
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
    written = json.loads(files[1].read_text())
    assert written["results"]["arc_challenge"]["acc_norm,none"] == 0.5
    assert written["n-shot"] == {"arc_challenge": 25}
    assert json.loads(files[0].read_text()) == {"doc_id": 0, "acc_norm": 1.0}


def test_limits_and_models_go_to_files_of_their_own(store: Store, tmp_path: Path) -> None:
    results = [result("a"), result("bb"), result("ccc", limit=5), result("ccc")]
    for form in ("lm-eval", "every-eval-ever"):
        files = export_scores(results, store=store, form=form, out=tmp_path / form)
        assert len(set(files)) == 4


def odd_ones_out() -> list[Result]:
    """Return scores of one task of one model that differ in one thing each, scores included."""

    def scored(score: float, **changes: Any) -> Result:
        task = {"task": "arc_challenge", "score": score, "stderr": 0.01, "n_items": 100}
        return result(
            "m", key=f"key{score}".replace(".", ""), score=score, tasks=(task,), **changes
        )

    other = json.loads(result("m").identity)
    foreign = {"task": "arc_challenge", "metric": "acc_norm", "filter": "none", "version": "1.0"}

    def with_identity(**changes: Any) -> dict[str, str]:
        return {"identity": canonical_json({**other, **changes})}

    def imported(**changes: Any) -> dict[str, str]:
        return {"identity": canonical_json({"imported": "a", "scores": [{**foreign, **changes}]})}

    return [
        scored(0.1),
        scored(0.2, dtype="bfloat16"),
        scored(0.3, n_shot=0),
        scored(0.4, limit=5),
        scored(0.5, **with_identity(harness="lm-eval 0.4.12")),
        scored(0.6, **with_identity(seeds={"python": 7, "numpy": 7, "torch": 7, "fewshot": 7})),
        scored(0.7, **with_identity(tasks=[{"name": "arc_challenge", "version": "2.0"}])),
        scored(
            0.8, protocol="lm-eval 0.4.13 arc_challenge v1.0 acc_norm; hf float32; embedded items"
        ),
        scored(0.9, **imported()),
        scored(0.91, **imported(conditions=["limit 100"])),
        scored(0.92, **imported(harness="lm-eval 0.4.9")),
        scored(0.93, **imported(version="3.0")),
        scored(0.94, **imported(protocol="a paper's")),
        scored(0.95, **imported(), provenance={"backend": "hf", "dtype": "float16"}),
        scored(0.96, **with_identity(model={**other["model"], "adapter": "hub:a@b"})),
    ]


def test_lm_eval_layout_holds_every_score_under_its_own_conditions(
    store: Store, tmp_path: Path
) -> None:
    everything = odd_ones_out()
    files = export_scores(everything, store=store, form="lm-eval", out=tmp_path)
    assert len(set(files)) == len(everything)
    runs = {}
    for run in aggregates(files):
        ((_, metrics),) = run["results"].items()
        runs[metrics["acc_norm,none"]] = run
    assert runs.keys() == {r.score for r in everything}
    assert runs[0.1]["config"]["model_args"]["dtype"] == "float32"
    assert runs[0.2]["config"]["model_args"]["dtype"] == "bfloat16"
    assert [runs[s]["n-shot"]["arc_challenge"] for s in (0.1, 0.3)] == [25, 0]
    assert [runs[s]["config"]["limit"] for s in (0.1, 0.4)] == [None, 5]
    assert [runs[s]["lm_eval_version"] for s in (0.1, 0.5, 0.92)] == ["0.4.13", "0.4.12", "0.4.9"]
    assert runs[0.6]["config"]["fewshot_seed"] == 7
    versions = [runs[s]["versions"]["arc_challenge"] for s in (0.1, 0.7, 0.9, 0.93)]
    assert versions == ["1.0", "2.0", "1.0", "3.0"]
    conditions = [runs[s]["capspace"]["conditions"] for s in (0.1, 0.8, 0.91)]
    assert conditions == [[], ["embedded items"], ["limit 100"]]
    assert [runs[s]["capspace"]["protocol"] for s in (0.91, 0.94)] == ["", "a paper's"]
    assert runs[0.95]["config"]["model_args"]["dtype"] == "float16"


def test_every_eval_ever_labels_no_score_with_the_conditions_of_another(
    store: Store, tmp_path: Path
) -> None:
    everything = odd_ones_out()
    files = export_scores(everything, store=store, form="every-eval-ever", out=tmp_path)
    assert len(set(files)) == len(files)
    logs = {}
    for log in aggregates(files):
        for evaluation in log["evaluation_results"]:
            logs[evaluation["score_details"]["score"]] = log
    assert logs.keys() == {r.score for r in everything}
    details = {s: log["model_info"]["additional_details"] for s, log in logs.items()}
    assert [details[s]["dtype"] for s in (0.1, 0.2, 0.3, 0.95)] == [
        "float32",
        "bfloat16",
        "float32",
        "float16",
    ]
    assert "dtype" not in details[0.9]
    assert details[0.96]["adapter"] == "hub:a@b"
    assert [details[s].get("conditions") for s in (0.1, 0.91)] == [None, "limit 100"]
    kinds = {s: log["source_metadata"]["source_type"] for s, log in logs.items()}
    assert (kinds[0.1], kinds[0.9]) == ("evaluation_run", "documentation")
    versions = [logs[s]["eval_library"]["version"] for s in (0.1, 0.5, 0.9, 0.92)]
    assert versions == ["0.4.13", "0.4.12", "unknown", "0.4.9"]
    assert len({log["evaluation_id"] for log in aggregates(files)}) == len(aggregates(files))


def test_metrics_of_one_task_share_a_file_and_its_samples(store: Store, tmp_path: Path) -> None:
    identity = json.loads(result("m").identity) | {"metric": "acc"}
    both = [result("m"), result("m", key="other", identity=canonical_json(identity))]
    for each in both:
        store.put(each, [{"task": "arc_challenge", "doc_id": i} for i in range(2)])
    files = export_scores(both, store=store, form="lm-eval", out=tmp_path)
    assert len(files) == len(set(files)) == 2
    assert len(files[0].read_text().splitlines()) == 2
    assert json.loads(files[1].read_text())["results"]["arc_challenge"].keys() >= {
        "acc,none",
        "acc_norm,none",
    }


def test_tasks_with_one_file_name_go_to_files_of_their_own(store: Store, tmp_path: Path) -> None:
    names = ("a/b", "a__b", "c" * 400)
    for i, name in enumerate(names):
        task = {"task": name, "score": 0.5, "stderr": 0.0, "n_items": 1}
        store.put(result("m", key=f"key{i}", tasks=(task,)), [{"task": name, "doc_id": i}])
    files = export_scores(store.results(), store=store, form="lm-eval", out=tmp_path)
    samples = [f for f in files if f.suffix == ".jsonl"]
    assert {json.loads(f.read_text())["doc_id"] for f in samples} == {0, 1, 2}
    assert {task for aggregate in aggregates(files) for task in aggregate["results"]} == set(names)


def test_runs_of_one_moment_have_names_of_their_own(store: Store, tmp_path: Path) -> None:
    moment = "2026-12-31T23:59:59.999999+00:00"
    some = [result("m", measured_at=moment, limit=limit) for limit in (1, 2, 3)]
    files = export_scores(some, store=store, form="lm-eval", out=tmp_path)
    assert [f.stem for f in files] == [
        "results_2026-12-31T23-59-59.999999",
        "results_2027-01-01T00-00-00.000000",
        "results_2027-01-01T00-00-00.000001",
    ]


def test_unknown_format_is_told_before_a_store_is_opened(capspace: Command, tmp_path: Path) -> None:
    run = capspace("export", "--format", "nosuch", "--store", tmp_path / "store")
    assert run.code == 2
    assert "'nosuch' is not one of 'csv'" in run.err
    assert not (tmp_path / "store").exists()


def aggregates(files: list[Path]) -> list[Any]:
    return [
        json.loads(file.read_text(), parse_constant=lambda text: pytest.fail(text))
        for file in files
        if file.suffix == ".json"
    ]


def test_every_eval_ever_says_what_is_known(store: Store, tmp_path: Path) -> None:
    odd = result("m", benchmark="X", stderr=math.nan, n_items=None, n_shot=None)
    files = export_scores([result("m"), odd], store=store, form="every-eval-ever", out=tmp_path)
    (log,) = aggregates(files)
    assert log["eval_library"] == {"name": "lm_eval", "version": "0.4.13"}
    assert log["source_metadata"]["source_type"] == "evaluation_run"
    details = log["model_info"]["additional_details"]
    assert details.keys() >= {"deployment_type", "model_availability", "dtype"}
    first, second = log["evaluation_results"]
    assert first["score_details"]["score"] == 0.5
    assert first["score_details"]["uncertainty"] == {
        "standard_error": {"value": 0.01},
        "num_samples": 100,
    }
    assert "uncertainty" not in second["score_details"]
    assert "detailed_evaluation_results" not in log
    assert "null" not in files[0].read_text()


@pytest.mark.parametrize(
    ("metric", "score", "stated"),
    [
        ("acc_norm", 0.5, (False, "continuous", 0, 1)),
        ("exact_match", 40.0, (False, None, None, None)),  # in percent: not a share
        ("word_perplexity", 12.5, (True, "continuous", 1, "Infinity")),
        ("bits_per_byte", 0.9, (True, None, None, None)),
        ("bleu", 34.0, (False, None, None, None)),
        ("", 0.4, (False, None, None, None)),
    ],
)
def test_every_eval_ever_states_bounds_of_known_metrics_only(
    store: Store, tmp_path: Path, metric: str, score: float, stated: tuple[object, ...]
) -> None:
    identity = canonical_json({"imported": "abc", "scores": [{"metric": metric}]})
    foreign = result("org/m", score=score, identity=identity)
    files = export_scores([foreign], store=store, form="every-eval-ever", out=tmp_path)
    (log,) = aggregates(files)
    assert log["source_metadata"]["source_type"] == "documentation"
    config = log["evaluation_results"][0]["metric_config"]
    names = ("lower_is_better", "score_type", "min_score", "max_score")
    assert tuple(config.get(name) for name in names) == stated


def choice(doc: int, values: tuple[float, float], right: bool, **more: Any) -> dict[str, Any]:
    return {
        "task": "arc_challenge",
        "doc_id": doc,
        "arguments": [["Which?", " a long answer"], ["Which?", " b"]],
        "resps": [[[value, False]] for value in values],
        "filter": "none",
        "metrics": ["acc_norm"],
        "acc_norm": float(right),
        "target": 0,
        **more,
    }


def test_every_eval_ever_has_a_record_per_item_behind_a_score(store: Store, tmp_path: Path) -> None:
    store.put(
        result("org/model"),
        [
            choice(0, (-9.0, -2.0), True),
            choice(0, (-9.0, -2.0), False, filter="another filter"),
            choice(1, (-30.0, -1.5), False, target="half a \ud83d character"),
            choice(2, (-1.0, -2.0), True, acc_norm="not a number"),
            choice(3, (-1.0, -2.0), True, arguments=[], resps=[]),
        ],
    )
    files = export_scores(store.results(), store=store, form="every-eval-ever", out=tmp_path)
    lines, aggregate = files
    (log,) = aggregates(files)
    link = log["detailed_evaluation_results"]
    assert tmp_path / link["file_path"] == lines
    assert lines.name == f"{aggregate.stem}_samples.jsonl"
    assert link["checksum"] == hashlib.sha256(lines.read_bytes()).hexdigest()
    first, second = map(json.loads, lines.read_text().splitlines())
    assert link["total_rows"] == 2
    for record in (first, second):
        assert record["evaluation_id"] == log["evaluation_id"]
        assert (
            record["evaluation_result_id"] == log["evaluation_results"][0]["evaluation_result_id"]
        )
        assert record["model_id"] == log["model_info"]["id"]
        assert record["input"]["choices"] == [" a long answer", " b"]
    # The metric counts log-likelihood per character.
    assert first["answer_attribution"][0]["extracted_value"] == " a long answer"
    assert first["evaluation"] == {"score": 1.0, "is_correct": True}
    assert second["answer_attribution"][0]["extracted_value"] == " b"
    assert second["evaluation"] == {"score": 0.0, "is_correct": False}
    assert json.loads(second["metadata"]["log_likelihoods"]) == [-30.0, -1.5]
    again = export_scores(store.results(), store=store, form="every-eval-ever", out=tmp_path)
    assert again == files  # replaced, not piled up


def test_every_eval_ever_of_generated_text(store: Store, tmp_path: Path) -> None:
    sample = {
        "task": "gsm8k",
        "doc_id": 3,
        "arguments": [["1 + 1?", {"until": ["\n"]}]],
        "resps": [["It is 2."]],
        "filtered_resps": ["2"],
        "filter": "none",
        "metrics": ["acc_norm"],
        "acc_norm": 1.0,
        "target": "2",
    }
    store.put(result("m"), [sample])
    lines, _ = export_scores(store.results(), store=store, form="every-eval-ever", out=tmp_path)
    record = json.loads(lines.read_text())
    assert record["input"] == {"raw": "1 + 1?", "reference": ["2"]}
    assert record["output"] == {"raw": ["It is 2."]}
    assert record["answer_attribution"][0]["extracted_value"] == "2"
    assert record["sample_id"] == "gsm8k/3"


def valid() -> dict[str, Any]:
    """Return a record with every part that can be written."""
    log = eee.EvaluationLog(
        evaluation_id="a/b/1",
        evaluation_timestamp="2026-01-02",
        retrieved_timestamp="1",
        source_metadata=eee.SourceMetadata(
            source_name="s",
            source_type="evaluation_run",
            source_organization_name="o",
            evaluator_relationship="other",
        ),
        eval_library=eee.EvalLibrary(name="lm_eval", version="1"),
        model_info=eee.ModelInfo(
            name="m",
            id="m",
            additional_details=eee.AdditionalDetails(
                deployment_type="unknown", model_availability="unknown"
            ),
        ),
        evaluation_results=[
            eee.EvaluationResult(
                evaluation_result_id="k",
                evaluation_name="e",
                evaluation_timestamp="t",
                source_data=eee.SourceDataPrivate(dataset_name="d", additional_details={}),
                metric_config=eee.MetricConfig(
                    metric_name="acc",
                    lower_is_better=False,
                    score_type="continuous",
                    min_score=0.0,
                    max_score=1.0,
                    additional_details={},
                ),
                score_details=eee.ScoreDetails(
                    score=0.5,
                    details={},
                    uncertainty=eee.Uncertainty(
                        standard_error=eee.StandardError(value=0.1), num_samples=3
                    ),
                ),
            )
        ],
        detailed_evaluation_results=eee.DetailedEvaluationResults(
            file_path="data/c/d/m/8ad2fc8d-a1c3-4ff1-a970-35e786f8f5d2_samples.jsonl",
            checksum="0",
            total_rows=1,
        ),
    )
    document: dict[str, Any] = json.loads(log.to_json())
    return document


METRIC = "evaluation_results.0.metric_config"
SCORE = "evaluation_results.0.score_details"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("more", "x"),
        ("schema_version", "9"),
        ("evaluation_id", 1),
        ("evaluation_id", None),
        ("evaluation_results", {}),
        ("source_metadata.source_type", "leaderboard"),
        ("source_metadata.evaluator_relationship", "friend"),
        ("source_metadata.source_organization_name", None),
        ("eval_library.version", None),
        ("eval_library.more", "x"),
        ("model_info.additional_details.deployment_type", "cloud"),
        ("model_info.additional_details.model_availability", None),
        ("model_info.additional_details.layers", 12),
        ("evaluation_results.0.source_data.source_type", "url"),
        ("evaluation_results.0.source_data.additional_details", {"n": 1}),
        (f"{METRIC}.lower_is_better", None),
        (f"{METRIC}.lower_is_better", 0),
        (f"{METRIC}.score_type", "levels"),
        (f"{METRIC}.max_score", None),
        (f"{SCORE}.score", None),
        (f"{SCORE}.score", True),
        (f"{SCORE}.score", "0.5"),
        (f"{SCORE}.score", math.nan),
        (f"{SCORE}.details", {"n": 1}),
        (f"{SCORE}.uncertainty.num_samples", 0.5),
        (f"{SCORE}.uncertainty.standard_error", {}),
        (f"{SCORE}.uncertainty.standard_error.value", math.inf),
        ("detailed_evaluation_results.file_path", "m_samples.jsonl"),
        ("detailed_evaluation_results.total_rows", 0.5),
    ],
)
def test_record_that_the_schema_refuses_cannot_be_built(where: str, value: object) -> None:
    document = valid()
    eee.EvaluationLog.model_validate_json(json.dumps(document))
    *path, last = where.split(".")
    place: Any = document
    for name in path:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(ValidationError):
        eee.EvaluationLog.model_validate_json(json.dumps(document))


@pytest.mark.parametrize(
    "name", ["../../up", "/etc/passwd", "..", "a/../../b", "<img onerror=x>", "data/CON.x", "a/.."]
)
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
        out = tmp_path / "file" / f"x.{form}"
        with pytest.raises(CollectError, match="cannot write"):
            export_scores([result("m")], store=store, form=form, out=out)
    for form, name in (("parquet", "a.txt"), ("csv", "a.parquet"), ("csv", "a.json")):
        with pytest.raises(CollectError, match=rf"{name}: .* read"):
            export_scores([result("m")], store=store, form=form, out=tmp_path / name)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_that_cannot_be_written_whole_leaves_the_one_before(
    store: Store, tmp_path: Path, form: str
) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    out = tmp_path / f"scores.{form}"
    out.write_text("as before")
    results = [result(f"model-{i}") for i in range(20)]
    with files_no_longer_than(64), pytest.raises(CollectError, match="too large") as caught:
        export_scores(results, store=store, form=form, out=out)
    assert str(caught.value).startswith(f"cannot write {out}: ")
    assert out.read_text() == "as before"
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, "store"]


def test_a_table_goes_through_a_link_and_into_a_device(store: Store, tmp_path: Path) -> None:
    link, place = tmp_path / "link.csv", tmp_path / "place.csv"
    link.symlink_to(place)
    for out in (link, Path("/dev/null")):
        export_scores([result("m")], store=store, form="csv", out=out)
    assert link.is_symlink()
    assert place.read_text().startswith("model,")
    assert Path("/dev/null").is_char_device()


def test_export_says_what_scores_says_of_a_name_without_any(
    capspace: Command, store: Store, tmp_path: Path
) -> None:
    store.put(result("org/model"), [])
    out, where = tmp_path / "out.csv", ("--store", store.path)
    line = capspace.refused("export", "org/modle", *where, "--out", out)
    assert line == capspace.refused("scores", "org/modle", *where)
    assert line.endswith("has no scores of 'org/modle'; did you mean 'org/model'?")
    assert not out.exists()
    assert capspace("export", *where, "--out", out).out == f"1 score in 1 file: {out}\n"


def in_mode(thinking: str | None, **changes: Any) -> Result:
    """Return a score of a served model, by its chat template or in plain mode."""
    settings = [] if thinking is None else [["thinking", f'"{thinking}"']]
    model = {
        "checkpoint": "endpoint:http://h/v1#m", "dtype": "", "chat_template": thinking is not None,
        "backend": "endpoint", "backend_settings": settings,
    }  # fmt: skip
    first = result("org/m")
    return result(
        "org/m", key=f"key{thinking}", protocol=f"mode {thinking}",
        identity=canonical_json({**json.loads(first.identity), "model": model}), **changes,
    )  # fmt: skip


def exported_names(store: Store, results: list[Result], out: Path) -> dict[str, set[str]]:
    """Return by format the models that an export names."""
    names = {}
    export_scores(results, store=store, form="csv", out=out.with_suffix(".csv"))
    rows = csv.DictReader(out.with_suffix(".csv").read_text().splitlines())
    names["csv"] = {row["model"] for row in rows}
    for form in ("lm-eval", "every-eval-ever"):
        files = export_scores(results, store=store, form=form, out=out / form)
        assert len(set(files)) == len(results)
        models = [log.get("model_info", {}).get("name", log.get("model_name")) for log in
                  aggregates(files)]  # fmt: skip
        names[form] = set(models)
    return names


def test_every_format_names_a_models_mode(store: Store, tmp_path: Path) -> None:
    every = [in_mode(mode) for mode in (None, "off", "on")]
    for form, names in exported_names(store, every, tmp_path / "all").items():
        assert names == {"org/m", "org/m (chat)", "org/m (thinking)"}, form
    # Alone, too: another file may hold the other mode.
    for form, names in exported_names(store, every[2:], tmp_path / "one").items():
        assert names == {"org/m (thinking)"}, form
    for names in exported_names(store, every[1:2], tmp_path / "chat").values():
        assert names == {"org/m"}
    from capspace.fit import read_table

    table = read_table(tmp_path / "all.csv")
    assert table.models["mode"].to_dict() == {
        "org/m": "", "org/m (chat)": "chat", "org/m (thinking)": "thinking",
    }  # fmt: skip
    assert set(store.to_table(every[:2]).scores["model"]) == {"org/m", "org/m (chat)"}
    other = in_mode("off", benchmark="MMLU")  # which stands beside a score in plain mode
    assert set(store.to_table([every[0], other]).scores["model"]) == {"org/m"}


def test_parquet_without_its_library_is_one_line(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, name, None)
    out = tmp_path / "scores.parquet"
    with pytest.raises(CollectError, match=r"needs pyarrow: pip install 'capspace\[parquet\]'"):
        export_scores([result("org/m")], store=store, form="parquet", out=out)
    assert not out.exists()

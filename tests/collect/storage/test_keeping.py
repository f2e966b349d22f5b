"""What is kept can be looked at, checked and removed, and holds no secret."""

import gzip
import json
import os
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Command
from store_parts import RESULT, SAMPLES

from capspace.collect.storage.journal import Failure, Journal
from capspace.collect.storage.result import Missing
from capspace.collect.storage.store import Store

SECRET = "hf_" + "S3cretThatMustNotBeKept" * 2


@pytest.fixture
def store(
    capspace: Command, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A store with two scores, measured with a token in the environment."""
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("MY_PASSWORD", SECRET)
    panel = tmp_path / "panel.yaml"
    panel.write_text(
        "name: two\nversion: 1\ndescription: two\nbenchmarks:\n"
        "- {name: Winogrande, tasks: [winogrande], folder: winogrande, n_shot: 1, metric: acc,"
        " chance: 0.5, source: here}\n"
        "- {name: GSM8K, tasks: [gsm8k], folder: gsm8k, n_shot: 1, metric: exact_match,"
        " filter: strict-match, chance: 0, source: here}\n"
    )
    path = tmp_path / "store"
    run = capspace(
        "collect", tiny_checkpoint, "--panel", panel, "--data-root", "embedded", "--limit", "2",
        "--store", path,
    )  # fmt: skip
    assert run.code == 0, run.err
    return path


@pytest.mark.slow
def test_a_receipt_shows_identity_prompts_answers_and_log_likelihoods(
    capspace: Command, store: Path
) -> None:
    ask = ("scores", "--store", store, "--receipt", "tiny-llama")
    (shown,) = json.loads(capspace(*ask, "Winogrande", "--json").out)
    assert shown["n_items"] == 2
    assert shown["result"]["identity"]["model"]["checkpoint"].startswith("sha256:")
    for item in shown["items"]:
        assert len(item["answers"]) == len(item["log_likelihoods"]) == 2
        assert item["answers"][0] != item["answers"][1]
        assert item["prompt"]
    mean = sum(item["metrics"]["acc"] for item in shown["items"]) / 2
    assert mean == shown["result"]["score"]

    (page,) = json.loads(capspace(*ask, "GSM8K", "--first", "1", "--count", "1", "--json").out)
    (item,) = page["items"]
    assert item["item"] == 1
    assert item["log_likelihoods"] is None
    assert page["n_items"] == 2  # of the filter that the score is of, not of both
    assert item["metrics"] == {"exact_match": 0.0}
    assert "GSM8K" in capspace(*ask, "GSM8K").out
    assert "'Winogrande'" in capspace.refused(*ask, "Winogrnde")


@pytest.mark.slow
def test_info_check_compact_and_remove(capspace: Command, store: Path) -> None:
    of = ("--store", store)
    info = json.loads(capspace("store", "info", *of, "--json").out)
    assert info["n_results"] == {"tiny-llama": 2}
    assert info["n_responses"] == {"tiny-llama": 6}  # two items of two choices, and two texts
    assert capspace("store", "check", *of).out == "everything is intact\n"
    assert capspace("store", "compact", *of).code == 0

    (samples, *_) = sorted((store / "samples").iterdir())
    whole = samples.read_bytes()
    samples.write_bytes(whole[: len(whole) // 2])
    run = capspace("store", "check", *of)
    assert run.code == 1
    assert samples.name in run.out
    samples.write_bytes(whole)

    assert "removed 1 score and 0 responses" in capspace(
        "store", "remove", "tiny-llama", "--benchmark", "GSM8K", *of
    ).out  # fmt: skip
    assert "removed 1 score and 6 responses" in capspace("store", "remove", "tiny-llama", *of).out
    info = json.loads(capspace("store", "info", *of, "--json").out)
    assert info["n_results"] == info["n_responses"] == {}
    assert "'tiny-llama'" in capspace.refused("store", "remove", "tiny-llama", *of)


@pytest.mark.slow
def test_answers_without_a_score_are_removed_by_their_checkpoint(
    capspace: Command, store: Path
) -> None:
    of = ("--store", store)
    with Journal(store / "journal") as journal:
        journal.append(
            "another identity",
            "loglikelihood",
            [bytes(16)],
            [(-1.0, True)],
            description={"model": {"checkpoint": "hub:org/model@0123"}},
        )
    info = json.loads(capspace("store", "info", *of, "--json").out)
    assert info["n_responses"] == {"tiny-llama": 6, "hub:org/model@0123": 1}
    run = capspace("store", "remove", "hub:org/model@0123", *of)
    assert "removed 0 scores and 1 response" in run.out
    info = json.loads(capspace("store", "info", *of, "--json").out)
    assert info["n_responses"] == {"tiny-llama": 6}
    assert info["n_results"] == {"tiny-llama": 2}


@pytest.mark.slow
def test_no_secret_of_the_environment_is_kept(
    capspace: Command, store: Path, tmp_path: Path
) -> None:
    out = capspace("scores", "--store", store, "--receipt", "tiny-llama", "Winogrande").out
    assert SECRET not in out
    files = [p for p in store.rglob("*") if p.is_file()]
    assert len(files) >= 4
    for path in files:
        raw = path.read_bytes()
        text = gzip.decompress(raw) if path.suffix == ".gz" else raw
        assert SECRET.encode() not in text, path
    with sqlite3.connect(store / "store.sqlite") as db:
        assert SECRET not in "".join(db.iterdump())


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A store with a score of each of two models."""
    path = tmp_path / "kept"
    with Store(path) as store:
        store.put(replace(RESULT, n_items=2), SAMPLES)
        store.put(replace(RESULT, n_items=2, key="b" * 64, model="org/other"), SAMPLES)
    return path


def test_a_damaged_score_is_told_left_out_and_removed(capspace: Command, filled: Path) -> None:
    of = ("--store", filled)
    with sqlite3.connect(filled / "store.sqlite") as db:
        db.execute("UPDATE results SET identity = '{' WHERE model = 'org/model'")
    db.close()
    run = capspace("store", "check", *of)
    assert run.code == 1
    (line,) = run.out.splitlines()
    assert "the score of 'org/model' on 'ARC-C' is damaged" in line
    assert "'capspace store remove aaaaaaaaaaaa'" in line
    shown = capspace("scores", *of, "--json")
    assert [r["model"] for r in json.loads(shown.out)["results"]] == ["org/other"]
    assert json.loads(capspace("store", "info", *of, "--json").out)["n_results"] == {"org/other": 1}
    assert capspace("scores", *of, "--receipt", "org/other", "ARC-C").code == 0
    assert capspace("export", *of, "--out", filled.parent / "scores.csv").code == 0
    assert "removed 1 score" in capspace("store", "remove", "aaaaaaaaaaaa", *of).out
    info = json.loads(capspace("store", "info", *of, "--json").out)
    assert info["n_results"] == {"org/other": 1}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("org/modle",), "has nothing of 'org/modle'; did you mean 'org/model'"),
        (("org/modle", "--benchmark", "ARC-C"), "of 'org/modle'; did you mean 'org/model'"),
        (("org/model", "--benchmark", "arc"), "of 'org/model' on 'arc'; did you mean 'ARC-C'?"),
        (("org/model", "--benchmark", "X"), "has nothing of 'org/model' on 'X'; it has ARC-C"),
    ],
)
def test_what_the_store_does_not_have_is_met_with_what_is_near(
    capspace: Command, filled: Path, words: tuple[str, ...], line: str
) -> None:
    assert line in capspace.refused("store", "remove", *words, "--store", filled)


def test_a_model_that_only_failed_is_removed(capspace: Command, filled: Path) -> None:
    of = ("--store", filled)
    with Store(filled) as store:
        for benchmark in ("MMLU", "GSM8K"):
            store.put_failure(Missing("org/broken", benchmark, "it does not load"))
        store.put_failure(Missing("org/other", "GSM8K", "out of memory", revision="r"))
    assert "'org/broken'" in capspace.refused("store", "remove", "org/broke", *of)
    run = capspace("store", "remove", "org/broken", "--benchmark", "MMLU", *of)
    assert run.out == "removed 0 scores and 0 responses, and 1 failure\n"
    assert capspace("store", "remove", "org/broken", *of).code == 0
    assert capspace("store", "remove", "org/other", *of).code == 0
    shown = json.loads(capspace("scores", *of, "--json").out)
    assert shown["failures"] == []
    assert [r["model"] for r in shown["results"]] == ["org/model"]


def test_requests_without_an_answer_are_counted_and_removed(
    capspace: Command, filled: Path
) -> None:
    of = ("--store", filled)
    with Journal(filled / "journal") as journal:
        for n, length in enumerate((70, 12_040, 800)):
            journal.record_failure(
                Failure("ab" * 32, bytes([n]) * 16, 1.0, "quiz", n, length, "out of memory")
            )
    assert "3 requests got no response; the longest has 12,040 characters" in (
        capspace("store", "info", *of).out
    )
    info = json.loads(capspace("store", "info", *of, "--json").out)
    assert (info["n_without_response"], info["longest_without_response"]) == (3, 12_040)
    assert info["n_responses"] == {"abababababab": 0}
    former = ("n_answers", "n_unanswered", "longest_unanswered")  # as in 0.1.0
    assert [info[name] for name in former] == [{"abababababab": 0}, 3, 12_040]
    assert capspace("store", "remove", "abababababab", *of).code == 0
    assert json.loads(capspace("store", "info", *of, "--json").out)["n_without_response"] == 0


def test_what_stopped_runs_left_behind_is_told_and_deleted(capspace: Command, filled: Path) -> None:
    of, samples = ("--store", filled), filled / "samples"
    for name in ("orphan", "young", "inzoo"):
        (samples / f"{name}.jsonl.gz").touch()
    (samples / ".half.jsonl.gz.1234.part").touch()
    cells = filled / "zoo" / "mine" / "cells"
    cells.mkdir(parents=True)
    (cells / "inzoo.json").touch()
    long_ago = time.time() - 7200
    for path in samples.iterdir():
        if "young" not in path.name:
            os.utime(path, (long_ago, long_ago))
    run = capspace("store", "check", *of)
    assert run.code == 1
    assert [Path(line.split(": ")[0]).name for line in run.out.splitlines()] == [
        ".half.jsonl.gz.1234.part",
        "orphan.jsonl.gz",
    ]
    assert "'capspace store compact' deletes it" in run.out
    assert capspace("store", "compact", *of).code == 0
    assert capspace("store", "check", *of).out == "everything is intact\n"
    left = {p.name.split(".")[0] for p in samples.iterdir()}
    assert left == {"a" * 64, "b" * 64, "inzoo", "young"}


def test_damaged_answers_are_no_problem_for_ever(capspace: Command, filled: Path) -> None:
    of = ("--store", filled)
    with Journal(filled / "journal") as journal:
        journal.append("model", "loglikelihood", [bytes(16)], [(-1.0, True)])
    (shard,) = (filled / "journal").glob("sealed-*.sqlite")
    data = bytearray(shard.read_bytes())
    data[-200] ^= 1
    shard.write_bytes(data)
    capspace("store", "info", *of)  # reading the answers puts the file aside
    run = capspace("store", "check", *of)
    assert (run.code, "'capspace store compact' deletes it" in run.out) == (1, True)
    assert capspace("store", "compact", *of).code == 0
    assert capspace("store", "check", *of).code == 0


@pytest.mark.parametrize(
    "record",
    [
        [1, 2],
        {"doc_id": 0, "arguments": [[]], "resps": [["a"]]},
        {"doc_id": 0, "arguments": [["p", "a"]], "resps": [[["no number"]]]},
        {"doc_id": None},
        {"doc_id": 0, "arguments": 7, "resps": [["a"]]},
        {"doc_id": 0, "metrics": 7},
    ],
)
def test_samples_of_another_shape_are_one_line(
    capspace: Command, filled: Path, record: object
) -> None:
    path = filled / "samples" / f"{RESULT.key}.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"doc_id": 0}\n' + json.dumps(record).encode() + b"\n"))
    line = capspace.refused("scores", "--store", filled, "--receipt", "org/model", "ARC-C")
    assert f"{path}: " in line
    assert "line 2 is" in line


def test_nothing_is_removed_of_a_model_that_is_being_measured(
    capspace: Command, filled: Path
) -> None:
    model = "hub:org/model@0123"
    asked = ("store", "remove", model, "--store", filled)
    with Journal(filled / "journal") as run:
        run.append(
            "its identity",
            "loglikelihood",
            [bytes(16)],
            [(-1.0, True)],
            description={"model": {"checkpoint": model}},
        )
        assert "a run is still writing responses that are to be removed" in capspace.refused(*asked)
        assert run.known("its identity") == {bytes(16): (-1.0, True)}
    assert "removed 0 scores and 1 response" in capspace(*asked).out

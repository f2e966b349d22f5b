"""What is kept can be looked at, checked and removed, and holds no secret."""

import gzip
import json
import sqlite3
from pathlib import Path

import pytest
from commands import Command

from capspace.collect.journal import Journal

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
    said = capspace(
        "collect", tiny_checkpoint, "--panel", panel, "--data-root", "embedded", "--limit", "2",
        "--store", path,
    )  # fmt: skip
    assert said.code == 0, said.err
    return path


def test_a_receipt_shows_identity_prompts_answers_and_log_likelihoods(
    capspace: Command, store: Path
) -> None:
    ask = ("scores", "--store", store, "--receipt", "tiny-llama")
    (found,) = json.loads(capspace(*ask, "Winogrande", "--json").out)
    assert found["n_items"] == 2
    assert found["result"]["identity"]["model"]["checkpoint"].startswith("sha256:")
    for item in found["items"]:
        assert len(item["answers"]) == len(item["log_likelihoods"]) == 2
        assert item["answers"][0] != item["answers"][1]
        assert item["prompt"]
    mean = sum(item["metrics"]["acc"] for item in found["items"]) / 2
    assert mean == found["result"]["score"]

    (page,) = json.loads(capspace(*ask, "GSM8K", "--first", "1", "--count", "1", "--json").out)
    (item,) = page["items"]
    assert item["item"] == 1
    assert item["log_likelihoods"] is None
    assert page["n_items"] == 2  # of the filter that the score is of, not of both
    assert item["metrics"] == {"exact_match": 0.0}
    assert "GSM8K" in capspace(*ask, "GSM8K").out
    assert "'Winogrande'" in capspace.refused(*ask, "Winogrnde")


def test_info_check_compact_and_remove(capspace: Command, store: Path) -> None:
    of = ("--store", store)
    info = json.loads(capspace("store", "info", *of, "--json").out)
    assert info["n_results"] == {"tiny-llama": 2}
    assert info["n_answers"] == {"tiny-llama": 6}  # two items of two choices, and two texts
    assert capspace("store", "check", *of).out == "everything is whole\n"
    assert capspace("store", "compact", *of).code == 0

    (samples, *_) = sorted((store / "samples").iterdir())
    whole = samples.read_bytes()
    samples.write_bytes(whole[: len(whole) // 2])
    said = capspace("store", "check", *of)
    assert said.code == 1
    assert samples.name in said.out
    samples.write_bytes(whole)

    assert "removed 1 scores and 0 answers" in capspace(
        "store", "remove", "tiny-llama", "--benchmark", "GSM8K", *of
    ).out  # fmt: skip
    assert "removed 1 scores and 6 answers" in capspace("store", "remove", "tiny-llama", *of).out
    info = json.loads(capspace("store", "info", *of, "--json").out)
    assert info["n_results"] == info["n_answers"] == {}
    assert "'tiny-llama'" in capspace.refused("store", "remove", "tiny-llama", *of)


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
    assert info["n_answers"] == {"tiny-llama": 6, "hub:org/model@0123": 1}
    said = capspace("store", "remove", "hub:org/model@0123", *of)
    assert "removed 0 scores and 1 answers" in said.out
    info = json.loads(capspace("store", "info", *of, "--json").out)
    assert info["n_answers"] == {"tiny-llama": 6}
    assert info["n_results"] == {"tiny-llama": 2}


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

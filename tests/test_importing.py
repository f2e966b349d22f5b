"""Scores of others come in under the panel's names only where the protocol is the panel's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytest.importorskip("lm_eval", reason="import compares with the installed lm-eval's tasks")

from capspace.collect.errors import ImportFileError
from capspace.collect.exporting import export_scores
from capspace.collect.harness import harness_version
from capspace.collect.importing import Imported, import_scores
from capspace.collect.receipt import receipt
from capspace.collect.store import Store
from capspace.tasks.panel import Panel, load_panel

RESULTS = Path(__file__).parents[1] / "../shared/data/results"


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load_panel("classic-8").select(["ARC-C", "GSM8K", "XWinograd"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def lm_eval_file(folder: Path, **changes: Any) -> Path:
    """Write a file as lm-eval 0.4 does."""
    told: dict[str, Any] = {
        "results": {
            "arc_challenge": {
                "alias": "arc_challenge",
                "sample_len": 1172,
                "acc,none": 0.40,
                "acc_stderr,none": 0.014,
                "acc_norm,none": 0.44,
                "acc_norm_stderr,none": 0.0145,
            }
        },
        "group_subtasks": {},
        "versions": {"arc_challenge": 1.0},
        "n-shot": {"arc_challenge": 25},
        "n-samples": {"arc_challenge": {"original": 1172, "effective": 1172}},
        "config": {"model": "hf", "model_args": "pretrained=org/model,revision=abc", "limit": None},
        "lm_eval_version": "0.4.9",
        "model_name": "org/model",
        "chat_template": None,
    }
    told |= changes
    path = folder / "results_2026-01-02T03-04-05.678901.json"
    path.write_text(json.dumps(told))
    return path


def bring(store: Store, panel: Panel, *paths: Path) -> Imported:
    return import_scores(list(paths), store=store, panel=panel)


def names(done: Imported) -> list[str]:
    return [r.benchmark for r in done.results]


def test_same_protocol_gets_the_panels_name_and_its_samples(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    path = lm_eval_file(tmp_path)
    sample = {
        "doc_id": 3,
        "target": 1,
        "arguments": {"gen_args_0": {"arg_0": "Q:", "arg_1": " a"}},
        "resps": [[["-1.5", "True"]]],
        "metrics": ["acc_norm"],
        "acc_norm": 1.0,
    }
    beside = tmp_path / "samples_arc_challenge_2026-01-02T03-04-05.678901.jsonl"
    beside.write_text(json.dumps(sample) + "\n")
    done = bring(store, panel, path)
    assert names(done) == ["ARC-C", "arc_challenge acc"]
    first = done.results[0]
    assert (first.model, first.revision, first.score) == ("org/model", "abc", 0.44)
    assert (first.n_items, first.n_shot, first.stderr) == (1172, 25, 0.0145)
    assert first.comparable
    assert done.notes == ()
    (told,) = receipt(store, "org/model", "ARC-C")
    assert told.items[0].prompt == "Q:"
    assert told.items[0].log_likelihoods == (-1.5,)
    assert told.items[0].metrics == {"acc_norm": 1.0}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"n-shot": {"arc_challenge": 0}}, "shots 0, not 25"),
        ({"versions": {"arc_challenge": 0}}, "task version 0, not 1.0"),
        ({"versions": {}}, "task version not stated"),
        ({"config": {"model_args": "pretrained=org/model", "limit": 100.0}}, "limit 100"),
        ({"chat_template": "{{ messages }}"}, "chat template"),
        ({"results": {"arc_challenge": {"acc,none": 0.4}}}, "metric acc, not acc_norm"),
        (
            {"results": {"arc_challenge": {"acc_norm,first": 0.4}}},
            "filter first, not none",
        ),
        ({"capspace": {"conditions": ["embedded items"]}}, "embedded items"),
    ],
)
def test_any_difference_keeps_a_score_apart_and_is_said(
    store: Store, panel: Panel, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    done = bring(store, panel, lm_eval_file(tmp_path, **changes))
    assert "ARC-C" not in names(done)
    assert all(name.startswith("arc_challenge acc") for name in names(done))
    assert not any(r.comparable for r in done.results)
    assert any(why in note for note in done.notes), done.notes


def test_group_of_tasks_is_averaged_only_when_it_is_whole(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    languages = ("en", "fr", "jp", "pt", "ru", "zh")
    tasks = [f"xwinograd_{language}" for language in languages]

    def told(own: list[str]) -> dict[str, Any]:
        return {
            "results": {t: {"acc,none": 0.5 + i / 100} for i, t in enumerate(own)},
            "versions": dict.fromkeys(own, 1.0),
            "n-shot": dict.fromkeys(own, 0),
            "n-samples": {t: {"effective": 10} for t in own},
        }

    done = bring(store, panel, lm_eval_file(tmp_path, **told(tasks)))
    assert names(done) == ["XWinograd"]
    assert done.results[0].score == pytest.approx(0.525)
    assert done.results[0].n_items == 60
    done = bring(store, panel, lm_eval_file(tmp_path, **told(tasks[1:])))
    assert "XWinograd" not in names(done)
    assert "5 of 6 tasks are there" in done.notes[0]


def test_old_lm_eval_and_leaderboard_files_keep_their_own_names(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    old = tmp_path / "old.json"
    old.write_text(
        json.dumps(
            {
                "results": {"arc_challenge": {"acc": 0.3, "acc_stderr": 0.01, "acc_norm": 0.33}},
                "versions": {"arc_challenge": 0},
                "config": {"model_args": "pretrained=org/old", "num_fewshot": 25},
            }
        )
    )
    board = tmp_path / "board.json"
    board.write_text(
        json.dumps(
            {
                "config_general": {"model_name": "org/board", "model_sha": "def"},
                "results": {
                    "harness|arc:challenge|25": {"acc_norm": 0.5, "acc_norm_stderr": 0.02},
                    "all": {"acc_norm": 0.5},
                },
                "versions": {"harness|arc:challenge|25": 0},
            }
        )
    )
    done = bring(store, panel, old, board)
    assert names(done) == ["arc_challenge acc", "arc_challenge acc_norm", "arc:challenge acc_norm"]
    assert [r.n_shot for r in done.results] == [25, 25, 25]
    assert done.results[2].model == "org/board"
    assert "task version 0, not 1.0" in done.notes[0]


def test_table_without_a_protocol_is_not_mixed_in(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    wide = tmp_path / "wide.csv"
    wide.write_text("Model,ARC-C,AgentBench\na,0.5,0.1\nb,0.6,0.2\n")
    done = bring(store, panel, wide)
    assert sorted(set(names(done))) == ["ARC-C (imported)", "AgentBench"]
    assert "the file does not state its protocol" in done.notes[0]
    assert store.to_table().wide().loc["b", "AgentBench"] == 0.2
    assert all(r.n_items is None and r.n_shot is None for r in store.results())


def test_our_own_export_comes_back_as_it_was(store: Store, panel: Panel, tmp_path: Path) -> None:
    words = f"{harness_version()} arc_challenge v1.0 acc_norm; hf bfloat16"
    table = pd.DataFrame(
        {"model": ["m", "m"], "benchmark": ["ARC-C", "GSM8K"], "score": [0.5, 0.25]}
    ).assign(n_shot=[25, 5], protocol=[words, f"{words}; limit 20"])
    table.to_csv(tmp_path / "table.csv", index=False)
    assert names(bring(store, panel, tmp_path / "table.csv")) == ["ARC-C", "GSM8K (imported)"]


def test_sources_that_contradict_each_other_are_left_out_and_named(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    tidy = tmp_path / "tidy.csv"
    tidy.write_text(
        "model,benchmark,metric,value,step,num_fewshot\n"
        "a,piqa,acc,0.5,10,0\na,piqa,acc,0.6,10,0\na,piqa,acc,0.7,20,0\n"
    )
    done = bring(store, panel, tidy)
    assert [(r.revision, r.score) for r in done.results] == [("step 20", 0.7)]
    assert "left out: a step 10 piqa acc is both 0.5 and 0.6" in done.notes[0]
    again = tmp_path / "again.csv"
    again.write_text("model,benchmark,metric,value,step,num_fewshot\na,piqa,acc,0.71,20,0\n")
    assert "is both 0.7 and 0.71" in bring(store, panel, again).notes[0]
    assert [r.score for r in store.results()] == [0.7]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.json", "{", "not JSON"),
        ("a.json", "[]", "no mapping 'results'"),
        ("a.json", '{"results": {"t": {"acc": 1}}}', "which model"),
        ("a.json", '{"results": {}, "model_name": "m"}', "no scores"),
        (
            "a.json",
            '{"results": {"t": {"acc": NaN}}, "model_name": "m"}',
            "t: acc is nan, which is no score",
        ),
        ("a.csv", "", "neither lm-eval's JSON nor a table"),
        ("a.csv", "x,y\n1,2\n", "a.csv"),
    ],
)
def test_file_that_is_none_of_these_is_refused_in_one_line(
    store: Store, panel: Panel, tmp_path: Path, name: str, text: str, why: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ImportFileError, match=why) as caught:
        bring(store, panel, path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    with pytest.raises(ImportFileError, match="no such file"):
        bring(store, panel, tmp_path / "nowhere.json")
    assert store.results() == []


def test_import_again_changes_nothing(store: Store, panel: Panel, tmp_path: Path) -> None:
    path = lm_eval_file(tmp_path)
    bring(store, panel, path)
    before = [(r.key, r.score) for r in store.results()]
    assert names(bring(store, panel, path)) == ["ARC-C", "arc_challenge acc"]
    assert [(r.key, r.score) for r in store.results()] == before


@pytest.mark.skipif(not RESULTS.is_dir(), reason="the shared data is not beside this checkout")
def test_pythias_published_results(store: Store, panel: Panel, tmp_path: Path) -> None:
    whole = pd.read_csv(RESULTS / "pythia_evals_tidy.csv.gz")
    last = whole[(whole["step"] == 143000) & (whole["version"] == "pythia-v1")]
    last.to_csv(tmp_path / "pythia.csv", index=False)
    done = bring(store, panel, tmp_path / "pythia.csv")
    assert "ARC-C" not in names(done)  # 0 and 5 shots, and no task versions
    assert any("shots 0, not 25" in note for note in done.notes)
    left_out = sum(note.startswith("left out") for note in done.notes)
    assert len(done.results) >= len(last) - 2 * left_out - last["value"].isna().sum() - 200
    assert len(store.to_table()) > 0.9 * len(done.results)  # rows that agree become one
    row = last[(last["model"] == "pythia-70m") & (last["benchmark"] == "lambada_openai")].iloc[0]
    own = [r for r in store.results(model="pythia-70m") if r.score == row["value"]]
    assert [(r.benchmark, r.n_shot) for r in own] == [
        (f"lambada_openai {row['metric']}", row["num_fewshot"])
    ]


@pytest.mark.parametrize("form", ["csv", "parquet", "lm-eval"])
def test_export_and_import_give_the_same_scores(
    store: Store, panel: Panel, tmp_path: Path, form: str
) -> None:
    bring(store, panel, lm_eval_file(tmp_path))
    out = tmp_path / f"out.{form}"
    export_scores(store.results(), store=store, form=form, out=out)
    other = Store(tmp_path / "other")
    done = bring(other, panel, out)
    scores = {r.score for r in store.results()}
    assert {r.score for r in done.results} == scores
    assert {r.model for r in done.results} == {"org/model"}

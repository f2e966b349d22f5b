"""Scores of others come in under the panel's names only where the protocol is the panel's."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from checkout import SHARED
from commands import Command

pytest.importorskip("lm_eval", reason="import compares with the installed lm-eval's tasks")

from capspace.collect.errors import ImportFileError, StoreError
from capspace.collect.exchange import importing
from capspace.collect.exchange.exporting import export_scores
from capspace.collect.exchange.external_samples import read_external_samples
from capspace.collect.exchange.importing import Imported, import_scores
from capspace.collect.harness.version import harness_version
from capspace.collect.storage._receipt import receipt
from capspace.collect.storage.samples import write_samples
from capspace.collect.storage.store import Store
from capspace.tasks.panel import Panel, load_panel

RESULTS = SHARED / "results"


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load_panel("classic-8").select(["ARC-C", "GSM8K", "XWinograd"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def lm_eval_file(folder: Path, **changes: Any) -> Path:
    """Write a file as lm-eval 0.4 does."""
    content: dict[str, Any] = {
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
    content |= changes
    path = folder / "results_2026-01-02T03-04-05.678901.json"
    path.write_text(json.dumps(content))
    return path


def arguments(more: str) -> dict[str, Any]:
    return {"config": {"model": "hf", "model_args": f"pretrained=org/model,{more}"}}


def seeds(**other: int | None) -> dict[str, Any]:
    usual = {"random_seed": 0, "numpy_seed": 1234, "torch_seed": 1234, "fewshot_seed": 1234}
    return {"config": {"model_args": {"pretrained": "org/model"}, **usual, **other}}


def bring(store: Store, panel: Panel, *paths: Path) -> Imported:
    return import_scores(list(paths), store=store, panel=panel)


def names(done: Imported) -> list[str]:
    return [r.benchmark for r in done.results]


def test_same_protocol_gets_the_panels_name_and_its_samples(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    scores = {"acc,none": 0.40, "acc_norm,none": 1.0, "acc_norm_stderr,none": 0.0145}
    n_items = {"arc_challenge": {"original": 1, "effective": 1}}
    path = lm_eval_file(tmp_path, results={"arc_challenge": scores}, **{"n-samples": n_items})
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
    assert (first.model, first.revision, first.score) == ("org/model", "abc", 1.0)
    assert (first.n_items, first.n_shot, first.stderr) == (1, 25, 0.0145)
    assert first.comparable
    assert done.notes == ()
    (shown,) = receipt(store, "org/model", "ARC-C")
    assert shown.items[0].prompt == "Q:"
    assert shown.items[0].log_likelihoods == (-1.5,)
    assert shown.items[0].metrics == {"acc_norm": 1.0}


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
        ({"n-samples": {"arc_challenge": {"original": 1172, "effective": 3}}}, "limit 3"),
        (arguments("load_in_4bit=True"), "load_in_4bit=True"),
        (arguments("gptqmodel=True,autogptq=False"), "gptqmodel=True"),
        (arguments('add_bos_token=True,chat_template_args={"a":1,"b":2}'), '={"a":1,"b":2}'),
        (arguments("tokenizer=/home/me/mine"), "tokenizer=mine"),
        ({"config": {"model_args": "pretrained=a", "limit": 0.125}}, "limit 0.125"),
        ({"config": {"model_args": "pretrained=a", "max_samples": 5}}, "limit 5"),
        (
            {"config": {"model_args": "pretrained=a", "gen_kwargs": "top_k=2"}},
            "generation settings top_k=2",
        ),
        ({"system_instruction": "Be brief."}, "system instruction"),
        ({"config": {"model_args": "pretrained=a", "limit": 1_000_000}}, "limit 1000000"),
        (seeds(fewshot_seed=7), "fewshot_seed 7"),
        (seeds(numpy_seed=None), "numpy_seed None"),
        (seeds(random_seed=5, numpy_seed=5, torch_seed=5, fewshot_seed=5), "seed 5"),
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


def test_what_cannot_move_a_score_does_not_keep_it_apart(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    plain = "dtype=float16,device=cuda,batch_size=8,parallelize=True,load_in_4bit=False,peft=None"
    path = lm_eval_file(tmp_path, **arguments(plain))
    path = lm_eval_file(tmp_path, config=json.loads(path.read_text())["config"] | seeds()["config"])
    assert names(bring(store, panel, path)) == ["ARC-C", "arc_challenge acc"]


@pytest.mark.parametrize("kind", ["peft", "delta"])
def test_adapter_is_another_model(store: Store, panel: Panel, tmp_path: Path, kind: str) -> None:
    done = bring(store, panel, lm_eval_file(tmp_path, **arguments(f"{kind}=/home/me/lora/")))
    assert {r.model for r in done.results} == {"org/model+/home/me/lora"}
    assert "ARC-C" not in names(done)
    assert f"{kind}=lora" in done.notes[0]


def test_what_may_be_a_secret_is_named_only(store: Store, panel: Panel, tmp_path: Path) -> None:
    model_args = (
        "api_key=hush,hf_token=hush,password=hush,base_url=http://me:hush@there,proxy=a://hush"
    )
    done = bring(
        store, panel, lm_eval_file(tmp_path, **arguments(model_args + ",think_end_token=end"))
    )
    assert "api_key, base_url, hf_token, password, proxy, think_end_token=end" in done.notes[0]
    stored = json.dumps([vars(result) for result in store.results()])
    assert "hush" not in stored + str(done.notes)


def test_model_behind_an_api_has_its_own_name(store: Store, panel: Panel, tmp_path: Path) -> None:
    config = {"model": "openai-completions", "model_args": "model=gpt-x,num_concurrent=4"}
    done = bring(store, panel, lm_eval_file(tmp_path, config=config))
    assert (done.results[0].model, done.results[0].benchmark) == ("gpt-x", "ARC-C")


def test_dtypes_do_not_contradict_each_other(store: Store, panel: Panel, tmp_path: Path) -> None:
    paths = []
    for i, dtype in enumerate(("float16", "float32")):
        (tmp_path / dtype).mkdir()
        metrics = {"arc_challenge": {"acc_norm,none": 0.4 + i / 100}}
        content = arguments(f"dtype={dtype}") | {"results": metrics}
        paths.append(lm_eval_file(tmp_path / dtype, **content))
    assert names(bring(store, panel, *paths)) == ["ARC-C", "ARC-C"]
    # Nor do they after a way to others and back.
    for form in ("lm-eval", "every-eval-ever"):
        out = tmp_path / form
        files = export_scores(store.results(), store=store, form=form, out=out)
        assert len(files) == 2
        assert {d for f in files for d in ("float16", "float32") if d in f.read_text()} == {
            "float16",
            "float32",
        }
    back = bring(Store(tmp_path / "other"), panel, tmp_path / "lm-eval")
    assert {r.score for r in back.results} == {r.score for r in store.results()}


def test_group_of_tasks_is_averaged_only_when_it_is_whole(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    languages = ("en", "fr", "jp", "pt", "ru", "zh")
    tasks = [f"xwinograd_{language}" for language in languages]

    def content(own: list[str]) -> dict[str, Any]:
        return {
            "results": {t: {"acc,none": 0.5 + i / 100} for i, t in enumerate(own)},
            "versions": dict.fromkeys(own, 1.0),
            "n-shot": dict.fromkeys(own, 0),
            "n-samples": {t: {"effective": 10} for t in own},
        }

    done = bring(store, panel, lm_eval_file(tmp_path, **content(tasks)))
    assert names(done) == ["XWinograd"]
    assert done.results[0].score == pytest.approx(0.525)
    assert done.results[0].n_items == 60
    done = bring(store, panel, lm_eval_file(tmp_path, **content(tasks[1:])))
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


def test_table_of_more_than_single_values_is_refused(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"model": ["m"], "benchmark": ["b"], "score": [[0.5, 0.6]]}).to_parquet(path)
    with pytest.raises(ImportFileError, match="row 2: score is not a single value"):
        bring(store, panel, path)


def test_full_disk_keeps_neither_results_nor_samples(
    store: Store, panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm_eval_file(tmp_path)
    beside = tmp_path / "samples_arc_challenge_2026-01-02T03-04-05.678901.jsonl"
    beside.write_text(json.dumps(SAMPLE) + "\n")
    written = []

    def write(path: Path, samples: Iterable[dict[str, Any]]) -> None:
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        write_samples(path, samples)

    monkeypatch.setattr(importing, "write_samples", write)
    with pytest.raises(StoreError, match=r"cannot write the store .*: No space left"):
        bring(store, panel, tmp_path)
    assert store.results() == []
    assert list(store.samples_path.iterdir()) == []


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


def run(metrics: str, task: str = "t", model_name: str = "m") -> str:
    return f'{{"results": {{"{task}": {{{metrics}}}}}, "model_name": "{model_name}"}}'


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
            "no score in it can be taken: t: acc is nan",
        ),
        ("a.csv", "", "neither lm-eval's JSON nor a table"),
        ("a.csv", "x,y\n1,2\n", "a.csv"),
        ("a.json", "[" * 100_000, "not JSON"),
        ("a.json", b"\xff", "not JSON"),
        ("a.json", run('"acc": 1' + "0" * 400), "can be taken: t: acc is inf"),
        ("a.json", run('"acc": 44.0'), "m: t acc is 44, outside .* divide by 100"),
        ("a.json", run('"acc": -3.0'), "can be taken: m: t acc is -3, outside"),
        ("a.json", run('"acc": 0.5', task="t" * 400), "at most 200 characters"),
        ("a.json", run('"acc": 0.5', model_name="m" * 1001), "model: .* at most 1000 characters"),
        ("a.json", run('"acc": 0.5', task="x|t|five"), "'five' is not a number of shots"),
        ("a.json", run('"acc": 0.5', model_name="half \\ud800"), "not JSON"),
        ("a.json", run('"acc": 0.5', model_name="."), "a folder .* '.'; say which"),
        ("a.csv", "model,benchmark,metric,value\nm,b,acc,abc\n", "m: value is 'abc', not a"),
        ("a.csv", "model,benchmark,metric,value\n,b,acc,0.5\n", "row 2 names no model"),
        ("a.csv", "model,benchmark,metric,value\nm,b,acc,44\n", "is 44, outside"),
        ("a.csv", "Model,ARC-C\nm,44\n", "m: ARC-C is 44, outside .* divide by 100"),
        ("a.csv", "model,benchmark,score,n_shot\nm,b,0.5,2.5\n", "n_shot: .* integer, not 2.5"),
        ("a.csv", "model,benchmark,score,n_shot\nm,b,0.5,1e300\n", "n_shot: .* less than"),
        ("a.csv", "model,Model,benchmark,score\nm,m,b,0.5\n", "two columns are called 'model'"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff", "nor a table"),
        ("a.parquet", b"PAR1junkPAR1", "nor a table"),
    ],
)
def test_file_that_is_none_of_these_is_refused_in_one_line(
    store: Store, panel: Panel, tmp_path: Path, name: str, text: str | bytes, why: str
) -> None:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ImportFileError, match=why) as caught:
        bring(store, panel, path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    with pytest.raises(ImportFileError, match="no such file"):
        bring(store, panel, tmp_path / "nowhere.json")
    assert store.results() == []


WRONG_TYPES = {
    "config": ["x", [1], {"limit": "10"}, {"model_args": ["pretrained=x"]}, {"fewshot_seed": "7"}],
    "n-shot": [[1], {"arc_challenge": "x"}, {"arc_challenge": -1}],
    "n-samples": [[1], {"arc_challenge": 5}, {"arc_challenge": {"effective": "many"}}],
    "versions": [[1], {"arc_challenge": []}],
    "group_subtasks": [["arc_challenge"], {"arc_challenge": "x"}],
    "capspace": ["x", {"conditions": 3}],
    "model_name": [{"a": 1}],
}


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, vs in WRONG_TYPES.items() for v in vs])
def test_field_of_a_wrong_type_is_named(
    store: Store, panel: Panel, tmp_path: Path, field: str, value: object
) -> None:
    path = lm_eval_file(tmp_path, **{field: value})
    with pytest.raises(ImportFileError, match=f"{path}: {field}.*: Input should be") as caught:
        bring(store, panel, path)
    assert "\n" not in str(caught.value)


SAMPLE = {"doc_id": 0, "arguments": [["a", "b"]], "resps": [[[-1.5, True]]], "metrics": []}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{not json}", "line 2 is not JSON"),
        ("[1, 2]", "line 2 is list, not the record"),
        ("[" * 90_000, "line 2 is nested too deeply"),
        (json.dumps(SAMPLE | {"x": 0})[:-2] + "[" * 900 + "]" * 900 + "}", "nested too deeply"),
        (json.dumps(SAMPLE | {"doc_id": "x"}), "line 2: doc_id: Input should be a valid integer"),
        (json.dumps(SAMPLE | {"arguments": 5}), "arguments"),
        (json.dumps(SAMPLE | {"arguments": [[]]}), "arguments"),
        (json.dumps(SAMPLE | {"arguments": []}), "0 requests and responses to 1"),
        (json.dumps(SAMPLE | {"resps": [[]]}), "resps.0"),
        (json.dumps(SAMPLE | {"resps": [[["zz"]]]}), "'zz' is no number"),
        (json.dumps(SAMPLE | {"resps": [["plain"]]}), "None is no number"),
        (json.dumps(SAMPLE | {"metrics": 7}), "metrics"),
        (json.dumps(SAMPLE | {"metrics": ["m"], "m": 10**400}), "is no number"),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}", "line 2 is not JSON"),
    ],
)
def test_wrong_samples_are_left_out_and_their_scores_are_taken(
    store: Store, panel: Panel, tmp_path: Path, line: str, why: str
) -> None:
    good, bad = tmp_path / "a", tmp_path / "b"
    for folder, last in ((good, json.dumps(SAMPLE)), (bad, line)):
        folder.mkdir()
        lm_eval_file(folder, model_name=folder.name, **arguments(f"revision={folder.name}"))
        beside = folder / "samples_arc_challenge_2026-01-02T03-04-05.678901.jsonl"
        beside.write_bytes(f"{json.dumps(SAMPLE)}\n{last}\n".encode("latin-1"))
    done = bring(store, panel, good, bad)
    assert names(done) == ["ARC-C", "arc_challenge acc"] * 2
    (note,) = [note for note in done.notes if "samples left out" in note]
    assert re.search(why, note)
    assert "\n" not in note
    with_samples = {r.revision for r in done.results if store.samples_file(r.key).exists()}
    assert with_samples == {"a"}


def test_samples_of_scores_that_are_left_out_are_not_kept(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    for name, score in (("a", 0.4), ("b", 0.5)):
        (tmp_path / name).mkdir()
        metrics = {"arc_challenge": {"acc_norm,none": score}}
        lm_eval_file(tmp_path / name, results=metrics, date=1e9 + score)
        beside = tmp_path / name / "samples_arc_challenge_2026-01-02T03-04-05.678901.jsonl"
        beside.write_text(json.dumps(SAMPLE) + "\n")
    bring(store, panel, tmp_path / "a", tmp_path / "b")
    assert len(list(store.samples_path.iterdir())) == len(store.results()) == 1


def test_task_whose_name_is_a_path_is_read_without_leading_anywhere(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    path = lm_eval_file(tmp_path, results={"hf/../../x": {"acc,none": 0.4}})
    assert names(bring(store, panel, path)) == ["hf/../../x acc"]


def test_folder_says_what_of_it_is_not_read(store: Store, panel: Panel, tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match=r"no results\*\.json in this folder$"):
        bring(store, panel, tmp_path)
    (tmp_path / "more.csv").write_text("model,benchmark,score\nm,b,0.5\n")
    (tmp_path / "more.csv.gz").write_bytes(b"")
    with pytest.raises(
        ImportFileError, match=r"a table is named itself, as more\.csv, more\.csv\.gz$"
    ):
        bring(store, panel, tmp_path)
    path = lm_eval_file(tmp_path)
    done = bring(store, panel, tmp_path, path)
    assert names(done) == ["ARC-C", "arc_challenge acc"]  # the file is named twice, and read once
    assert done.notes == (
        f"{tmp_path}: not read, as tables are named themselves: more.csv, more.csv.gz",
    )


def test_import_that_brings_nothing_is_refused(capspace: Command, tmp_path: Path) -> None:
    line = capspace.refused("import", tmp_path, "--store", tmp_path / "store")
    assert f"{tmp_path}: there is no results*.json in this folder" in line


def test_file_that_cannot_be_read_is_one_line(
    store: Store, panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, usual = lm_eval_file(tmp_path), Path.read_bytes

    def refuse(given: Path) -> bytes:
        if given == path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return usual(given)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ImportFileError, match=rf"^{path}: cannot be read: Permission denied$"):
        bring(store, panel, path)
    with pytest.raises(ImportFileError, match=r"^nothing can be taken: left out: .*denied$"):
        bring(store, panel, tmp_path)
    with pytest.raises(ImportFileError, match="--answers-of names no model"):
        import_scores([path], store=store, panel=panel, model=" ")


def test_samples_that_cannot_be_read_are_left_out(
    store: Store, panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lm_eval_file(tmp_path)
    beside = tmp_path / "samples_arc_challenge_2026-01-02T03-04-05.678901.jsonl"
    beside.write_text("\n" + json.dumps(SAMPLE) + "\n\n")
    assert len(list(read_external_samples(beside))) == 1  # empty lines are none
    usual = Path.open

    def refuse(path: Path, *how: str, **further: Any) -> Any:
        if path == beside:
            raise PermissionError(errno.EACCES, "Permission denied")
        return usual(path, *how, **further)

    monkeypatch.setattr(Path, "open", refuse)
    done = bring(store, panel, path)
    assert names(done) == ["ARC-C", "arc_challenge acc"]
    assert "cannot be read: Permission denied" in done.notes[0]


def test_samples_of_one_task_of_a_group_come_along_again_and_again(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    tasks = [f"xwinograd_{language}" for language in ("en", "fr", "jp", "pt", "ru", "zh")]
    content = {
        "results": {task: {"acc,none": 0.0} for task in tasks},
        "versions": dict.fromkeys(tasks, 1.0),
        "n-shot": dict.fromkeys(tasks, 0),
        "n-samples": {task: {"effective": 1} for task in tasks},
    }
    path = lm_eval_file(tmp_path, **content)
    beside = tmp_path / "samples_xwinograd_fr_2026-01-02T03-04-05.678901.jsonl"
    beside.write_text(json.dumps(SAMPLE | {"metrics": ["acc"], "acc": 0.0}) + "\n")
    for _ in range(2):
        (result,) = bring(store, panel, path).results
        assert [sample["task"] for sample in store.samples(result.key)] == ["xwinograd_fr"]


def test_row_of_a_tidy_table_without_a_value_is_no_score(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    path = tmp_path / "tidy.csv"
    path.write_text("model,benchmark,metric,value\nm,b,acc,\nm,c,acc,0.5\n")
    done = bring(store, panel, path)
    assert (names(done), done.notes) == (["c acc"], ())


def test_import_again_changes_nothing(store: Store, panel: Panel, tmp_path: Path) -> None:
    path = lm_eval_file(tmp_path)
    bring(store, panel, path)
    before = [(r.key, r.score) for r in store.results()]
    assert names(bring(store, panel, path)) == ["ARC-C", "arc_challenge acc"]
    assert [(r.key, r.score) for r in store.results()] == before


@pytest.mark.slow
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


def test_conditions_and_versions_survive_an_export(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    config = {"model": "hf", "model_args": "pretrained=org/model,peft=org/lora", "limit": 100}
    bring(store, panel, lm_eval_file(tmp_path, config=config, chat_template="x"))
    export_scores(store.results(), store=store, form="lm-eval", out=tmp_path / "out")
    other = Store(tmp_path / "other")
    bring(other, panel, tmp_path / "out")
    want = {(r.benchmark, r.protocol, r.model, r.revision) for r in store.results()}
    assert {(r.benchmark, r.protocol, r.model, r.revision) for r in other.results()} == want
    assert all(
        "v1.0 acc" in r.protocol and "limit 100; chat" in r.protocol for r in other.results()
    )


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


def test_an_import_that_is_interrupted_keeps_nothing(
    store: Store, panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm_eval_file(tmp_path)
    beside = tmp_path / "samples_arc_challenge_2026-01-02T03-04-05.678901.jsonl"
    beside.write_text(json.dumps(SAMPLE) + "\n")

    def write(path: Path, samples: Iterable[dict[str, Any]]) -> None:
        write_samples(path, samples)
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "write_samples", write)
    with pytest.raises(KeyboardInterrupt):
        bring(store, panel, tmp_path)
    assert store.results() == []
    assert list(store.samples_path.iterdir()) == []

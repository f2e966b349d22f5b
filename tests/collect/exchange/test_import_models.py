"""Imported scores are of the model that their file names, and of no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from commands import Command
from import_parts import FAULTS, run_file

pytest.importorskip("lm_eval", reason="import compares with the installed lm-eval's tasks")

from capspace.collect.errors import ImportFileError
from capspace.collect.exchange.exporting import export_scores
from capspace.collect.exchange.importing import import_scores
from capspace.collect.storage.result import Result
from capspace.collect.storage.store import Store
from capspace.tasks.panel import Panel, load_panel

COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e"


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load_panel("classic-8").select(["ARC-C"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def models_of(store: Store) -> set[tuple[str, str]]:
    return {(r.model, r.revision) for r in store.results()}


APART = {
    "last-folder": ["pretrained=/exp/sft/checkpoint-1000", "pretrained=/exp/dpo/checkpoint-1000"],
    "adapters": [
        "pretrained=org/base,peft=/a/lora/checkpoint-10",
        "pretrained=org/base,peft=/b/lora/checkpoint-10",
        "pretrained=org/base",
    ],
    "deltas": ["pretrained=org/base,delta=/a/last", "pretrained=org/base,delta=/b/last"],
    "vllm-adapters": [
        "pretrained=org/base,lora_local_path=/a/x",
        "pretrained=org/base,lora_local_path=/b/x",
    ],
    "subfolders": ["pretrained=org/m,subfolder=step-1", "pretrained=org/m,subfolder=step-2"],
    "gguf": ["pretrained=org/m,gguf_file=q4.gguf", "pretrained=org/m,gguf_file=q8.gguf"],
    "revisions": ["pretrained=org/m,revision=0012345", "pretrained=org/m,revision=12345"],
    "windows": [r"pretrained=C:\sft\last", r"pretrained=C:\dpo\last"],
    "snapshots": [
        f"pretrained=/c/models--org--m/snapshots/{COMMIT}",
        f"pretrained=/c/models--org--m/snapshots/{COMMIT[::-1]}",
        f"pretrained=/c/models--org--other/snapshots/{COMMIT}",
    ],
}


@pytest.mark.parametrize("runs", APART.values(), ids=APART)
@pytest.mark.parametrize("together", [True, False], ids=["one-import", "import-each"])
def test_models_are_told_apart_by_their_whole_names(
    store: Store, panel: Panel, tmp_path: Path, runs: list[str], together: bool
) -> None:
    files = [
        run_file(
            tmp_path / f"{i}/results_{i}.json", {"acc_norm,none": 0.3 + i / 10}, model_args=run
        )
        for i, run in enumerate(runs)
    ]
    for paths in [files] if together else [[file] for file in reversed(files)]:
        assert not any("both" in n for n in import_scores(paths, store=store, panel=panel).notes)
    assert len(models_of(store)) == len(runs)
    assert len(store.to_table().models) == len(runs)


@pytest.mark.parametrize(
    ("model_args", "model", "revision"),
    [
        (f"pretrained=/c/hub/models--org--name/snapshots/{COMMIT}/", "org/name", COMMIT),
        (f"pretrained=/c/models--gpt2/snapshots/{COMMIT},revision=main", "gpt2", COMMIT),
        (rf"pretrained=C:\c\models--org--a-b\snapshots\{COMMIT}", "org/a-b", COMMIT),
        (f"pretrained=/c/models--o--m/snapshots/{COMMIT}/sub", "o/m/sub", COMMIT),
        (
            f"pretrained=org/m,peft=/c/models--o--lora/snapshots/{COMMIT}",
            f"org/m+o/lora@{COMMIT}",
            "",
        ),
        ("pretrained=//exp/./sft/", "/exp/sft", ""),
        ("pretrained=~/runs/sft", "~/runs/sft", ""),
        ("pretrained=gpt2", "gpt2", ""),
        ({"pretrained": "org/m", "revision": 12345}, "org/m", "12345"),
        ("model=accounts/lab/models/chat,num_concurrent=4", "accounts/lab/models/chat", ""),
    ],
)
def test_name_and_revision(
    store: Store, panel: Panel, tmp_path: Path, model_args: Any, model: str, revision: str
) -> None:
    import_scores([run_file(tmp_path / "r.json", model_args=model_args)], store=store, panel=panel)
    assert models_of(store) == {(model, revision)}


@pytest.mark.parametrize(
    ("model_args", "more", "why"),
    [
        ("", {}, "does not say which model"),
        ("", {"config": {"model": "HFLM"}}, "does not say which model"),
        ("", {"config": {"model": "LlamaForCausalLM"}, "model_name": "a1b2c3d4"}, "does not say"),
        ("", {"config": {"model": "<class 'HFLM'>"}}, "does not say which model"),
        ("", {"model_name": "LlamaForCausalLM"}, "a Python object, 'LlamaForCausalLM'"),
        ("pretrained=<HFLM object at 0x7f0a>", {}, "a Python object"),
        ({"pretrained": "LlamaForCausalLM(\n  (model): LlamaModel()\n)"}, {}, "a Python object"),
        ("dtype=float16,base_url=http://localhost", {}, "does not say which model"),
        ("pretrained=./checkpoint-1000", {}, "a folder that others may have too"),
        ("pretrained=../last", {}, "a folder that others may have too"),
        ("pretrained=out/checkpoint-1000", {}, "a folder that others may have too"),
        ("pretrained=out/sft/last", {}, "a folder that others may have too"),
        ("pretrained=org/m,peft=./lora", {}, "a folder that others may have too"),
        ("pretrained=/", {}, "lies in '/'"),
        ({"pretrained": "org/m", "revision": 5.0}, {}, "revision was read as the number '5.0'"),
        ({"pretrained": " "}, {}, "does not say which model"),
        ({"pretrained": ["org/m"]}, {}, r"names its model by .*\['org/m'\]"),
    ],
)
def test_file_that_names_no_model_is_refused_with_the_remedy(
    store: Store, panel: Panel, tmp_path: Path, model_args: Any, more: dict[str, Any], why: str
) -> None:
    path = run_file(tmp_path / "results_x.json", model_args=model_args, **more)
    with pytest.raises(ImportFileError, match=why) as caught:
        import_scores([path], store=store, panel=panel)
    assert "capspace import --answers-of NAME results_x.json" in str(caught.value)
    assert "\n" not in str(caught.value)
    import_scores([path], store=store, panel=panel, model="org/mine@abc")
    assert models_of(store) == {("org/mine", "abc")}


def test_loaded_models_path_names_it(store: Store, panel: Panel, tmp_path: Path) -> None:
    config = {"model": "/exp/sft/checkpoint-1000"}
    path = run_file(tmp_path / "r.json", model_args="", config=config, model_name="a1b2c3d4")
    import_scores([path], store=store, panel=panel)
    assert models_of(store) == {("/exp/sft/checkpoint-1000", "")}


def test_file_without_a_model_does_not_stop_its_folder(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    run_file(tmp_path / "runs/a/results_1.json")
    run_file(tmp_path / "runs/b/results_2.json", model_args="", config={"model": "HFLM"})
    (tmp_path / "runs/results_broken.json").write_text('{"results": ')
    done = import_scores([tmp_path / "runs"], store=store, panel=panel)
    assert models_of(store) == {("org/model", "")}
    assert any("results_2.json: it does not say which model" in note for note in done.notes)
    assert any("results_broken.json: not JSON" in note for note in done.notes)


def test_given_model_joins_no_two(store: Store, panel: Panel, tmp_path: Path) -> None:
    for name in ("sft", "dpo"):
        run_file(tmp_path / f"runs/{name}/results_1.json", model_args=f"pretrained=./{name}")
    with pytest.raises(
        ImportFileError, match=r"--answers-of x names one model, .* about 2: \./dpo, "
    ):
        import_scores([tmp_path / "runs"], store=store, panel=panel, model="x")
    table = tmp_path / "t.csv"
    table.write_text("Model,ARC-C\na,0.5\nb,0.6\n")
    with pytest.raises(ImportFileError, match="about 2: a, b; import each by itself"):
        import_scores([table], store=store, panel=panel, model="x")
    table.write_text("model,revision,benchmark,score\na,1,X,0.5\na,2,X,0.6\n")
    with pytest.raises(ImportFileError, match="about 2: a@1, a@2; import each by itself"):
        import_scores([table], store=store, panel=panel, model="x@3")
    assert store.results() == []


def test_model_is_named_on_the_command_line(capspace: Command, tmp_path: Path) -> None:
    path = run_file(tmp_path / "results_1.json", model_args="pretrained=./last")
    store = tmp_path / "store"
    assert "import --answers-of NAME" in capspace.refused("import", path, "--store", store)
    capspace("import", path, "--answers-of", "org/mine", "--store", store)
    assert models_of(Store(store)) == {("org/mine", "")}


def dated(folder: Path, score: float, stamp: str, **more: Any) -> Path:
    return run_file(folder / f"results_{stamp}.json", {"acc_norm,none": score}, **more)


@pytest.mark.parametrize("by", ["name", "field"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)], ids=str)
@pytest.mark.parametrize("together", [True, False], ids=["one-import", "import-each"])
def test_later_run_is_kept_whatever_the_order(
    store: Store, panel: Panel, tmp_path: Path, by: str, order: tuple[int, ...], together: bool
) -> None:
    stamps = [f"2026-0{i + 1}-02T03-04-05.678901" for i in range(3)]
    fields: list[dict[str, Any]] = [{}, {}, {}]
    if by == "field":  # the date inside goes before that of the name, which a copy may change
        fields = [{"date": 1.76e9 + i} for i in range(3)]
        stamps.reverse()
    files = [dated(tmp_path, 0.3 + i / 10, stamps[i], **fields[i]) for i in order]
    notes: list[str] = []
    for paths in [files] if together else [[file] for file in files]:
        try:
            notes += import_scores(paths, store=store, panel=panel).notes
        except ImportFileError as error:
            pytest.fail(str(error))
    (result,) = store.results()
    assert result.score == 0.5
    assert any("0.5" in note and "the later run" in note for note in notes)
    date = "2025-10-09T08:53:22" if by == "field" else "2026-03-02T03:04:05"
    assert result.measured_at.startswith(date)


def test_samples_of_a_replaced_run_go(store: Store, panel: Panel, tmp_path: Path) -> None:
    from import_parts import sample, samples_file

    for i, month in enumerate("12"):
        path = dated(tmp_path / month, i, f"2026-0{month}-01T00-00-00", n_items=1)
        samples_file(path, [sample(0, right=bool(i))])
        import_scores([path], store=store, panel=panel)
    (result,) = store.results()
    assert result.score == 1.0
    assert [p.name for p in store.samples_path.iterdir()] == [f"{result.key}.jsonl.gz"]


def test_dated_run_goes_before_one_without_a_date(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    undated = run_file(tmp_path / "results_a.json", {"acc_norm,none": 0.3})
    import_scores([undated], store=store, panel=panel)
    done = import_scores([dated(tmp_path, 0.4, "2026-01-02T03-04-05")], store=store, panel=panel)
    assert [r.score for r in store.results()] == [0.4]
    assert "replaced" in done.notes[0]
    assert "the other is without a date (results_a.json)" in done.notes[0]
    again = import_scores([undated], store=store, panel=panel)
    assert again.results == ()
    assert [r.score for r in store.results()] == [0.4]


@pytest.mark.parametrize("together", [True, False], ids=["one-import", "import-each"])
def test_scores_under_two_protocols_are_both_kept_with_a_line(
    store: Store, panel: Panel, tmp_path: Path, together: bool
) -> None:
    files = [
        run_file(tmp_path / "results_a.json", {"acc_norm,none": 0.3}, lm_eval_version="0.4.9"),
        run_file(tmp_path / "results_b.json", {"acc_norm,none": 0.4}, lm_eval_version="0.4.13"),
    ]
    notes: list[str] = []
    for paths in [files] if together else [[file] for file in files]:
        notes += import_scores(paths, store=store, panel=panel).notes
    assert sorted(r.score for r in store.results()) == [0.3, 0.4]
    (note,) = [n for n in notes if n.startswith("kept twice: ")]
    assert "measured under 2 protocols" in note
    assert "lm-eval 0.4.9" in note
    assert "lm-eval 0.4.13" in note
    assert "results_a.json" in note
    assert "results_b.json" in note


def test_date_of_an_earlier_versions_import_is_in_its_files_name(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    later = dated(tmp_path, 0.4, "2026-02-02T03-04-05.678901")
    import_scores([later], store=store, panel=panel)
    (stored,) = store.results()
    store.put(Result(**{**vars(stored), "provenance": {}, "measured_at": "2026-11-28T00:00:00"}))
    done = import_scores(
        [dated(tmp_path, 0.3, "2026-01-02T03-04-05.678901")], store=store, panel=panel
    )
    assert done.results == ()
    assert [result.score for result in store.results()] == [0.4]


def test_what_was_measured_here_stays(store: Store, panel: Panel, tmp_path: Path) -> None:
    import_scores([dated(tmp_path, 0.3, "2026-01-02T03-04-05")], store=store, panel=panel)
    (imported,) = store.results()
    own = Result(**{**vars(imported), "key": "own", "score": 0.2, "identity": "{}"})
    store.remove([imported.key])
    store.put(own)
    done = import_scores([dated(tmp_path, 0.3, "2026-01-02T03-04-05")], store=store, panel=panel)
    assert [r.score for r in store.results()] == [0.2]
    assert "measured here" in done.notes[0]


def test_names_of_an_earlier_version_stay_and_are_noted(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    path = run_file(tmp_path / "results_1.json", model_args="pretrained=/exp/sft/checkpoint-1000")
    import_scores([path], store=store, panel=panel)
    (new,) = store.results()
    store.remove([new.key])
    provenance = {n: v for n, v in new.provenance.items() if n != "run_date"}
    old = {"key": "old", "model": "checkpoint-1000", "provenance": provenance}
    store.put(Result(**{**vars(new), **old}))
    done = import_scores([path], store=store, panel=panel)
    assert {m for m, _ in models_of(store)} == {"checkpoint-1000", "/exp/sft/checkpoint-1000"}
    assert any("was imported before as 'checkpoint-1000', which stays" in n for n in done.notes)
    out = tmp_path / "out"
    export_scores(store.results(model="checkpoint-1000"), store=store, form="lm-eval", out=out)
    other = Store(tmp_path / "other")
    import_scores([out], store=other, panel=panel)
    assert models_of(other) == {("checkpoint-1000", "")}


TABLES = {
    "csv": lambda frame, path: frame.to_csv(path, index=False),
    "parquet": lambda frame, path: frame.to_parquet(path, index=False),
}


@pytest.mark.parametrize("form", TABLES)
def test_revisions_and_names_of_tables_are_text(
    store: Store, panel: Panel, tmp_path: Path, form: str
) -> None:
    names = ["NA", "null", "None", "true", "0012345", "1e5", "nan", "12345"]
    frame = pd.DataFrame({"model": names, "benchmark": "MMLU", "score": 0.5})
    frame["revision"] = ["5e12345", "6e54321", "0012345", "1000", "", "NA", "None", "nan"]
    path = tmp_path / f"t.{form}"
    TABLES[form](frame, path)
    import_scores([path], store=store, panel=panel)
    assert models_of(store) == set(zip(frame["model"], frame["revision"], strict=True))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one-commit", {("mine", "5e12345")}),
        ("two-commits-become-inf", {("a", "5e12345"), ("a", "6e54321")}),
        ("leading-zeros", {("a", "0012345"), ("a", "12345")}),
        ("step-and-blank", {("a", "1000"), ("b", "")}),
    ],
)
@pytest.mark.skipif(not FAULTS.is_dir(), reason="no ../shared/data/faults beside this checkout")
def test_revisions_of_the_faults(
    store: Store, panel: Panel, name: str, expected: set[tuple[str, str]]
) -> None:
    import_scores([FAULTS / f"csv-revision-number/{name}.csv"], store=store, panel=panel)
    assert models_of(store) == expected


@pytest.mark.skipif(not FAULTS.is_dir(), reason="no ../shared/data/faults beside this checkout")
def test_last_folders_of_the_faults(store: Store, panel: Panel) -> None:
    for name in ("run-b", "run-a"):
        path = FAULTS / f"same-last-folder/results_{name}.json"
        import_scores([path], store=store, panel=panel)
    assert {m for m, _ in models_of(store)} == {
        "/scratch/exp/sft-lr1e-5/checkpoint-1000",
        "/scratch/exp/dpo-beta0.1/checkpoint-1000",
    }

"""A cell that holds no score is left out and named; the rest of its file and folder is taken."""

from __future__ import annotations

import codecs
import json
import math
from pathlib import Path
from typing import Any

import pytest
from import_parts import FAULTS, run_file, sample, samples_file

pytest.importorskip("lm_eval", reason="import compares with the installed lm-eval's tasks")

from capspace.collect.errors import ImportFileError
from capspace.collect.exchange.importing import Imported, import_scores
from capspace.collect.storage._receipt import receipt
from capspace.collect.storage.store import Store
from capspace.tasks.panel import Panel, load_panel

NEEDS_FAULTS = pytest.mark.skipif(
    not FAULTS.is_dir(), reason="no ../shared/data/faults beside this checkout"
)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load_panel("classic-8").select(["ARC-C"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def scores(done: Imported) -> dict[str, float]:
    return {result.benchmark: result.score for result in done.results}


NO_SCORES = {
    "nan": math.nan,
    "inf": math.inf,
    "minus-inf": -math.inf,
    "minus-one": -1,
    "minus-one-float": -1.0,
    "999": 999,
    "huge": 10**400,
    "null": None,
    "dict": {"a": 0.1},
    "list": [],
    "true": True,
    "text": "n/a",
}


@pytest.mark.parametrize("value", NO_SCORES.values(), ids=NO_SCORES)
@pytest.mark.parametrize("metric", ["acc,none", "bleu,none"])
def test_cell_without_a_score_is_left_out_and_named(
    store: Store, panel: Panel, tmp_path: Path, value: object, metric: str
) -> None:
    run_file(tmp_path / "runs/results_a.json", {"acc_norm,none": 0.4, metric: value})
    run_file(tmp_path / "runs/results_b.json", {metric: value}, model_args="pretrained=b")
    run_file(tmp_path / "runs/results_c.json", model_args="pretrained=c")
    done = import_scores([tmp_path / "runs"], store=store, panel=panel)
    assert {(r.model, r.benchmark) for r in done.results} == {
        ("org/model", "ARC-C"),
        ("c", "ARC-C"),
    }
    assert all("arc_challenge" in note for note in done.notes)
    assert [note.startswith("left out: ") for note in done.notes] == [True, True]


@pytest.mark.parametrize("value", [v for v in NO_SCORES.values() if v is not None], ids=str)
def test_standard_error_that_is_none_is_unknown(
    store: Store, panel: Panel, tmp_path: Path, value: object
) -> None:
    metrics = {"acc_norm,none": 0.4, "acc_norm_stderr,none": value}
    done = import_scores([run_file(tmp_path / "r.json", metrics)], store=store, panel=panel)
    assert scores(done) == {"ARC-C": 0.4}
    assert math.isnan(done.results[0].stderr)
    (note,) = done.notes
    assert "arc_challenge: acc_norm,none: its standard error is" in note


@pytest.mark.parametrize("unknown", [None, "N/A"])
def test_unknown_standard_error_needs_no_word(
    store: Store, panel: Panel, tmp_path: Path, unknown: object
) -> None:
    metrics = {"acc_norm,none": 0.4, "acc_norm_stderr,none": unknown, "alias": " - arc"}
    done = import_scores([run_file(tmp_path / "r.json", metrics)], store=store, panel=panel)
    assert done.notes == ()


def test_file_in_percent_is_refused_whole(store: Store, panel: Panel, tmp_path: Path) -> None:
    path = run_file(tmp_path / "runs/results_a.json", {"acc,none": 90.0, "acc_norm,none": 44.0})
    with pytest.raises(ImportFileError, match=r"acc is 90, .* looks like a percentage"):
        import_scores([path], store=store, panel=panel)
    run_file(tmp_path / "runs/results_b.json", model_args="pretrained=b")
    done = import_scores([tmp_path / "runs"], store=store, panel=panel)
    assert {r.model for r in done.results} == {"b"}
    assert "looks like a percentage" in done.notes[0]


def test_a_percentage_among_fractions_is_one_bad_cell(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    path = run_file(tmp_path / "r.json", {"acc,none": 44.0, "acc_norm,none": 0.5})
    done = import_scores([path], store=store, panel=panel)
    assert [r.score for r in done.results] == [0.5]
    assert any("acc is 44, outside [0, 1]" in note for note in done.notes)
    path = run_file(tmp_path / "s.json", {"acc_norm,none": 1.0000001}, model_args="pretrained=s")
    assert [r.score for r in import_scores([path], store=store, panel=panel).results] == [1.0]


def test_cells_of_tables_too(store: Store, panel: Panel, tmp_path: Path) -> None:
    wide, tidy = tmp_path / "wide.csv", tmp_path / "tidy.csv"
    wide.write_text("Model,X,Y\na,0.5,-1\nb,inf,0.25\nc,,999\n")
    tidy.write_text("model,benchmark,metric,value,stderr\na,z,acc,0.5,-1\na,z,f1,inf,\n")
    done = import_scores([wide, tidy], store=store, panel=panel)
    assert {(r.model, r.benchmark, r.score) for r in done.results} == {
        ("a", "X", 0.5),
        ("b", "Y", 0.25),
        ("a", "z acc", 0.5),
    }
    assert sorted(note.removeprefix("left out: ") for note in done.notes) == [
        "tidy.csv: row 2: the standard error is -1",
        "tidy.csv: row 3: the score is inf",
        "wide.csv: a: Y: the score is -1, which stands for no score",
        "wide.csv: b: X: the score is inf",
        "wide.csv: c: Y: the score is 999, which stands for no score",
    ]


def test_only_the_first_of_many_cells_are_named(store: Store, panel: Panel, tmp_path: Path) -> None:
    rows = "".join(f"m{i},-1,0.5\n" for i in range(50))
    (tmp_path / "t.csv").write_text(f"Model,X,Y\n{rows}")
    done = import_scores([tmp_path / "t.csv"], store=store, panel=panel)
    assert len(done.notes) == 21
    assert done.notes[-1] == "left out: t.csv: 30 more cells"


BROKEN = {
    "nan": (math.nan, -1.0),
    "all-nan": (math.nan, math.nan),
    "nan-text": ("nan", "-1.0"),
    "plus-inf": (math.inf, -1.0),
    "no-probability": (-math.inf, -math.inf),
}


@pytest.mark.parametrize("values", BROKEN.values(), ids=BROKEN)
def test_score_of_answers_that_are_no_numbers_is_left_out(
    store: Store, panel: Panel, tmp_path: Path, values: tuple[Any, ...]
) -> None:
    path = run_file(tmp_path / "results_1.json", {"acc_norm,none": 0.5}, n_items=2)
    record = json.loads(path.read_text())
    record["results"]["other"] = {"acc,none": 0.25}
    path.write_text(json.dumps(record))
    samples_file(path, [sample(0, right=True), sample(1, right=False, values=values)])
    done = import_scores([path], store=store, panel=panel)
    assert scores(done) == {"other acc": 0.25}
    (note,) = done.notes
    assert "arc_challenge acc_norm: 1 of 2 items have log-likelihoods that are no numbers" in note


def test_one_continuation_may_have_no_probability(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    path = run_file(tmp_path / "results_1.json", {"acc_norm,none": 1.0}, n_items=1)
    samples_file(path, [sample(0, right=True, values=(-1.0, -math.inf))])
    done = import_scores([path], store=store, panel=panel)
    assert scores(done) == {"ARC-C": 1.0}
    assert done.notes == ()


@pytest.mark.parametrize(
    ("right", "score", "n_items", "note"),
    [
        ([1, 0, 0], 0.3333, 3, ""),
        ([1, 0, 0], 1 / 3, 3, ""),
        ([1, 0, 0], 0.33, 3, ""),
        ([1, 0], 0.5, 2, ""),
        ([1, 0, 0], 0.4, 3, "arc_challenge acc_norm is 0.4, and its 3 samples give 0.333333"),
        ([1, 0], 1.0, 2, "is 1, and its 2 samples give 0.5"),
        ([math.nan, 0], 0.5, 2, "give nan"),
        ([1, 0], 0.5, 1172, "has 1172 items, and there are 2 samples"),
    ],
)
def test_samples_that_contradict_their_score_are_noted(
    store: Store,
    panel: Panel,
    tmp_path: Path,
    right: list[float],
    score: float,
    n_items: int,
    note: str,
) -> None:
    path = run_file(tmp_path / "results_1.json", {"acc_norm,none": score}, n_items=n_items)
    samples_file(path, [sample(i, right=True, acc_norm=value) for i, value in enumerate(right)])
    done = import_scores([path], store=store, panel=panel)
    assert scores(done) == {"ARC-C": score}
    assert [note in n and "contradicts its score" in n for n in done.notes] == [True] * bool(note)


def test_other_filters_samples_are_not_counted(store: Store, panel: Panel, tmp_path: Path) -> None:
    path = run_file(tmp_path / "results_1.json", {"acc_norm,none": 1.0}, n_items=1)
    samples_file(path, [sample(0, right=True), sample(0, right=False, filter="strict")])
    assert import_scores([path], store=store, panel=panel).notes == ()


FLATTENED = {
    "flat-values": {"doc_id": 0, "arguments": [["Q", " a"]], "resps": [-1.5], "acc_norm": 1.0},
    "no-requests": {"doc_id": 0, "native_id": "x", "metrics": {"acc": 1}, "model_output": []},
    "texts": {"doc_id": 0, "arguments": "Q", "resps": "A", "acc_norm": 1.0},
    "flat-columns": {"doc_id": 0, "prompt": "Q", "pred": "A", "score": 1},
}


@pytest.mark.parametrize("record", FLATTENED.values(), ids=FLATTENED)
def test_flattened_samples_are_left_out_in_one_line(
    store: Store, panel: Panel, tmp_path: Path, record: dict[str, Any]
) -> None:
    metrics = {"acc_norm,none": 0.4, "acc,none": 0.3}
    path = run_file(tmp_path / "results_1.json", metrics)
    samples_file(path, [record])
    done = import_scores([path], store=store, panel=panel)
    assert scores(done) == {"ARC-C": 0.4, "arc_challenge acc": 0.3}
    (note,) = done.notes
    assert "samples left out, their scores are taken: " in note
    assert "\n" not in note
    (page,) = receipt(store, "org/model", "ARC-C")
    assert page.items == ()


MARKS = {"utf-8": codecs.BOM_UTF8, "utf-16": b""}


@pytest.mark.parametrize("encoding", MARKS)
def test_byte_order_mark_is_read(store: Store, panel: Panel, tmp_path: Path, encoding: str) -> None:
    mark = MARKS[encoding]
    run = run_file(tmp_path / "results_1.json", {"acc_norm,none": 1.0}, n_items=1)
    table = tmp_path / "t.csv"
    table.write_text('"Model","X"\norg/table,0.5\n')
    for path in (run, table):
        path.write_bytes(mark + path.read_text().encode(encoding))
    beside = samples_file(run, [sample(0, right=True)])
    beside.write_bytes(codecs.BOM_UTF8 + beside.read_bytes())
    done = import_scores([run, table], store=store, panel=panel)
    assert scores(done) == {"ARC-C": 1.0, "X": 0.5}
    assert done.notes == ()


@NEEDS_FAULTS
@pytest.mark.parametrize(
    ("name", "taken", "named"),
    [
        ("dict-metric", {"ARC-C": 0.4, "arc_challenge acc": 0.38, "custom acc": 0.3}, 1),
        ("empty-list-stderr", {"ARC-C": 0.42, "arc_challenge acc": 0.4}, 2),
        ("nan-and-inf", {"ARC-C": 0.4, "arc_challenge acc": 0.38, "winogrande acc": 0.5}, 2),
    ],
)
def test_bad_metrics_of_the_faults(
    store: Store, panel: Panel, name: str, taken: dict[str, float], named: int
) -> None:
    path = FAULTS / f"one-bad-metric/results_{name}.json"
    done = import_scores([path], store=store, panel=panel)
    assert scores(done) == taken
    assert sum(note.startswith("left out: ") for note in done.notes) == named


@NEEDS_FAULTS
def test_folder_of_the_faults_is_taken_but_for_its_bad_cells(store: Store, panel: Panel) -> None:
    done = import_scores([FAULTS / "one-bad-metric"], store=store, panel=panel)
    assert {r.model for r in done.results} == {"org/tiny", "org/tiny4", "org/tiny5", "org/lb-model"}
    leaderboard = [r for r in done.results if r.model == "org/lb-model"]
    assert len(leaderboard) == 8
    assert any("truthfulqa:mc: mc2 is nan" in note for note in done.notes)


@NEEDS_FAULTS
def test_nan_samples_of_the_faults(store: Store, panel: Panel) -> None:
    with pytest.raises(ImportFileError, match="2 of 2 items have log-likelihoods that are no num"):
        import_scores(list((FAULTS / "nan-samples").glob("*.json")), store=store, panel=panel)
    assert store.results() == []
